"""What the catalogue says of an algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from recsys_lab.algorithms.base import Learns

Family: TypeAlias = Literal["baseline", "collaborative_filtering", "content_based", "factorization", "neural"]
Need: TypeAlias = Literal["content", "time", "truth"]
# bitwise: equal seeds give equal scores, bit by bit, on any number of threads; ranking: equal lists (threads of BLAS
# change the last bits of scores); statistical: equal up to chance
Level: TypeAlias = Literal["bitwise", "ranking", "statistical"]


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, both included; whole numbers when both are written as int."""

    low: float
    high: float
    log: bool = False  # as likely between 1 and 10 as between 10 and 100

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


# hyper-parameter -> its range, or a tuple of the values to choose from
Space: TypeAlias = Mapping[str, Range | tuple[object, ...]]

# hyper-parameter -> what another one must be for it to matter, such as {"beta": {"similarity": ("tversky",)}}
Conditions: TypeAlias = Mapping[str, Mapping[str, tuple[object, ...]]]


@dataclass(frozen=True)
class Entry:
    """What can be known of an algorithm without importing it."""

    path: str  # "package.module:Class"
    family: Family
    task: Literal["ranking", "rating", "both"]  # rating: made to predict ratings, its ranking is by predicted rating
    description: str
    paper: str
    complexity: str  # of fit; n = training rows, k = n_neighbors or n_factors
    memory: str = "n"  # of the fitted model, in numbers kept, beyond the training rows
    needs: tuple[Need, ...] = ()  # beyond users, items and ratings
    learns: Learns = "tastes"  # what it takes from the training rows
    serves_new_users: bool = False  # folds in: a user unknown to fit is served from the history, without a refit
    serves_cold_items: bool = False  # an item without training rows is placed by what it is
    stochastic: bool = False
    repeatable: Level = "bitwise"
    extra: str | None = None  # pip install "recsys_lab[extra]"
    space: Space = field(default_factory=dict)  # where to search; empty: nothing worth tuning
    conditions: Conditions = field(default_factory=dict)

    def active(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """``point`` of the space without what does not matter there, which keeps its default."""
        return {
            name: value
            for name, value in point.items()
            if all(point.get(other, choices[0]) in choices for other, choices in self.conditions.get(name, {}).items())
        }


HERE = "recsys_lab.algorithms."
SURPRISE = HERE + "surprise_models:"
