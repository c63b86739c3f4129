"""A search for hyper-parameters in MLflow: the metrics tuning/value and tuning/best by trial, and its artifacts."""

from __future__ import annotations

from recsys_lab.tracking import store
from recsys_lab.tracking.store import Run
from recsys_lab.tuning import TuningRecord

TUNING = "tuning"  # artifact folder of trials.csv and ledger.json


def log_tuning(run: Run, record: TuningRecord) -> None:
    """The value of every trial and the best so far as metrics by trial; what it cost as the metrics tuning/..."""
    for row in record.trials.to_dict("records"):
        for name in ("value", "best"):
            if row[name] == row[name]:
                store.client().log_metric(run.run_id, f"{TUNING}/{name}", float(row[name]), step=int(row["number"]))
    cost = {"n_trials": record.n_trials, "n_failed": record.n_failed, "seconds": record.seconds}
    store.log(run, metrics={f"{TUNING}/{name}": float(value) for name, value in cost.items()})


def load_tuning(run: Run) -> TuningRecord:
    """How the hyper-parameters of a finished trial were found; FileNotFoundError when they were not searched."""
    return TuningRecord.load(store.files_of(run, TUNING))
