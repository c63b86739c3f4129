"""Two evaluations of one trial side by side: which level holds, and where they part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.comparison.values import measured_values
from recsys_lab.data.interactions import Catalogue
from recsys_lab.evaluation import Evaluation
from recsys_lab.significance import paired_test


def level_of(before: Evaluation, now: Evaluation, primary: str, catalogue: Catalogue) -> tuple[str, str]:
    """The level that holds, and the first difference in words ("" when bitwise).

    bitwise: lists, scores, values of each user and means are equal bit for bit. ranking: the lists are equal.
    statistical: the mean of the primary metric lies within the interval of the difference over the same users.
    """
    if not before.per_user.index.equals(now.per_user.index):
        return "none", f"{len(before.per_user)} users were measured, now {len(now.per_user)}, and not the same ones"
    if before.lists is not None and now.lists is not None:
        parted = _lists(before, now, catalogue)
        if parted:
            return _statistical(before, now, primary, parted)
        found = _scores(before, now, catalogue) or _values(before.per_user, now.per_user, catalogue)
        found = found or _summary(before.summary, now.summary)
        return ("ranking", found) if found else ("bitwise", "")
    found = _values(before.per_user, now.per_user, catalogue) or _summary(before.summary, now.summary)
    return _statistical(before, now, primary, found) if found else ("bitwise", "")


def _statistical(before: Evaluation, now: Evaluation, primary: str, parted: str) -> tuple[str, str]:
    values = measured_values({"before": before, "now": now}, primary).values
    test = paired_test(values["now"], values["before"])
    level = "statistical" if test.low <= 0 <= test.high else "none"
    words = f"{primary} moved by {test.difference:+.6f} [{test.low:+.6f}, {test.high:+.6f}] over {test.n} users"
    return level, f"{parted}; {words}"


def _lists(before: Evaluation, now: Evaluation, catalogue: Catalogue) -> str:
    first, second = before.lists, now.lists
    assert first is not None
    assert second is not None
    if first.items.shape != second.items.shape or not np.array_equal(first.users, second.users):
        return f"{first.items.shape[0]} lists of {first.k} items, now {second.items.shape[0]} of {second.k}"
    wrong = first.items != second.items
    if not wrong.any():
        return ""
    row, rank = np.argwhere(wrong)[0]
    user = catalogue.user_id(int(first.users[row]))
    shown = [_item(lists, row, rank, catalogue) for lists in (first, second)]
    n = int(wrong.any(axis=1).sum())
    return f"user {user!r}, rank {rank + 1}: {shown[0]}, now {shown[1]} ({n:,} of {len(wrong):,} lists differ)"


def _item(lists: Any, row: int, rank: int, catalogue: Catalogue) -> str:
    code = int(lists.items[row, rank])
    return "no item" if code < 0 else f"item {catalogue.item_id(code)!r} (score {lists.scores[row, rank]:.9g})"


def _scores(before: Evaluation, now: Evaluation, catalogue: Catalogue) -> str:
    assert before.lists is not None
    assert now.lists is not None
    first, second = before.lists.scores, now.lists.scores
    wrong = first.view(np.int32) != second.view(np.int32)  # bits, so that -0.0 is not 0.0
    if not wrong.any():
        return ""
    row, rank = np.argwhere(wrong)[0]
    with np.errstate(invalid="ignore"):
        largest = float(np.nanmax(np.abs(np.where(wrong, first.astype(np.float64) - second, 0.0))))
    user = catalogue.user_id(int(before.lists.users[row]))
    return (
        f"user {user!r}, rank {rank + 1}: score {first[row, rank]:.9g}, now {second[row, rank]:.9g} "
        f"({int(wrong.sum()):,} of {wrong.size:,} scores differ, at most by {largest:.3g})"
    )


def _values(before: pd.DataFrame, now: pd.DataFrame, catalogue: Catalogue) -> str:
    found = unequal_value(before, now)
    if found is None:
        return ""
    row, name, first, second = found
    return f"user {catalogue.user_id(row)!r}, {name}: {first!r}, now {second!r}"


def unequal_value(before: pd.DataFrame, now: pd.DataFrame) -> tuple[int, str, float, float] | None:
    """User code, column and both values of the first unequal value in the columns of both; None when all are equal."""
    for name in [name for name in before.columns if name in now.columns]:
        first, second = (frame[name].to_numpy(dtype=np.float64) for frame in (before, now))
        wrong = (first != second) & ~(np.isnan(first) & np.isnan(second))
        if wrong.any():
            row = int(np.argmax(wrong))
            return int(before.index[row]), str(name), float(first[row]), float(second[row])
    return None


def _summary(before: dict[str, float], now: dict[str, float]) -> str:
    for name, value in before.items():
        other = now.get(name, float("nan"))
        if value != other and not (np.isnan(value) and np.isnan(other)):
            return f"{name}: {value!r}, now {other!r}"
    return ""
