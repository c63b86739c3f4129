"""What every statistic asks of its input, and the one standard deviation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def finite(values: ArrayLike, name: str) -> Float64:
    """``values`` as (n,) float64; ValueError without values or when one is not finite."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"{name} must be a 1-d array with at least one value; found shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(
            f"{name} must be finite; value {int(np.argmin(np.isfinite(x)))} is {x[~np.isfinite(x)][0]}. "
            "Leave out users for whom the metric is not defined"
        )
    return x


def probabilities(p_values: ArrayLike) -> Float64:
    """``p_values`` as (m,) float64; ValueError when one lies outside [0, 1]."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be a 1-d array of numbers in [0, 1]; found {p_values!r}")
    return p


def check_level(level: float) -> None:
    """ValueError unless ``level`` is a share such as .95."""
    if not 0 < level < 1:
        raise ValueError(f"level is a share such as .95; found {level}")


def spread(d: Float64) -> float:
    """Sample standard deviation; exactly 0 when all values are equal, where rounding would leave dust."""
    return 0.0 if len(d) < 2 or bool((d == d[0]).all()) else float(d.std(ddof=1))
