"""The interval of one mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from recsys_lab.significance.inputs import Float64, check_level, finite, spread

SMALL_SAMPLE = 200  # fewer users get a bootstrap interval: the t interval trusts a normal mean
N_BOOTSTRAP = 9_999


class Interval(NamedTuple):
    """A mean with its interval. ``method`` is "t", "bootstrap", or "none" for a single value (bounds NaN)."""

    mean: float
    low: float
    high: float
    n: int
    method: str


def mean_interval(values: ArrayLike, level: float = 0.95, *, seed: int = 0) -> Interval:
    """The mean of ``values`` (n,) with its interval: Student's t, below 200 values the BCa bootstrap.

    The bootstrap draws 9,999 samples with the seed and corrects the percentiles for bias and skewness (Efron, JASA
    1987): plain percentiles cover too rarely when most values are 0 (docs/statistics.md has the figures). One value
    has no interval (NaN). Raises ValueError without values.
    """
    x = finite(values, "values")
    check_level(level)
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, float("nan"), float("nan"), 1, "none")
    if len(x) < SMALL_SAMPLE:
        return Interval(mean, *_bias_corrected(x, level, seed), len(x), "bootstrap")
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 1)) * spread(x) / float(np.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half, len(x), "t")


def _bias_corrected(x: Float64, level: float, seed: int) -> tuple[float, float]:
    """BCa bounds: percentiles moved by the share of samples below the mean and by the third moment."""
    mean = float(x.mean())
    if spread(x) == 0:
        return mean, mean
    drawn = x[np.random.default_rng(seed).integers(0, len(x), (N_BOOTSTRAP, len(x)))].mean(axis=1)
    below = float(((drawn < mean).mean() + (drawn <= mean).mean()) / 2)
    bias = stats.norm.ppf(np.clip(below, 1 / (N_BOOTSTRAP + 1), N_BOOTSTRAP / (N_BOOTSTRAP + 1)))
    d = x - mean
    acceleration = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    moved = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(drawn, stats.norm.cdf(bias + moved / (1 - acceleration * moved)))
    return float(low), float(high)
