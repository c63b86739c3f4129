"""Filters: pure functions Interactions -> Interactions; each adds to ``catalogue.info["filters"]`` what it dropped.

A report has name, parameters, and rows, users and items before and after; users and items with at least one row count.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_lab.data.interactions import Bool, Float32, Int64, Interactions

POLICIES = ("error", "keep_first", "keep_last", "mean", "sum")


def minimum_rating(data: Interactions, minimum: float) -> Interactions:
    """The rows rated ``minimum`` or higher. The catalogue shrinks to the users and items left."""
    if not np.isfinite(minimum):
        raise ValueError(f"minimum_rating must be a finite number, found {minimum!r}")
    kept = data.ratings >= minimum
    if len(data) and not kept.any():
        low, high = data.ratings.min(), data.ratings.max()
        raise ValueError(f"minimum_rating={minimum:g} leaves no row; the ratings go from {low:g} to {high:g}")
    return _reported(data, compact(data.select(kept)), "minimum_rating", {"minimum": minimum})


def binarise(data: Interactions) -> Interactions:
    """Every rating becomes 1: what stands in the data is positive feedback. Use minimum_rating before it."""
    ones = np.ones(len(data), dtype=np.float32)
    return _reported(data, replace(data, ratings=ones), "binarise", {})


def k_core(
    data: Interactions, k: int | None = None, *, users: int | None = None, items: int | None = None
) -> Interactions:
    """The largest part in which every user has >= ``users`` rows and every item >= ``items`` rows.

    ``k`` is the minimum of both. Users and items below it are dropped in turn until none is left to drop. The catalogue
    shrinks to the users and items left.
    """
    n_user, n_item = (_minimum(name, value, k) for name, value in (("users", users), ("items", items)))
    kept: Bool = np.ones(len(data), dtype=bool)
    while True:
        user_rows = np.bincount(data.users[kept], minlength=data.n_users)
        item_rows = np.bincount(data.items[kept], minlength=data.n_items)
        smaller = kept & (user_rows[data.users] >= n_user) & (item_rows[data.items] >= n_item)
        if smaller.sum() == kept.sum():
            break
        kept = smaller
    if len(data) and not kept.any():
        raise ValueError(f"k_core with users >= {n_user} and items >= {n_item} rows leaves no row; ask for less")
    return _reported(data, compact(data.select(kept)), "k_core", {"users": n_user, "items": n_item})


def duplicates(data: Interactions, policy: str = "error") -> Interactions:
    """One row for each (user, item) pair, at the place of the row kept. The catalogue stays as it is.

    "keep_first" and "keep_last" go by time, and by the order of rows where times are equal or missing; "mean" and "sum"
    combine the ratings and keep the last time; "error" raises ValueError when a pair occurs twice.
    """
    check_policy(policy)
    order, starts = _pair_groups(data)
    if policy == "error" and len(starts) != len(data):
        first, second = sorted(_first_repeated(order, starts))
        user, item = pair_of(data, first)
        raise ValueError(
            f"user {user!r} has item {item!r} in rows {first} and {second} (and {len(data) - len(starts) - 1} more "
            f"such rows); choose duplicates= {known(POLICIES[1:])}"
        )
    ends = np.append(starts[1:], len(data)) - 1
    rows = order[starts if policy == "keep_first" else ends]
    ratings = _combined(data.ratings[order], starts, policy) if policy in ("mean", "sum") else data.ratings[rows]
    place = np.argsort(rows)
    kept = replace(data.select(rows[place]), ratings=ratings[place])
    return _reported(data, kept, "duplicates", {"policy": policy})


def apply_filters(data: Interactions, filters: Mapping[str, Any]) -> Interactions:
    """Apply filters by name in the order given: ``{"minimum_rating": 4, "binarise": True, "k_core": 5}``.

    ``k_core`` takes a number or ``{"users": 5, "items": 3}``; ``duplicates`` a policy; a filter set to None or False is
    left out.
    """
    for name, value in filters.items():
        if name not in FILTERS:
            raise ValueError(f"unknown filter {name!r}{suggestion(name, FILTERS)} Known: {known(FILTERS)}")
        if value is None or value is False:
            continue
        if name == "binarise":
            if value is not True:
                raise ValueError(f"binarise is true or false, found {value!r}; the threshold is minimum_rating")
            data = binarise(data)
        elif isinstance(value, Mapping):
            if name != "k_core" or not set(value) <= {"users", "items"}:
                raise ValueError(f"{name} does not take {dict(value)!r}; only k_core takes users and items")
            data = k_core(data, **value)
        else:
            if name != "duplicates" and (isinstance(value, bool | str)):
                raise ValueError(f"{name} needs a number, found {value!r}")
            data = FILTERS[name](data, value)
    return data


FILTERS: dict[str, Any] = {
    "minimum_rating": minimum_rating,
    "binarise": binarise,
    "k_core": k_core,
    "duplicates": duplicates,
}


def check_policy(policy: str) -> None:
    """ValueError unless ``policy`` says what becomes of duplicates."""
    if policy not in POLICIES:
        close = suggestion(policy, POLICIES)
        raise ValueError(f"unknown duplicates policy {policy!r}{close} Known: {known(POLICIES)}")


def compact(data: Interactions) -> Interactions:
    """The same rows; users and items without rows leave the catalogue, and codes are counted anew."""
    users, items = data.user_activity > 0, data.item_popularity > 0
    if users.all() and items.all():
        return data
    catalogue = data.catalogue
    features = None if catalogue.item_features is None else catalogue.item_features[np.flatnonzero(items)]
    smaller = replace(
        catalogue,
        user_ids=catalogue.user_ids[users],
        item_ids=catalogue.item_ids[items],
        items=catalogue.items[items],
        item_features=features,
        users=None if catalogue.users is None else catalogue.users[users],
    )
    return replace(
        data,
        users=(np.cumsum(users) - 1)[data.users].astype(np.int32),
        items=(np.cumsum(items) - 1)[data.items].astype(np.int32),
        catalogue=smaller,
    )


def suggestion(name: str, names: Any) -> str:
    """The end of a sentence: "; did you mean ...?" when a similar name is known, else a full stop."""
    lower = {str(candidate).lower(): str(candidate) for candidate in names}
    close = difflib.get_close_matches(str(name).lower(), lower, n=1)
    return f"; did you mean {lower[close[0]]!r}?" if close else "."


def known(names: Any) -> str:
    """Names for an error message."""
    return ", ".join(str(name) for name in names)


def pair_of(data: Interactions, row: int) -> tuple[Any, Any]:
    """The external ids of user and item in ``row``, as plain Python values."""
    return data.catalogue.user_id(data.users[row]), data.catalogue.item_id(data.items[row])


def _minimum(name: str, value: int | None, k: int | None) -> int:
    chosen = k if value is None else value
    if chosen is None:
        chosen = 1  # no minimum for this side
    if isinstance(chosen, bool) or int(chosen) != chosen or chosen < 1:
        raise ValueError(f"k_core needs a whole number >= 1 for {name}, found {chosen!r}")
    return int(chosen)


def _pair_groups(data: Interactions) -> tuple[Int64, Int64]:
    """Rows sorted by pair, then time, then position; and where each pair begins in that order."""
    pairs = data.users.astype(np.int64) * max(data.n_items, 1) + data.items
    order = np.lexsort((pairs,) if data.timestamps is None else (data.timestamps, pairs)).astype(np.int64)
    ordered = pairs[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]).astype(np.int64)
    return order, starts


def _first_repeated(order: Int64, starts: Int64) -> tuple[int, int]:
    repeated = np.setdiff1d(np.arange(len(order)), starts)
    second = repeated[np.argmin(order[repeated])]
    return int(order[second - 1]), int(order[second])


def _combined(ratings: Float32, starts: Int64, policy: str) -> Float32:
    sums: NDArray[np.float64] = np.add.reduceat(ratings.astype(np.float64), starts) if len(ratings) else np.empty(0)
    if policy == "mean":
        sums = sums / np.diff(np.append(starts, len(ratings)))
    return sums.astype(np.float32)


def _reported(before: Interactions, after: Interactions, name: str, parameters: dict[str, Any]) -> Interactions:
    report: dict[str, Any] = {"name": name, "parameters": parameters, "rows_before": len(before)}
    report["rows_after"] = len(after)
    for side, counts in (("users", "user_activity"), ("items", "item_popularity")):
        for when, data in (("before", before), ("after", after)):
            report[f"{side}_{when}"] = int(np.count_nonzero(getattr(data, counts)))
    info = {**after.catalogue.info, "filters": [*before.catalogue.info.get("filters", []), report]}
    return replace(after, catalogue=replace(after.catalogue, info=info))
