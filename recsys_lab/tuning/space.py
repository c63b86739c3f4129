"""Search spaces: checked, in words, and whether a best value lies on the edge of its range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recsys_lab.algorithms.catalogue import CATALOGUE, Range, make_algorithm
from recsys_lab.algorithms.entries.entry import Space

EDGE = 0.01  # share of the (logarithmic) range that counts as its edge


def space_of(name: str, fixed: Mapping[str, Any] | None = None, changes: Mapping[str, Any] | None = None) -> Space:
    """Where to search: the catalogue's space of an algorithm with ``changes``, without what is ``fixed``.

    A change is a Range, a tuple of values, or None (not searched). Raises ValueError as ``check_space`` does.
    """
    changes = dict(changes or {})
    twice = sorted(set(changes) & set(fixed or {}))
    if twice:
        raise ValueError(f"{name}: {twice[0]} has a fixed value and a place to search; give one of them")
    entry = CATALOGUE.get(name)
    space = {**(entry.space if entry else {}), **changes}
    chosen = {key: where for key, where in space.items() if where is not None and key not in (fixed or {})}
    check_space(name, chosen)
    return chosen


def check_space(name: str, space: Mapping[str, Any]) -> None:
    """Raise ValueError for an unknown hyper-parameter, an empty range or list, or a value of another type."""
    for key, where in space.items():
        if isinstance(where, Range):
            if not (math.isfinite(where.low) and math.isfinite(where.high) and where.low < where.high):
                raise ValueError(f"{name}: {key} is searched from low to a higher high; found {where}")
            if where.log and where.low <= 0:
                raise ValueError(f"{name}: {key} is searched on a logarithmic scale, so low is above 0; found {where}")
            values: tuple[Any, ...] = (where.low, where.high)
        elif isinstance(where, tuple) and where:
            values = where
        else:
            raise ValueError(f"{name}: {key} is searched in a Range or in a tuple of values; found {where!r}")
        for value in values:
            make_algorithm(name, **{key: value})


def in_words(space: Space) -> dict[str, str]:
    """Hyper-parameter -> its range, "5 to 1000 (log)", or its choices, "{cosine, dice}"."""
    return {
        key: str(where) if isinstance(where, Range) else "{" + ", ".join(map(str, where)) + "}"
        for key, where in space.items()
    }


def edge_warnings(space: Space, best: Mapping[str, Any]) -> list[str]:
    """A sentence for each best value on the edge of its range: a wider range may hold a better one."""
    found = []
    for key, where in space.items():
        if isinstance(where, Range) and key in best:
            low, value, high = (math.log(x) if where.log else float(x) for x in (where.low, best[key], where.high))
            share = (value - low) / (high - low)
            if not EDGE < share < 1 - EDGE:
                end = "lower" if share <= EDGE else "upper"
                shown = f"{best[key]:g}" if isinstance(best[key], float) else best[key]
                found.append(f"the best {key}, {shown}, is at the {end} edge of its range, {where}")
    return found
