"""Two models on the same users or folds: t tests, sign-flip randomisation, effect size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from recsys_lab.significance.inputs import Float64, check_level, finite, spread

EXACT_UP_TO = 12  # differences whose 2 ** n sign patterns are all tried
N_FLIPS = 9_999
BLOCK = 4_000_000  # signs held at once by the sign-flip test (32 MB of float64)


class PairedTest(NamedTuple):
    """The comparison of two models on the same users; differences are first minus second."""

    difference: float
    low: float
    high: float
    p: float
    n: int
    dz: float  # Cohen's d of the differences: mean / standard deviation
    wins: int
    ties: int
    losses: int


def paired_test(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> PairedTest:
    """Paired t test, two-sided, of two models' values for the same users, (n,) each, in the same order.

    When all differences are 0, p is 1 and the interval is [0, 0]. When they are all equal but not 0, p is 0 and the
    interval is that one value: there is no spread to judge by. A single user gives p = 1 and no interval (NaN).
    """
    x, y = finite(first, "first"), finite(second, "second")
    if x.shape != y.shape:
        raise ValueError(f"a paired test needs the same users on both sides; found {len(x)} and {len(y)} values")
    return _test_of_mean(x - y, level, 1.0 / len(x))


def nadeau_bengio(differences: ArrayLike, test_to_train: float, level: float = 0.95) -> PairedTest:
    """t test of differences between two models on n resampled splits (Nadeau and Bengio, Machine Learning 2003, eq. 6).

    Train sets of resampled splits overlap, so the variance of the mean is taken as (1/n + n_test/n_train) · s²;
    ``test_to_train`` is n_test/n_train, 1/(k - 1) for k folds.
    """
    d = finite(differences, "differences")
    if not test_to_train > 0:
        raise ValueError(f"test_to_train is n_test / n_train and must be above 0; found {test_to_train}")
    return _test_of_mean(d, level, 1.0 / len(d) + test_to_train)


def sign_flip_p(differences: ArrayLike, n_flips: int = N_FLIPS, *, seed: int = 0) -> float:
    """Two-sided p of the mean difference under random signs: how often is a flipped mean at least as far from 0?

    All 2^n sign patterns for n <= 12 differences; otherwise ``n_flips`` random ones and p = (c + 1) / (n_flips + 1).
    It assumes differences that are symmetric about 0 if the models are alike, and no normal distribution.
    """
    return float(sign_flip_ps(finite(differences, "differences")[:, None], n_flips, seed=seed)[0])


def sign_flip_ps(differences: ArrayLike, n_flips: int = N_FLIPS, *, seed: int = 0) -> Float64:
    """``sign_flip_p`` of each column of (n, m) differences, (m,); all columns share the flips, which saves time."""
    d = np.asarray(differences, dtype=np.float64)
    n, total = len(d), d.sum(axis=0)
    enough = np.abs(total) - 1e-12 * np.abs(d).sum(axis=0)  # sums that differ only by rounding are equal
    if n <= EXACT_UP_TO:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        exact: Float64 = (np.abs((2.0 * patterns - 1.0) @ d) >= enough).mean(axis=0)
        return exact
    rng = np.random.default_rng(seed)
    found = np.zeros(d.shape[1], dtype=np.int64)
    block = max(1, BLOCK // n)
    for start in range(0, n_flips, block):
        drawn = rng.integers(0, 256, (min(block, n_flips - start), -(-n // 8)), dtype=np.uint8)
        bits = np.unpackbits(drawn, axis=1, count=n).astype(np.float64)
        found += (np.abs(2.0 * (bits @ d) - total) >= enough).sum(axis=0)
    p: Float64 = (found + 1) / (n_flips + 1)
    return p


def cohen_dz(differences: ArrayLike) -> float:
    """Mean of the differences over their standard deviation; 0 when all are 0, infinite when all are equal."""
    d = finite(differences, "differences")
    mean, deviation = float(d.mean()), spread(d)
    if deviation == 0:
        return 0.0 if mean == 0 else float(np.copysign(np.inf, mean))
    return mean / deviation


def wins_ties_losses(differences: ArrayLike) -> tuple[int, int, int]:
    """How many differences are above, equal to and below 0."""
    d = finite(differences, "differences")
    return int((d > 0).sum()), int((d == 0).sum()), int((d < 0).sum())


def _test_of_mean(d: Float64, level: float, variance_factor: float) -> PairedTest:
    """t test that the mean of ``d`` is 0, with the variance of the mean taken as ``variance_factor`` · s²."""
    check_level(level)
    mean, n = float(d.mean()), len(d)
    error = spread(d) * float(np.sqrt(variance_factor))
    low = high = mean
    if n == 1:
        p, low, high = 1.0, float("nan"), float("nan")
    elif error == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        p = float(2.0 * stats.t.sf(abs(mean) / error, n - 1))
        half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
        low, high = mean - half, mean + half
    dz = float("nan") if n == 1 else cohen_dz(d)
    return PairedTest(mean, low, high, p, n, dz, *wins_ties_losses(d))
