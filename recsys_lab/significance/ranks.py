"""Friedman's test over several data sets and Nemenyi's critical difference (Demšar, JMLR 7, 2006)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from recsys_lab.significance.inputs import Float64, check_level


class Friedman(NamedTuple):
    """Friedman's test of equal average ranks, and Iman and Davenport's F, which is less conservative."""

    average_ranks: Float64  # (n_models,), 1 = best on every data set; equal values share the mean of their ranks
    statistic: float  # chi-squared, n_models - 1 degrees of freedom, corrected for equal values
    p: float
    f: float  # Iman and Davenport, Commun. Stat. A 9, 1980: n_models - 1 and (n_models - 1)(n_datasets - 1) degrees
    p_f: float


def friedman(values: ArrayLike, *, higher_is_better: bool = True) -> Friedman:
    """Whether models differ over data sets, from one value a data set and model, (n_datasets, n_models).

    Data sets are independent blocks, and only the order of the models within each counts. When all data sets agree
    on one order, F is infinite and its p the exact one: (1 / n_models!)^(n_datasets - 1) without equal values. When no
    model differs on any data set, both p are 1.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] < 2 or not np.isfinite(x).all():
        raise ValueError(
            "Friedman's test needs finite values of shape (n_datasets, n_models), at least 2 of each; "
            f"found shape {x.shape}"
        )
    n, k = x.shape
    ranks = stats.rankdata(-x if higher_is_better else x, axis=1)
    average = ranks.mean(axis=0)
    within = float(((ranks - (k + 1) / 2) ** 2).sum())  # n k (k² - 1) / 12 without equal values
    if within == 0:
        return Friedman(average, 0.0, 1.0, 0.0, 1.0)
    statistic = float(n * (k - 1) * n * ((average - (k + 1) / 2) ** 2).sum() / within)
    p = float(stats.chi2.sf(statistic, k - 1))
    rest = n * (k - 1) - statistic
    if rest < 1e-9 * n * (k - 1):
        alike = math.prod(math.factorial(int(count)) for count in np.unique(ranks[0], return_counts=True)[1])
        return Friedman(average, statistic, p, float("inf"), float((alike / math.factorial(k)) ** (n - 1)))
    f = (n - 1) * statistic / rest
    return Friedman(average, statistic, p, f, float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))))


def nemenyi_critical_difference(n_models: int, n_datasets: int, level: float = 0.95) -> float:
    """The difference of two average ranks from which on Nemenyi's test tells two of ``n_models`` apart.

    q · sqrt(k (k + 1) / (6 n)) with q the quantile of the studentized range for k models and infinitely many degrees
    of freedom, divided by √2 (Demšar 2006, section 3.2.2 and table 5a). It corrects for all pairs.
    """
    check_level(level)
    if n_models < 2 or n_datasets < 1:
        raise ValueError(f"two models and one data set at least; found {n_models} and {n_datasets}")
    q = float(stats.studentized_range.ppf(level, n_models, np.inf)) / math.sqrt(2)
    return q * math.sqrt(n_models * (n_models + 1) / (6 * n_datasets))
