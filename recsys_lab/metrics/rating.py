"""Rating metrics: how far predicted ratings are from the true ones. Lower is better; 0 is perfect."""

from __future__ import annotations

import numpy as np

from recsys_lab.data.interactions import Float64, Int64
from recsys_lab.metrics.ratios import ratio


def rmse(errors: Float64) -> float:
    """Root of the mean squared error over all pairs (micro), in rating units; NaN without pairs."""
    return float(np.sqrt(np.mean(np.square(errors)))) if len(errors) else float("nan")


def mae(errors: Float64) -> float:
    """Mean absolute error over all pairs (micro), in rating units; NaN without pairs."""
    return float(np.mean(np.abs(errors))) if len(errors) else float("nan")


def user_rmse(errors: Float64, rows: Int64, n: int) -> Float64:
    """The rmse of each user, (n,); ``rows`` (m,) says whose pair it is; NaN for a user without pairs."""
    return np.asarray(np.sqrt(_user_mean(np.square(errors), rows, n)))


def user_mae(errors: Float64, rows: Int64, n: int) -> Float64:
    """The mae of each user, (n,); NaN for a user without pairs."""
    return _user_mean(np.abs(errors), rows, n)


def clip(predictions: Float64, scale: tuple[float, float]) -> Float64:
    """Predictions moved into the scale (lowest, highest rating); with a truth inside it no error grows."""
    return np.clip(predictions, *scale)


def _user_mean(values: Float64, rows: Int64, n: int) -> Float64:
    counts = np.bincount(rows, minlength=n)
    sums = np.bincount(rows, weights=values, minlength=n)
    return ratio(sums, counts)
