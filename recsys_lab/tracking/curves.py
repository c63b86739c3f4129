"""The training curve of a model in MLflow: metrics by epoch, and the table as an artifact."""

from __future__ import annotations

import pandas as pd

from recsys_lab.tracking import store
from recsys_lab.tracking.store import Run

CURVE = "training_curve.csv"


def log_curve(run: Run, curve: pd.DataFrame) -> None:
    """Loss and validation after each epoch as the metrics training/PHASE_loss and training/PHASE_validation.

    ``curve`` is the ``history_`` of a neural model: phase, epoch, loss, validation (NaN where there is none), ...
    """
    for row in curve.to_dict("records"):
        for name in ("loss", "validation"):
            if pd.notna(row[name]):
                key = f"training/{row['phase']}_{name}"
                store.client().log_metric(run.run_id, key, float(row[name]), step=int(row["epoch"]))


def load_curve(run: Run) -> pd.DataFrame | None:
    """The training curve of a finished trial; None for a model without one."""
    try:
        return pd.read_csv(store.files_of(run, CURVE))
    except FileNotFoundError:
        return None
