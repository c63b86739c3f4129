"""The tests of a comparison: pairs of models, the family of the challengers, and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.comparison.values import Measured
from recsys_lab.significance import (
    PairedTest,
    benjamini_hochberg,
    holm,
    minimum_detectable_difference,
    nadeau_bengio,
    paired_test,
    power_of_test,
)

CORRECTIONS = {"holm": holm, "benjamini_hochberg": benjamini_hochberg}


def pair_test(measured: Measured, first: str, second: str, level: float) -> PairedTest:
    """The paired t test over users; with folds of a k_fold Nadeau and Bengio's over them.

    Both are about the difference of the means in the table.
    """
    values = measured.values
    if not measured.tests_folds:
        return paired_test(values[first], values[second], level)
    differences, ratio = _fold_differences(measured, first, second)
    return nadeau_bengio(differences, ratio, level)


def all_pairs(measured: Measured, names: Sequence[str], level: float) -> pd.DataFrame:
    """Every pair of the named models: difference (first - second) with interval, p, and p_holm over all pairs."""
    pairs = list(combinations(names, 2))
    tests = [pair_test(measured, first, second, level) for first, second in pairs]
    frame = pd.DataFrame(
        [(*pair, test.difference, test.low, test.high, test.p) for pair, test in zip(pairs, tests)],
        columns=["first", "second", "difference", "low", "high", "p"],
    )
    frame["p_holm"] = holm(frame["p"].to_numpy(dtype=np.float64)) if len(frame) else []
    return frame


def pair_matrix(pairs: pd.DataFrame, names: Sequence[str], column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column of ``all_pairs`` as a symmetric (n, n) array in the order of ``names``, with 1 on its diagonal."""
    place = {name: position for position, name in enumerate(names)}
    matrix = np.ones((len(names), len(names)))
    for first, second, value in zip(pairs["first"], pairs["second"], pairs[column]):
        matrix[place[first], place[second]] = matrix[place[second], place[first]] = value
    return matrix


def correct_for_choice(table: pd.DataFrame, rivals: Mapping[str, int], higher: bool) -> pd.Series:
    """The p of the challengers, corrected for the choice of the best baseline on the data it is then compared on.

    The best of several baselines that are truly alike is the luckiest, so an equal challenger looks worse than it too
    often. "Worse" is therefore tested against all baselines that cannot be told apart from the best (``rivals``: their
    number, by challenger), by Bonferroni. "Better" needs no correction: who beats the luckiest beats the others
    (docs/statistics.md).
    """
    behind = (table["difference"] < 0) == higher
    factors = pd.Series({name: count if behind[name] else 1 for name, count in rivals.items()}, dtype=np.float64)
    chosen: pd.Series = (table.loc[list(rivals), "p"] * factors).clip(upper=1.0)
    return chosen


def foresight(measured: Measured, challengers: Sequence[str], best: str, floor: float, level: float) -> pd.DataFrame:
    """By challenger: minimum_detectable (80 % power) and power_min_effect, the power to see a difference of ``floor``.

    Both at the level of the first step of Holm. The power is NaN when ``floor`` is 0.
    """
    rows = {}
    for name in challengers:
        differences, ratio = _fold_differences(measured, name, best)
        options = {"level": level, "n_comparisons": len(challengers), "test_to_train": ratio}
        seen = power_of_test(differences, floor, **options) if floor > 0 else float("nan")  # type: ignore[arg-type]
        rows[name] = (minimum_detectable_difference(differences, **options), seen)  # type: ignore[arg-type]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["minimum_detectable", "power_min_effect"])


def verdict(row: Any, p: float, floor: float, alpha: float, higher: bool) -> str:
    """better, worse: ``p`` below ``alpha``, and at least ``floor``. equivalent: the interval is within ± ``floor``."""
    low, high = float(row["difference_low"]), float(row["difference_high"])
    if -floor <= low and high <= floor:
        return "equivalent"
    if p < alpha and abs(row["difference"]) >= floor:
        return "better" if (row["difference"] > 0) == higher else "worse"
    return "inconclusive"


def _fold_differences(measured: Measured, first: str, second: str) -> tuple[Any, float]:
    """What the test of two models rests on: differences by user, or by fold, and n_test / n_train (0 for one split)."""
    pooled = (measured.values[first] - measured.values[second]).to_numpy()
    if not measured.tests_folds:
        return pooled, 0.0
    folds = measured.by_split[first] - measured.by_split[second]
    # folds differ in size: their spread is taken, about the difference that the table shows
    return folds - folds.mean() + pooled.mean(), 1.0 / (measured.n_splits - 1)
