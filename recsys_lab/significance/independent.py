"""Two groups of different users: Welch's t test, its permutation test, and whether the groups have their share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from recsys_lab.significance.inputs import Float64, check_level, finite, spread

N_SHUFFLES = 9_999
BLOCK = 4_000_000  # labels held at once by the permutation test (32 MB of float64)


class IndependentTest(NamedTuple):
    """The comparison of two groups of different users; differences are first minus second."""

    difference: float
    low: float
    high: float
    p: float
    n_first: int
    n_second: int
    d: float  # Cohen's d: difference / pooled standard deviation


def welch_test(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> IndependentTest:
    """Welch's t test, two-sided, of the means of two independent groups, (n_first,) and (n_second,).

    Without any spread within the groups p is 1 for equal means and 0 for different ones, and the interval is that one
    value. A group of a single user gives p = 1 and no interval (NaN).
    """
    x, y = finite(first, "first"), finite(second, "second")
    check_level(level)
    difference, (n, m) = float(x.mean() - y.mean()), (len(x), len(y))
    low = high = difference
    error, freedom = error_and_freedom(x, y)
    if min(n, m) == 1:
        return IndependentTest(difference, float("nan"), float("nan"), 1.0, n, m, float("nan"))
    if error == 0:
        p = 1.0 if difference == 0 else 0.0
    else:
        p = float(2.0 * stats.t.sf(abs(difference) / error, freedom))
        half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
        low, high = difference - half, difference + half
    return IndependentTest(difference, low, high, p, n, m, cohen_d(x, y))


def shuffle_p(first: ArrayLike, second: ArrayLike, n_shuffles: int = N_SHUFFLES, *, seed: int = 0) -> float:
    """Two-sided p of Welch's t under random groups: how often is a shuffled |t| at least as large?

    All ways to choose the first group where there are at most ``n_shuffles``; otherwise that many random ones and
    p = (c + 1) / (n_shuffles + 1). Exact where the groups have one distribution; because t has each group's own
    variance it also holds, in large samples, where only the means are equal (Janssen, 1997; Chung and Romano, Ann.
    Statist. 2013). A group of a single user gives 1.
    """
    x, y = finite(first, "first"), finite(second, "second")
    return float(shuffle_ps(x[:, None], y[:, None], n_shuffles, seed=seed)[0])


def shuffle_ps(first: ArrayLike, second: ArrayLike, n_shuffles: int = N_SHUFFLES, *, seed: int = 0) -> Float64:
    """``shuffle_p`` of each column of (n_first, m) and (n_second, m), (m,); the columns share the shuffles."""
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n, both = len(x), np.concatenate([x, y])
    if min(n, len(y)) < 2:
        return np.ones(both.shape[1])
    both = both - both.mean(axis=0)  # sums of squares about 0 lose nothing then
    table = np.hstack([both, both**2])
    observed = _squared_t(table[:n].sum(axis=0)[None], table.sum(axis=0), n, len(both))[0]
    enough = observed * (1 - 1e-9)  # values of t that differ only by rounding are equal
    exact = comb(len(both), n) <= n_shuffles
    found, tried = np.zeros(both.shape[1]), 0
    for labels in _all_groups(len(both), n) if exact else _random_groups(len(both), n, n_shuffles, seed):
        found += (_squared_t(labels @ table, table.sum(axis=0), n, len(both)) >= enough).sum(axis=0)
        tried += len(labels)
    p: Float64 = found / tried if exact else (found + 1) / (tried + 1)
    return p


def cohen_d(first: ArrayLike, second: ArrayLike) -> float:
    """Difference of the means over the pooled standard deviation; 0 without a difference, infinite without a spread."""
    x, y = finite(first, "first"), finite(second, "second")
    difference, freedom = float(x.mean() - y.mean()), len(x) + len(y) - 2
    squares = (len(x) - 1) * spread(x) ** 2 + (len(y) - 1) * spread(y) ** 2
    if squares == 0 or freedom == 0:
        return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
    return difference / float(np.sqrt(squares / freedom))


def sample_ratio_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """p that groups of these sizes came from a split with these shares (chi-square); below .001 the split is broken.

    A share of 0 or 1 leaves a group without anybody to expect: p is 0 if it has somebody, and 1 otherwise.
    """
    n, expected = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if n.shape != expected.shape or (n < 0).any() or (expected < 0).any() or abs(expected.sum() - 1) > 1e-9:
        raise ValueError(f"counts and shares are as many, none below 0, shares with sum 1; found {counts}, {shares}")
    if (n[expected == 0] > 0).any():
        return 0.0
    some = expected > 0
    if some.sum() < 2 or n.sum() == 0:
        return 1.0
    return float(stats.chisquare(n[some], expected[some] * n.sum()).pvalue)


def error_and_freedom(x: Float64, y: Float64) -> tuple[float, float]:
    """Standard error of the difference of two means and its degrees of freedom (Welch and Satterthwaite)."""
    a, b = spread(x) ** 2 / len(x), spread(y) ** 2 / len(y)
    if a + b == 0 or min(len(x), len(y)) < 2:
        return 0.0, float("nan")
    return float(np.sqrt(a + b)), float((a + b) ** 2 / (a**2 / (len(x) - 1) + b**2 / (len(y) - 1)))


def _squared_t(sums: Float64, total: Float64, n: int, n_all: int) -> Float64:
    """Welch's t squared, (b, m), from the sums of values and squares in the first group, (b, 2m)."""
    half = sums.shape[1] // 2
    rest, m = total - sums, n_all - n
    tiny = 1e-12 * total[half:]  # what rounding leaves of a variance of 0
    errors = np.zeros((len(sums), half))
    for part, size in ((sums, n), (rest, m)):
        squares = part[:, half:] - part[:, :half] ** 2 / size
        errors += np.where(squares <= tiny, 0.0, squares) / (size - 1) / size
    distance = (sums[:, :half] / n - rest[:, :half] / m) ** 2
    distance = np.where(distance * n_all <= tiny, 0.0, distance)
    with np.errstate(divide="ignore", invalid="ignore"):
        t: Float64 = np.where(distance == 0, 0.0, distance / errors)
    return t


def _all_groups(n_all: int, n: int) -> Iterator[Float64]:
    chosen = np.array(list(combinations(range(n_all), n)))
    labels = np.zeros((len(chosen), n_all))
    np.put_along_axis(labels, chosen, 1.0, axis=1)
    yield labels


def _random_groups(n_all: int, n: int, n_shuffles: int, seed: int) -> Iterator[Float64]:
    rng = np.random.default_rng(seed)
    first = (np.arange(n_all) < n).astype(np.float64)
    block = max(1, BLOCK // n_all)
    for start in range(0, n_shuffles, block):
        rows = min(block, n_shuffles - start)
        yield rng.permuted(np.broadcast_to(first, (rows, n_all)), axis=1)
