"""The grid of an algorithm: a list stands for several values where its field takes a single one."""

from __future__ import annotations

import dataclasses
import itertools
import typing
from collections.abc import Iterator
from typing import Any

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.hybrid import PARAMETERS, parts_of
from recsys_lab.experiment.datasets import Parameters
from recsys_lab.experiment.models import AlgorithmSpec


def grid(spec: AlgorithmSpec) -> Iterator[Parameters]:
    """The grid points of an algorithm: a list stands for several values where the field takes a single one.

    The hyper-parameters of a part (``base_parameters``) are a grid of that part.
    """
    model = make_algorithm(spec.name)
    fields = fields_of(type(model))
    axes = []
    for key, value in spec.hyper_parameters.items():
        part = key.removesuffix(PARAMETERS)
        if part != key and part in parts_of(type(model)) and isinstance(value, dict):
            name = spec.hyper_parameters.get(part, getattr(model, part))
            if isinstance(name, str):
                inner = AlgorithmSpec(name=name, hyper_parameters=value)
                axes.append([(key, point) for point in grid(inner)])
                continue
        several = isinstance(value, list) and (not _takes_a_list(fields.get(key)) or _is_list_of_lists(value))
        axes.append([(key, point) for point in value] if several else [(key, value)])
    for point in itertools.product(*axes):
        yield dict(point)


def fields_of(algorithm: type) -> dict[str, Any]:
    """Names and types of an algorithm's hyper-parameters."""
    if not dataclasses.is_dataclass(algorithm):
        return {}
    try:
        hints = typing.get_type_hints(algorithm)
    except (NameError, TypeError):
        hints = {}
    return {field.name: hints.get(field.name, field.type) for field in dataclasses.fields(algorithm)}


def _takes_a_list(annotation: Any) -> bool:
    return any(word in str(annotation).lower() for word in ("list[", "tuple[", "sequence["))


def _is_list_of_lists(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(entry, list) for entry in value)
