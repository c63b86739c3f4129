"""Algorithms made of other algorithms: how the parts are named, made, given seeds and fitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.data.interactions import Float32, Int32, Interactions
from recsys_lab.seeds import child_seed

PARAMETERS = "_parameters"


class _IfAllPartsDo:
    """Whether the parts serve new users; of a class, and before ``fit``, True: they may."""

    def __get__(self, composite: Composite | None, kind: type | None = None) -> bool:
        parts = getattr(composite, "parts_", ())
        return all(part.serves_new_users for part in parts)


class Composite(Algorithm, ABC):
    """An algorithm whose parts are algorithms by name.

    For each name in ``PARTS`` a subclass has the hyper-parameters ``<part>``, a name of the catalogue or
    "package.module:Class", and ``<part>_parameters``, a mapping or None; and one ``random_state``, from which every
    stochastic part gets a seed of its own unless its parameters set one. Each part is fitted on the training rows.
    """

    PARTS: ClassVar[tuple[str, ...]] = ()
    serves_new_users = _IfAllPartsDo()

    random_state: int

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError unless the hyper-parameters are sound."""

    def make_parts(self) -> list[Algorithm]:
        """The parts, not fitted. ValueError for unknown names or hyper-parameters, ImportError for missing extras."""
        parts = []
        for part in self.PARTS:
            name, given = getattr(self, part), getattr(self, part + PARAMETERS)
            require(isinstance(name, str), f"{part} is the name of an algorithm, such as 'EASE'; found {name!r}")
            require(
                given is None or isinstance(given, Mapping),
                f"{part}{PARAMETERS} are hyper-parameters of {name}, such as {{n_neighbors: 50}}; found {given!r}",
            )
            model = make_algorithm(name, **(given or {}))
            if "random_state" in model.get_params() and "random_state" not in (given or {}):
                model.set_params(random_state=child_seed(self.random_state, f"fit/{part}/{name}"))
            parts.append(model)
        return parts

    def fit_parts(self, train: Interactions) -> None:
        """Check the hyper-parameters, and fit the parts on ``train``: ``parts_``."""
        self.check()
        self.parts_ = tuple(model.fit(train) for model in self.make_parts())


def parts_of(algorithm: type[Algorithm]) -> tuple[str, ...]:
    """The hyper-parameters that name parts, such as ("base",); empty for an algorithm that is not made of others."""
    return algorithm.PARTS if issubclass(algorithm, Composite) else ()


def all_parts(algorithm: Algorithm) -> list[Algorithm]:
    """The algorithms an algorithm is made of, parts of parts too, not fitted; empty for one that is not made of any."""
    if not isinstance(algorithm, Composite):
        return []
    return [inner for part in algorithm.make_parts() for inner in (part, *all_parts(part))]


def is_stochastic(algorithm: Algorithm) -> bool:
    """Whether its seed can change its lists: it has one, and if it is made of parts, one of them has."""
    if isinstance(algorithm, Composite):
        return any(is_stochastic(part) for part in algorithm.make_parts())
    return "random_state" in algorithm.get_params()


def require_share(name: str, value: float) -> None:
    """Raise ValueError unless ``value`` lies in 0 ... 1."""
    require(bool(np.isfinite(value)) and 0 <= value <= 1, f"{name} must lie between 0 and 1; found {value}")


def unit_range(scores: Float32, counted: Any) -> Float32:
    """Each row stretched so that its lowest counted score is 0 and its highest 1; all 0 where they are equal.

    ``scores`` (b, n) and ``counted`` (b, n) bool. What is not counted is moved alike, -inf stays.
    """
    possible = np.isfinite(scores)
    finite = np.asarray(counted & possible)
    low = np.where(finite, scores, np.inf).min(axis=1, initial=np.inf)[:, None]
    high = np.where(finite, scores, -np.inf).max(axis=1, initial=-np.inf)[:, None]
    low = np.where(np.isfinite(low), low, 0.0)
    width = np.where(np.isfinite(high) & (high > low), high - low, np.inf)
    stretched = np.where(possible, (np.where(possible, scores, low) - low) / width, -np.inf)
    return np.asarray(stretched, dtype=np.float32)


def require_served(parts: Sequence[Algorithm], users: Int32) -> None:
    """Raise ValueError where a user code is -1 and a part cannot serve users unknown to fit."""
    for part in parts:
        if not part.serves_new_users and (np.asarray(users) < 0).any():
            raise ValueError(
                f"{type(part).__name__} cannot serve users unknown to fit; choose a part that serves new users, "
                "or fit again with their rows"
            )
