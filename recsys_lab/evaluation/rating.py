"""Predicted against true ratings of the test rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys_lab.algorithms.base import RatingPredictor
from recsys_lab.data.interactions import Bool, Float64, Int32, Int64, Interactions
from recsys_lab.evaluation.protocol import Fallback
from recsys_lab.evaluation.result import mean
from recsys_lab.metrics import rating as errors_of

if TYPE_CHECKING:
    from recsys_lab.splits import Split


def predict_test(algorithm: Any, test: Interactions) -> tuple[Float64, float]:
    """Predictions of the test rows in their order, (n,) float64, NaN where impossible, and the seconds it took."""
    if not isinstance(algorithm, RatingPredictor):
        raise TypeError(
            f"{type(algorithm).__name__} ranks but predicts no ratings; "
            "use task='ranking', or an algorithm that is a RatingPredictor"
        )
    start = time.perf_counter()
    predictions = np.asarray(algorithm.predict(test.users, test.items), dtype=np.float64)
    seconds = time.perf_counter() - start
    if predictions.shape != (len(test),):
        raise ValueError(f"predict must return one rating a pair, ({len(test)},); found {predictions.shape}")
    if np.isinf(predictions).any():
        row = int(np.argmax(np.isinf(predictions)))
        raise ValueError(f"{_pair(test, row)}: the predicted rating is {predictions[row]}; it must be finite, or NaN")
    return predictions, seconds


def measure_ratings(
    predictions: Float64, test: Interactions, split: Split, fallback: Fallback
) -> tuple[dict[str, float], pd.DataFrame, list[str]]:
    """Summary, per-user table and warnings. ``test`` holds the predicted rows in their order."""
    train = split.train
    if not len(train):
        raise ValueError("train has no rows, so there is no rating scale to clip to; found an empty train part")
    scale = (float(train.ratings.min()), float(train.ratings.max()))
    made = ~np.isnan(predictions)
    filled = _filled(predictions, made, test, train, fallback)
    kept = ~np.isnan(filled)
    truth = test.ratings.astype(np.float64)
    users, rows = np.unique(test.users, return_inverse=True)
    frame, summary = _tables(
        (errors_of.clip(filled, scale) - truth)[kept], (filled - truth)[kept], rows[kept].astype(np.int64), users
    )
    frame["is_cold"] = train.user_activity[users] == 0
    summary |= {
        "prediction_coverage": mean(made.astype(np.float64)),
        "n_users": float(np.count_nonzero(frame["n_pairs"])),
        "n_users_cold": float(frame["is_cold"].sum()),
        "n_test_rows": float(len(test)),
        "n_test_rows_unknown_item": float(np.count_nonzero(train.item_popularity[test.items] == 0)),
    }
    notes = []
    outside = int(np.count_nonzero((truth < scale[0]) | (truth > scale[1])))
    if outside:
        notes.append(f"{outside} test ratings lie outside the scale of train, {scale[0]:g} to {scale[1]:g}")
    return summary, frame, notes


def _tables(clipped: Float64, raw: Float64, rows: Int64, users: Int32) -> tuple[pd.DataFrame, dict[str, float]]:
    """Per-user table and metrics from the errors (m,) of the pairs; ``rows`` (m,) point into ``users`` (n,)."""
    n = len(users)
    columns: dict[str, Any] = {
        "rmse": errors_of.user_rmse(clipped, rows, n),
        "mae": errors_of.user_mae(clipped, rows, n),
        "rmse_unclipped": errors_of.user_rmse(raw, rows, n),
        "mae_unclipped": errors_of.user_mae(raw, rows, n),
        "n_pairs": np.bincount(rows, minlength=n).astype(np.int64),
        "sse": np.bincount(rows, weights=clipped**2, minlength=n),
        "sae": np.bincount(rows, weights=np.abs(clipped), minlength=n),
        "sse_unclipped": np.bincount(rows, weights=raw**2, minlength=n),
        "sae_unclipped": np.bincount(rows, weights=np.abs(raw), minlength=n),
    }
    summary = {
        "rmse": errors_of.rmse(clipped),
        "mae": errors_of.mae(clipped),
        "rmse_macro": mean(columns["rmse"]),
        "mae_macro": mean(columns["mae"]),
        "rmse_unclipped": errors_of.rmse(raw),
        "mae_unclipped": errors_of.mae(raw),
        "rmse_macro_unclipped": mean(columns["rmse_unclipped"]),
        "mae_macro_unclipped": mean(columns["mae_unclipped"]),
    }
    return pd.DataFrame(columns, index=pd.Index(users, name="user")), summary


def _filled(predictions: Float64, made: Bool, test: Interactions, train: Interactions, fallback: Fallback) -> Float64:
    if fallback not in (None, "global_mean", "drop"):
        raise ValueError(f"rating_fallback is None, 'global_mean' or 'drop'; found {fallback!r}")
    if made.all() or fallback == "drop":
        return predictions
    if fallback == "global_mean":
        return np.where(made, predictions, train.ratings.mean(dtype=np.float64))
    n_missing = np.count_nonzero(~made)
    raise ValueError(
        f"{_pair(test, int(np.argmin(made)))}: no rating can be predicted ({n_missing} of {len(made)} test pairs); "
        "name a fallback: rating_fallback='global_mean' (mean of train) or 'drop'"
    )


def _pair(test: Interactions, row: int) -> str:
    return f"user {test.catalogue.user_id(test.users[row])!r}, item {test.catalogue.item_id(test.items[row])!r}"
