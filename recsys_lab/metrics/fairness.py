"""One metric in groups of users: who is served worse, and is that more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from recsys_lab.metrics.ratios import ratio
from recsys_lab.significance import mean_interval

MIN_GROUP_SIZE = 30


@dataclass(frozen=True, eq=False)
class GroupReport:
    """Means by group. Groups that are too small are in the table (``used`` False) but in none of the numbers.

    ``table`` is indexed by group, worst mean first: n, mean, low, high (95 % interval), used. The numbers are NaN and
    ``worst`` is None when no group is large enough.
    """

    table: pd.DataFrame
    mean: float  # over all users
    macro: float  # mean of the groups' means
    gap: float  # highest - lowest mean
    ratio: float  # lowest / highest mean; NaN if the highest is 0
    worst: Any  # the group with the lowest mean


def group_report(values: ArrayLike, groups: ArrayLike, *, min_group_size: int = MIN_GROUP_SIZE) -> GroupReport:
    """The mean of a per-user metric in each group of users.

    ``values`` (n,) float64, a column of ``Evaluation.per_user`` where higher is better; NaN (not defined for this user)
    is left out. ``groups`` (n,): the label of each user. Raises ValueError when the lengths differ.
    """
    numbers, labels = np.asarray(values, dtype=np.float64), pd.Series(groups)
    if numbers.shape != (len(labels),):
        raise ValueError(f"every user needs one value and one group; found {numbers.shape} and {len(labels)} groups")
    defined = ~np.isnan(numbers) & labels.notna().to_numpy()
    rows = {}
    for group, members in labels[defined].groupby(labels[defined]).indices.items():
        interval = mean_interval(numbers[defined][members])
        rows[group] = (interval.n, interval.mean, interval.low, interval.high, interval.n >= min_group_size)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["n", "mean", "low", "high", "used"])
    table = table.sort_values("mean", kind="stable").rename_axis("group")
    used = table.loc[table["used"].astype(bool), "mean"]
    if used.empty:
        nothing = float("nan")
        overall = float(numbers[defined].mean()) if defined.any() else nothing
        return GroupReport(table, overall, nothing, nothing, nothing, None)
    low, high = float(used.min()), float(used.max())
    share = float(ratio(low, high))
    return GroupReport(table, float(numbers[defined].mean()), float(used.mean()), high - low, share, used.index[0])
