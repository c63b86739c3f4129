"""What a t test could have seen: its power, and the smallest difference it finds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from recsys_lab.significance.independent import error_and_freedom
from recsys_lab.significance.inputs import Float64, check_level, finite, spread

N_NODES = 64  # power to 1e-5


def power_of_test(
    differences: ArrayLike,
    effect: float,
    level: float = 0.95,
    *,
    n_comparisons: int = 1,
    test_to_train: float = 0.0,
) -> float:
    """The probability that a paired t test on differences that spread like these finds a true mean of ``effect``.

    Two-sided at a = (1 - level) / ``n_comparisons``, the first and hardest step of Holm; noncentral t with n - 1
    degrees of freedom. ``test_to_train`` above 0: Nadeau and Bengio's test on n folds. NaN for a single value.
    """
    d = _checked(differences, level, n_comparisons)
    if not effect > 0:
        raise ValueError(f"effect is a difference above 0; found {effect}")
    error = _error(d, test_to_train)
    if len(d) == 1:
        return float("nan")
    return 1.0 if error == 0 else _power(effect / error, len(d) - 1, (1 - level) / n_comparisons)


def minimum_detectable_difference(
    differences: ArrayLike,
    power: float = 0.8,
    level: float = 0.95,
    *,
    n_comparisons: int = 1,
    test_to_train: float = 0.0,
) -> float:
    """The smallest true mean difference that ``power_of_test`` gives the probability ``power``. NaN for one value."""
    d = _checked(differences, level, n_comparisons)
    if not 0 < power < 1:
        raise ValueError(f"power lies in (0, 1); found {power}")
    if len(d) == 1:
        return float("nan")
    return _detectable(power, len(d) - 1, (1 - level) / n_comparisons) * _error(d, test_to_train)


def minimum_detectable_between(
    first: ArrayLike, second: ArrayLike, power: float = 0.8, level: float = 0.95, *, n_comparisons: int = 1
) -> float:
    """The smallest true difference of two independent groups that Welch's t test finds with the probability ``power``.

    For groups of these sizes that spread like these. NaN for a group of one value.
    """
    x, y = _checked(first, level, n_comparisons), _checked(second, level, n_comparisons)
    if not 0 < power < 1:
        raise ValueError(f"power lies in (0, 1); found {power}")
    if min(len(x), len(y)) == 1:
        return float("nan")
    error, freedom = error_and_freedom(x, y)
    return _detectable(power, int(freedom), (1 - level) / n_comparisons) * error if error else 0.0


def _power(distance: float, freedom: int, alpha: float) -> float:
    """Of a two-sided t test whose mean lies ``distance`` standard errors from 0."""
    critical = stats.t.isf(alpha / 2, freedom)
    scale, weight = _scales(freedom)
    seen = stats.norm.cdf(distance - critical * scale) + stats.norm.cdf(-distance - critical * scale)
    return float(weight @ seen)


@lru_cache(maxsize=64)
def _scales(freedom: int) -> tuple[Float64, Float64]:
    """Values of s / sigma and their weights: the noncentral t as a mean of normals, since scipy's is NaN far out."""
    node, weight = np.polynomial.legendre.leggauss(N_NODES)
    scale = np.sqrt(stats.chi2.ppf((node + 1) / 2, freedom) / freedom)
    return scale, weight / 2


@lru_cache(maxsize=256)
def _detectable(power: float, freedom: int, alpha: float) -> float:
    """The distance in standard errors at which the test has that power; ``alpha`` itself is the power at 0."""
    if power <= alpha:
        return 0.0
    highest = 2.0 * float(stats.t.isf(alpha / 2, freedom) + abs(stats.t.ppf(power, freedom))) + 1.0
    return float(optimize.brentq(lambda distance: _power(distance, freedom, alpha) - power, 0.0, highest, rtol=1e-10))


def _error(d: Float64, test_to_train: float) -> float:
    return spread(d) * float(np.sqrt(1.0 / len(d) + test_to_train))


def _checked(differences: ArrayLike, level: float, n_comparisons: int) -> Float64:
    check_level(level)
    if n_comparisons < 1:
        raise ValueError(f"n_comparisons is at least 1; found {n_comparisons}")
    return finite(differences, "differences")
