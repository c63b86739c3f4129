"""How large a fitted model is, and how well its numbers can be repeated."""

from __future__ import annotations

import numpy as np

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE
from recsys_lab.algorithms.entries.entry import Level
from recsys_lab.algorithms.hybrid import all_parts
from recsys_lab.algorithms.state.writing import Arrays, write_node

_ORDER: tuple[Level, ...] = ("bitwise", "ranking", "statistical")
UNDECLARED: Level = "ranking"  # what is asked of an algorithm that is not in the catalogue


def n_parameters(algorithm: Algorithm | None) -> int | None:
    """Floating-point numbers in the learnt state; None without a fitted algorithm, or when its state is not plain data.

    Ratings that a model keeps to score with are among them: they are part of what it needs.
    """
    if algorithm is None:
        return None
    arrays = Arrays()
    try:
        write_node(algorithm, type(algorithm).__name__, arrays)
    except TypeError:
        return None
    return int(sum(array.size for array in arrays.kept.values() if np.issubdtype(array.dtype, np.floating)))


def declared_level(algorithm: Algorithm) -> Level:
    """The level the catalogue promises: that of the least repeatable among the algorithm and its parts."""
    by_path = {entry.path: entry.repeatable for entry in CATALOGUE.values()}
    classes = [type(one) for one in (algorithm, *all_parts(algorithm))]
    levels = [by_path.get(f"{one.__module__}:{one.__qualname__}", UNDECLARED) for one in classes]
    return max(levels, key=_ORDER.index)


def holds(level: str, declared: str) -> bool:
    """Whether a level that was found is as good as the declared one; "none" never is."""
    known: tuple[str, ...] = _ORDER
    return level in known and known.index(level) <= known.index(declared)
