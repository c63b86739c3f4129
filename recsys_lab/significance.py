"""Intervals, paired tests, corrections for many tests, and effect sizes: pure functions on arrays.

Every value belongs to one user (or one fold); arrays must be finite, so leave out users without a value first. Methods:
docs/statistics.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

SMALL_SAMPLE = 200  # fewer users get a bootstrap interval: the t interval trusts a normal mean
EXACT_UP_TO = 12  # differences whose 2 ** n sign patterns are all tried
N_BOOTSTRAP = 9_999
N_FLIPS = 9_999
BLOCK = 4_000_000  # signs held at once by the sign-flip test (32 MB of float64)


class Interval(NamedTuple):
    """A mean with its interval. ``method`` is "t", "bootstrap", or "none" for a single value (bounds NaN)."""

    mean: float
    low: float
    high: float
    n: int
    method: str


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


def mean_interval(values: ArrayLike, level: float = 0.95, *, seed: int = 0) -> Interval:
    """The mean of ``values`` (n,) with its interval: Student's t, below 200 values the bootstrap percentile.

    The bootstrap draws 9,999 samples with the seed. One value has no interval (NaN). Raises ValueError without values.
    """
    x = _finite(values, "values")
    _check_level(level)
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, float("nan"), float("nan"), 1, "none")
    if len(x) < SMALL_SAMPLE:
        drawn = np.random.default_rng(seed).integers(0, len(x), (N_BOOTSTRAP, len(x)))
        low, high = np.quantile(x[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
        return Interval(mean, float(low), float(high), len(x), "bootstrap")
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 1)) * _spread(x) / float(np.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half, len(x), "t")


def paired_test(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> PairedTest:
    """Paired t test, two-sided, of two models' values for the same users, (n,) each, in the same order.

    When all differences are 0, p is 1 and the interval is [0, 0]. When they are all equal but not 0, p is 0 and the
    interval is that one value: there is no spread to judge by. A single user gives p = 1 and no interval (NaN).
    """
    x, y = _finite(first, "first"), _finite(second, "second")
    if x.shape != y.shape:
        raise ValueError(f"a paired test needs the same users on both sides; found {len(x)} and {len(y)} values")
    return _test_of_mean(x - y, level, 1.0 / len(x))


def nadeau_bengio(differences: ArrayLike, test_to_train: float, level: float = 0.95) -> PairedTest:
    """t test of differences between two models on n resampled splits (Nadeau and Bengio, Machine Learning 2003, eq. 6).

    Train sets of resampled splits overlap, so the variance of the mean is taken as (1/n + n_test/n_train) · s²;
    ``test_to_train`` is n_test/n_train, 1/(k - 1) for k folds.
    """
    d = _finite(differences, "differences")
    if not test_to_train > 0:
        raise ValueError(f"test_to_train is n_test / n_train and must be above 0; found {test_to_train}")
    return _test_of_mean(d, level, 1.0 / len(d) + test_to_train)


def sign_flip_p(differences: ArrayLike, n_flips: int = N_FLIPS, *, seed: int = 0) -> float:
    """Two-sided p of the mean difference under random signs: how often is a flipped mean at least as far from 0?

    All 2^n sign patterns for n <= 12 differences; otherwise ``n_flips`` random ones and p = (c + 1) / (n_flips + 1).
    It assumes differences that are symmetric about 0 if the models are alike, and no normal distribution.
    """
    return float(sign_flip_ps(_finite(differences, "differences")[:, None], n_flips, seed=seed)[0])


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


def holm(p_values: ArrayLike) -> Float64:
    """P-values corrected for their number by Holm's step-down method, (m,), in the given order.

    The smallest is multiplied by m, the next by m - 1, ...; none is smaller than one before it, none above 1.
    Rejecting below .05 keeps the chance of any false rejection below .05 (Holm, Scand. J. Statist. 1979).
    """
    p = _probabilities(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected: Float64 = np.minimum(steps, 1.0)[np.argsort(order)]
    return corrected


def benjamini_hochberg(p_values: ArrayLike) -> Float64:
    """P-values corrected by Benjamini and Hochberg's step-up method, (m,), in the given order.

    Rejecting below .05 keeps the expected share of false rejections below .05 (J. R. Statist. Soc. B 1995).
    """
    p = _probabilities(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    steps = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1))
    corrected: Float64 = np.minimum(steps, 1.0)[np.argsort(order)]
    return corrected


def cohen_dz(differences: ArrayLike) -> float:
    """Mean of the differences over their standard deviation; 0 when all are 0, infinite when all are equal."""
    d = _finite(differences, "differences")
    mean, spread = float(d.mean()), _spread(d)
    if spread == 0:
        return 0.0 if mean == 0 else float(np.copysign(np.inf, mean))
    return mean / spread


def wins_ties_losses(differences: ArrayLike) -> tuple[int, int, int]:
    """How many differences are above, equal to and below 0."""
    d = _finite(differences, "differences")
    return int((d > 0).sum()), int((d == 0).sum()), int((d < 0).sum())


def minimum_detectable_difference(
    differences: ArrayLike, power: float = 0.8, level: float = 0.95, *, n_comparisons: int = 1
) -> float:
    """The smallest true mean difference that a paired t test on so many such users finds with probability ``power``.

    (t(1 - a/2) + t(power)) · s / √n with n - 1 degrees of freedom and a = (1 - level) / ``n_comparisons``, the first
    and hardest step of Holm. NaN for a single user.
    """
    d = _finite(differences, "differences")
    _check_level(level)
    if not 0 < power < 1 or n_comparisons < 1:
        raise ValueError(f"power lies in (0, 1) and n_comparisons is at least 1; found {power} and {n_comparisons}")
    if len(d) == 1:
        return float("nan")
    alpha = (1 - level) / n_comparisons
    quantiles = float(stats.t.ppf(1 - alpha / 2, len(d) - 1) + stats.t.ppf(power, len(d) - 1))
    return quantiles * _spread(d) / float(np.sqrt(len(d)))


def rank_groups(values: ArrayLike, *, higher_is_better: bool = True, level: float = 0.95) -> Int64:
    """The rank group of each model, (n_models,), 1 = best, from its values for the same users, (n_users, n_models).

    All pairs are compared by paired t tests under one Holm correction. From the best mean down, a model joins the
    group of the leader (the best model of the group) when the test does not tell the two apart, else it leads the
    next group.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"rank_groups needs finite values of shape (n_users, n_models); found shape {x.shape}")
    n_models = x.shape[1]
    first, second = np.triu_indices(n_models, k=1)
    raw = [_test_of_mean(x[:, i] - x[:, j], level, 1.0 / len(x)).p for i, j in zip(first, second)]
    p = np.ones((n_models, n_models))
    p[first, second] = p[second, first] = holm(raw) if raw else []
    means = x.mean(axis=0)
    order = np.argsort(-means if higher_is_better else means, kind="stable")
    groups = np.zeros(n_models, dtype=np.int64)
    group, leader = 0, -1
    for model in order:
        if leader < 0 or p[leader, model] < 1 - level:
            group, leader = group + 1, model
        groups[model] = group
    return groups


def _test_of_mean(d: Float64, level: float, variance_factor: float) -> PairedTest:
    """t test that the mean of ``d`` is 0, with the variance of the mean taken as ``variance_factor`` · s²."""
    _check_level(level)
    mean, n = float(d.mean()), len(d)
    error = _spread(d) * float(np.sqrt(variance_factor))
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


def _spread(d: Float64) -> float:
    """Sample standard deviation; exactly 0 when all values are equal, where rounding would leave dust."""
    return 0.0 if len(d) < 2 or bool((d == d[0]).all()) else float(d.std(ddof=1))


def _finite(values: ArrayLike, name: str) -> Float64:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"{name} must be a 1-d array with at least one value; found shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(
            f"{name} must be finite; value {int(np.argmin(np.isfinite(x)))} is {x[~np.isfinite(x)][0]}. "
            "Leave out users for whom the metric is not defined"
        )
    return x


def _probabilities(p_values: ArrayLike) -> Float64:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be a 1-d array of numbers in [0, 1]; found {p_values!r}")
    return p


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is a share such as .95; found {level}")
