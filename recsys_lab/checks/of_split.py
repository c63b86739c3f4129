"""Checks of a split alone: shared pairs and repeated rows (L01), order in time (L02), the future in train (L03)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recsys_lab.checks.check import Check
from recsys_lab.checks.of_data import content_check, filter_check
from recsys_lab.checks.of_evaluations import same_users_check
from recsys_lab.data.interactions import Bool, Int64, Interactions
from recsys_lab.splits.strategies import STRATEGIES

if TYPE_CHECKING:
    from recsys_lab.evaluation import Evaluation
    from recsys_lab.splits import Split

# every row of a part comes before every row of the next
GLOBAL_ORDER = tuple(name for name, strategy in STRATEGIES.items() if strategy.in_time)
# the same, within each user; equal times are broken by a hash
USER_ORDER = tuple(name for name, strategy in STRATEGIES.items() if strategy.tests_latest and not strategy.in_time)


def leak_check(
    split: Split | Sequence[Split],
    evaluations: Mapping[str, Evaluation] | None = None,
    *,
    repeat_consumption: bool = False,
) -> list[Check]:
    """The checks of a split, or of the folds of one, and when given, of the evaluations of several models on it.

    L01 no pair (user, item) is in two parts, no row occurs twice, no row is tested in two folds, held-out users (or
    items) have no row in train (E). L02 a split that
    promises an order in time keeps it (E). L03 how much of train lies in the future of test (W). L06 what the content
    of the items is made of (W). L13 filters that saw all rows, or dropped more than 20 % of them (W). L14 all models
    were measured on the same users (E).

    ``repeat_consumption``: a user may have an item again (``exclude_seen=False``), so pairs may be in two parts.
    Of several folds each check shows the worst outcome. Raises ValueError without a split.
    """
    splits = list(split) if isinstance(split, Sequence) else [split]
    if not splits:
        raise ValueError("leak_check needs a split, or a list of the folds of one; found an empty list")
    outcomes = [
        [_shared_pairs(one, repeat_consumption), _time_order(one), _future_leak(one), content_check(one)]
        for one in splits
    ]
    checks = [worst([row[place] for row in outcomes]) for place in range(len(outcomes[0]))]
    if checks[0].passed and len(splits) > 1:
        checks[0] = _tested_once(splits, checks[0])
    checks.append(filter_check(splits[0].train.catalogue.info))
    if evaluations is not None:
        checks.append(same_users_check(evaluations))
    return checks


def worst(outcomes: Sequence[Check]) -> Check:
    """Of the same check on several folds: one that failed before one that passed, then the highest value."""
    return max(outcomes, key=lambda check: (not check.passed, -np.inf if check.value is None else check.value))


def _shared_pairs(split: Split, repeat_consumption: bool) -> Check:
    names, parts = list(split.parts), list(split.parts.values())
    rows = _Repeated(parts)
    found = []
    shared = 0
    if not repeat_consumption:
        for first, second in [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]:
            both = np.intersect1d(rows.pairs[rows.part == first], rows.pairs[rows.part == second])
            if len(both):
                shared += len(both)
                found.append(f"{len(both)} pairs (user, item) are in {names[first]} and in {names[second]}")
    twice = rows.n_equal()
    if twice:
        found.append(f"{twice} rows occur more than once (same user, item, rating and time)")
    message = "; ".join(found) or "no pair is in two parts and no row occurs twice"
    if found:
        message += "; join duplicates before the split (filter duplicates)"
        message += "" if repeat_consumption else ", or say evaluation.exclude_seen: false if items are had again"
    n_met, met = _not_apart(split)
    if n_met:
        message = met if not found else f"{message}; {met}"
    return Check("L01", "E", not found and not n_met, float(shared + twice + n_met), message)


def _not_apart(split: Split) -> tuple[int, str]:
    """Users (or items) that are in two of train, validation and test of a strategy that promises to keep them apart."""
    strategy = STRATEGIES.get(split.card.strategy)
    if strategy is None or not strategy.apart:
        return 0, ""
    sides: dict[str, list[Interactions | None]] = {
        "train": [split.train],
        "validation": [split.validation, split.validation_known],
        "test": [split.test, split.known],
    }
    codes: dict[str, Any] = {
        name: np.unique(np.concatenate([getattr(part, strategy.apart) for part in parts if part is not None]))
        for name, parts in sides.items()
        if parts[0] is not None
    }
    found = []
    for (first, ours), (second, theirs) in combinations(codes.items(), 2):
        both = len(np.intersect1d(ours, theirs))
        if both:
            found.append((both, f"{both} {strategy.apart} are in {first} and in {second}"))
    words = "; ".join(text for _, text in found)
    return sum(n for n, _ in found), f"{words}; a {split.card.strategy} split keeps its {strategy.apart} apart"


class _Repeated:
    """The rows of all parts whose pair (user, item) occurs more than once."""

    def __init__(self, parts: Sequence[Interactions]) -> None:
        pairs = np.concatenate([_pairs(part) for part in parts])
        ordered = np.sort(pairs)
        again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        chosen: Bool = np.isin(pairs, again) if len(again) else np.zeros(len(pairs), dtype=np.bool_)
        self.pairs = pairs[chosen]
        self.part = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[chosen]
        self.ratings = np.concatenate([part.ratings for part in parts])[chosen]
        times = [np.zeros(len(part), np.int64) if part.timestamps is None else part.timestamps for part in parts]
        self.times = np.concatenate(times)[chosen]

    def n_equal(self) -> int:
        """Rows that repeat an earlier one in pair, rating and time."""
        order = np.lexsort((self.times, self.ratings, self.pairs))
        same = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
        for column in (self.pairs, self.ratings, self.times):
            same &= column[order][1:] == column[order][:-1]
        return int(same.sum())


def _tested_once(splits: Sequence[Split], sound: Check) -> Check:
    """Folds of one k_fold, and windows of one rolling back-test, test every row at most once."""
    if len({one.card.group for one in splits}) > 1:
        return sound
    rows = _Repeated([one.test for one in splits])
    twice = rows.n_equal()
    if not twice:
        return sound
    message = f"{twice} rows are tested in more than one of {len(splits)} folds; make the folds with one seed"
    return Check("L01", "E", False, float(twice), message)


def _time_order(split: Split) -> Check:
    strategy = split.card.strategy
    if strategy not in GLOBAL_ORDER + USER_ORDER:
        return Check("L02", "E", True, None, f"a {strategy} split promises no order in time")
    parts = [("train", split.train), ("validation", split.validation), ("test", split.test)]
    spans = [(name, part) for name, part in parts if part is not None and len(part)]
    late: list[str] = []
    n_late = 0
    for (first, before), (second, after) in pairwise(spans):
        if before.timestamps is None or after.timestamps is None:
            return Check("L02", "E", False, None, f"{first} or {second} of a {strategy} split has no times")
        wrong, words = (_late if strategy in GLOBAL_ORDER else _late_within_users)(first, before, second, after)
        n_late += wrong
        if wrong:
            late.append(f"{wrong} rows of {first} are not before {words}")
    sound = "every part ends before the next begins, and no timestamp is on both sides"
    if strategy in USER_ORDER:
        sound = "of each user every part ends before the next begins, or at the same time"
    message = "; ".join(late) + f"; cut them anew with split(data, {strategy!r})" if late else sound
    return Check("L02", "E", not late, float(n_late), message)


def _late(first: str, before: Interactions, second: str, after: Interactions) -> tuple[int, str]:
    assert before.timestamps is not None
    assert after.timestamps is not None
    wrong = int((before.timestamps >= after.timestamps.min()).sum())
    ends = f"({first} ends at {before.timestamps.max()}, {second} begins at {after.timestamps.min()})"
    return wrong, f"the first of {second} {ends}"


def _late_within_users(first: str, before: Interactions, second: str, after: Interactions) -> tuple[int, str]:
    assert before.timestamps is not None
    assert after.timestamps is not None
    begins: Int64 = np.full(after.n_users, np.iinfo(np.int64).max)
    np.minimum.at(begins, after.users, after.timestamps)
    return int((before.timestamps > begins[before.users]).sum()), f"the first of their user in {second}"


def _future_leak(split: Split) -> Check:
    share = split.card.future_leak_share
    if share is None:
        return Check("L03", "W", True, None, "without times it is not known what of train lies in the future of test")
    message = f"in {share:.1%} of the pairs of a train and a test row, the train row is the later one"
    return Check("L03", "W", share == 0.0, share, message)


def _pairs(part: Interactions) -> NDArray[np.int64]:
    pairs: NDArray[np.int64] = part.users.astype(np.int64) * max(part.n_items, 1) + part.items
    return pairs
