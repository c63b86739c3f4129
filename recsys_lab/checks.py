"""Leak and sanity checks of a split and of the evaluations on it. Level E stops a run, level W marks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys_lab.data.interactions import Interactions

if TYPE_CHECKING:
    from recsys_lab.evaluation import Evaluation
    from recsys_lab.splits import Split

MANY_LOST = 0.2  # share of rows that filters may drop before L13 warns
ROW_BY_ROW = ("minimum_rating", "binarise", "duplicates")  # filters that decide without a look at other users or items


@dataclass(frozen=True)
class Check:
    """The outcome of one check. ``level`` is what a failure means: E stops the run, W marks it."""

    id: str
    level: Literal["E", "W"]
    passed: bool
    value: float | None  # what was measured; None where there was nothing to measure
    message: str


def leak_check(
    split: Split, evaluations: Mapping[str, Evaluation] | None = None, *, repeat_consumption: bool = False
) -> list[Check]:
    """All checks that apply to ``split`` and, when given, to the evaluations of several models on it.

    L01 no pair (user, item) is in two parts and no row occurs twice (E). L02 a temporal_global split: train ends
    before test begins, and no timestamp is on both sides (E). L03 how much of train lies in the future of test (W).
    L13 filters that saw all rows, or dropped more than 20 % of them (W). L14 all models were measured on the same
    users (E).

    ``repeat_consumption``: a user may have an item again (``exclude_seen=False``), so pairs may be in two parts.
    """
    checks = [_shared_pairs(split, repeat_consumption), _time_order(split), _future_leak(split), _filters(split)]
    if evaluations is not None:
        checks.append(_same_users(evaluations))
    return checks


def failed(checks: Sequence[Check], level: str = "E") -> list[Check]:
    """The checks of this level that did not pass."""
    return [check for check in checks if check.level == level and not check.passed]


def _shared_pairs(split: Split, repeat_consumption: bool) -> Check:
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    present = {name: part for name, part in parts.items() if part is not None}
    names = list(present)
    twice = _n_repeated_rows(list(present.values()))
    shared, found = 0, []
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            n = len(np.intersect1d(_pairs(present[first]), _pairs(present[second])))
            if n:
                shared += n
                found.append(f"{n} pairs (user, item) are in {first} and in {second}")
    if repeat_consumption:
        shared, found = 0, []
    if twice:
        found.append(f"{twice} rows occur more than once (same user, item, rating and time)")
    message = "; ".join(found) or "no pair is in two parts and no row occurs twice"
    if found:
        message += "; join duplicates before the split (filter duplicates)"
    return Check("L01", "E", not found, float(shared + twice), message)


def _time_order(split: Split) -> Check:
    if split.card.strategy != "temporal_global":
        return Check("L02", "E", True, None, f"a {split.card.strategy} split promises no order in time between users")
    parts = [("train", split.train), ("validation", split.validation), ("test", split.test)]
    spans = [(name, part.timestamps) for name, part in parts if part is not None and len(part)]
    late: list[str] = []
    n_late = 0
    for (first, before), (second, after) in pairwise(spans):
        if before is None or after is None:
            return Check("L02", "E", False, None, f"{first} or {second} of a temporal_global split has no times")
        wrong = int((before >= after.min()).sum())
        n_late += wrong
        if wrong:
            late.append(
                f"{wrong} rows of {first} are not before the first of {second} "
                f"({first} ends at {before.max()}, {second} begins at {after.min()})"
            )
    message = "; ".join(late) or "every part ends before the next begins, and no timestamp is on both sides"
    return Check("L02", "E", not late, float(n_late), message)


def _future_leak(split: Split) -> Check:
    share = split.card.future_leak_share
    if share is None:
        return Check("L03", "W", True, None, "without times it is not known what of train lies in the future of test")
    message = f"in {share:.1%} of the pairs of a train and a test row, the train row is the later one"
    return Check("L03", "W", share == 0.0, share, message)


def _filters(split: Split) -> Check:
    filters: list[dict[str, Any]] = list(split.train.catalogue.info.get("filters") or [])
    if not filters:
        return Check("L13", "W", True, 0.0, "no filters")
    before, after = filters[0]["rows_before"], filters[-1]["rows_after"]
    lost = 1.0 - after / before if before else 0.0
    found = []
    if lost > MANY_LOST:
        found.append(f"filters dropped {lost:.1%} of {before} rows; results hold for the {after} rows left")
    seeing = [
        str(one["name"]) for one in filters if one["name"] not in ROW_BY_ROW and one["rows_after"] < one["rows_before"]
    ]
    if seeing:
        found.append(f"{', '.join(seeing)} looked at all rows, those of test too, before the split")
    message = "; ".join(found) or f"filters dropped {lost:.1%} of {before} rows"
    return Check("L13", "W", not found, lost, message)


def _same_users(evaluations: Mapping[str, Evaluation]) -> Check:
    """Users count as measured where they stand in the table with at least one relevant item."""
    measured = {}
    for name, one in evaluations.items():
        frame = one.per_user
        column = next((column for column in ("n_relevant", "n_pairs") if column in frame), None)
        rows = np.ones(len(frame), dtype=bool) if column is None else frame[column].to_numpy() > 0
        measured[name] = set(frame.index[rows])
    if not measured:
        return Check("L14", "E", True, None, "no models to compare")
    everyone = set().union(*measured.values())
    lacking = {name: len(everyone - users) for name, users in measured.items() if users != everyone}
    total = sum(lacking.values())
    if not lacking:
        return Check(
            "L14", "E", True, 0.0, f"all {len(measured)} models were measured on the same {len(everyone)} users"
        )
    listed = ", ".join(f"{name} lacks {count}" for name, count in lacking.items())
    return Check("L14", "E", False, float(total), f"of {len(everyone)} users {listed}; means over other users differ")


def _pairs(part: Interactions) -> NDArray[np.int64]:
    pairs: NDArray[np.int64] = part.users.astype(np.int64) * max(part.n_items, 1) + part.items
    return pairs


def _n_repeated_rows(parts: list[Interactions]) -> int:
    """Rows of all parts together that repeat an earlier one."""
    columns = [
        np.concatenate([_pairs(part) for part in parts]),
        np.concatenate([part.ratings for part in parts]),
        np.concatenate([np.zeros(len(part)) if part.timestamps is None else part.timestamps for part in parts]),
    ]
    order = np.lexsort(columns[::-1])
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for column in columns:
        same &= column[order][1:] == column[order][:-1]
    return int(same.sum())
