"""Trials as flat MLflow runs: begun, finished or failed, found again, and read back as evaluations."""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.checks import Check, summary_of
from recsys_lab.data.interactions import Interactions
from recsys_lab.evaluation import Evaluation, segment_report
from recsys_lab.experiment import Experiment, Trial, code_version, sweep_id
from recsys_lab.splits import Split
from recsys_lab.tracking import store
from recsys_lab.tracking.check_files import write_checks
from recsys_lab.tracking.curves import CURVE, log_curve
from recsys_lab.tracking.environment import git_tags, versions
from recsys_lab.tracking.names import TRIAL, run_page, shown_metrics
from recsys_lab.tracking.records import log_records
from recsys_lab.tracking.searches import TUNING, log_tuning
from recsys_lab.tracking.store import Run
from recsys_lab.tuning import TuningRecord

SEGMENTS = "segments.csv"  # artifact: the primary metric in groups of users and items
EVALUATION = "evaluation"  # artifact folder of the per-user table, the lists and the means


def begin_trial(experiment: Experiment, trial: Trial) -> Run:
    """A RUNNING run that says which trial it is; a crash leaves it to be closed by ``close_stale_runs``."""
    notebook_run, notebook = os.environ.get("MLFLOW_RUN_ID", ""), os.environ.get("RECSYS_LAB_NOTEBOOK", "")
    tags = {
        "kind": TRIAL,
        "trial_id": trial.trial_id,
        "sweep_id": sweep_id(experiment),
        "family": trial.family,
        "algorithm": trial.algorithm,
        "label": trial.label,
        "dataset": trial.dataset,
        "split": str(trial.split),
        "fold": "" if trial.fold is None else str(trial.fold),
        "seed": str(trial.seed),
        "hyper_parameters": trial.origin,
        "code_version": code_version(),
        **git_tags(),
    }
    if notebook_run:
        tags |= {"notebook_run_id": notebook_run, "notebook": notebook}
        tags |= {"mlflow.source.name": notebook or "recsys_lab", "mlflow.source.type": "NOTEBOOK"}
    else:
        tags |= {"mlflow.source.name": "recsys_lab", "mlflow.source.type": "LOCAL"}
    return store.start_run(experiment.name, trial.run_name, tags)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a trial came to, to be recorded."""

    evaluation: Evaluation
    split: Split
    data: Interactions
    curve: pd.DataFrame | None = None  # the training of a neural model, one row an epoch
    checks: tuple[Check, ...] = ()  # of the split and of this evaluation
    tuning: TuningRecord | None = None  # None: the hyper-parameters were not searched
    algorithm: Algorithm | None = None  # as it was fitted, when it is at hand


def finish_trial(run: Run, experiment: Experiment, trial: Trial, outcome: Outcome) -> None:
    """Record what was measured: parameters, at most about 15 metrics, hashes, the data, and the full artifacts.

    Loss and validation of a training curve become metrics by epoch.
    """
    evaluation, split, data, curve = outcome.evaluation, outcome.split, outcome.data, outcome.curve
    cost = evaluation.cost
    means = {
        **evaluation.summary,
        "fit_s": cost.fit_s,
        "ms_per_user": cost.ms_per_user,
        "peak_rss_mb": cost.peak_rss_mb,
    }
    _log_artifacts(run, outcome)
    segments = segment_report(evaluation, split, experiment.evaluation.primary)
    store.log_text(run, segments.to_csv(index=False), SEGMENTS)
    if curve is not None:
        log_curve(run, curve)
    if outcome.tuning is not None:
        log_tuning(run, outcome.tuning)
    card = log_records(run, experiment, trial, outcome)
    _log_data(run, trial, evaluation, split, data)
    store.log(
        run,
        metrics=shown_metrics(means, experiment.evaluation.primary),
        params=_params(trial, evaluation, split, data),
        tags={
            "dataset_hash": evaluation.dataset_hash,
            "split_hash": evaluation.split_hash,
            "split_group": split.card.group,
            "split_strategy": split.card.strategy,
            "protocol_hash": str(evaluation.protocol.get("hash", "")),
            "primary": experiment.evaluation.primary,
            "checks": summary_of(outcome.checks),
            "card_status": str(card["status"]),
            "mlflow.note.content": _note(run, experiment),
        },
    )
    store.finish(run, "FINISHED")


def _params(trial: Trial, evaluation: Evaluation, split: Split, data: Interactions) -> dict[str, Any]:
    info = data.catalogue.info
    return {
        "algorithm": trial.algorithm,
        "dataset": trial.dataset,
        "split": split.card.strategy,
        "fold": "" if trial.fold is None else trial.fold,
        "seed": trial.seed,
        "licence": info.get("licence") or "unknown",
        "source": info.get("url") or info.get("source") or "unknown",
        **evaluation.parameters,
    }


def _log_artifacts(run: Run, outcome: Outcome) -> None:
    evaluation, split, curve = outcome.evaluation, outcome.split, outcome.curve
    with tempfile.TemporaryDirectory(prefix="recsys_lab_") as folder:
        evaluation.save(Path(folder) / EVALUATION)
        (Path(folder) / "split_card.json").write_text(_json(split.card.__dict__), encoding="utf-8")
        (Path(folder) / "environment.txt").write_text(versions(), encoding="utf-8")
        write_checks(Path(folder), outcome.checks)
        if curve is not None:
            curve.to_csv(Path(folder) / CURVE, index=False)
        if outcome.tuning is not None:
            outcome.tuning.save(Path(folder) / TUNING)
        store.log_files(run, Path(folder))


def _log_data(run: Run, trial: Trial, evaluation: Evaluation, split: Split, data: Interactions) -> None:
    info = data.catalogue.info
    size = {"rows": len(data), "users": data.n_users, "items": data.n_items, "filters": info.get("filters")}
    store.log_dataset(
        run,
        name=trial.dataset,
        digest=evaluation.dataset_hash,
        source=_json({key: info.get(key) for key in ("name", "version", "url", "licence", "raw_sha256")}),
        profile=_json(size),
        context=split.card.strategy,
    )


def fail_trial(run: Run, error: BaseException) -> None:
    """Close a run as FAILED, with the message in a tag and the traceback as an artifact."""
    text = "".join(traceback.format_exception(error))
    store.log_text(run, text, "traceback.txt")
    message = failure_message(error)
    note = f"**Failed:** {message}\n\n```\n{text[-4000:]}\n```"
    store.log(run, tags={"error": message, "mlflow.note.content": note})
    store.finish(run, "FAILED")


def failure_message(error: BaseException) -> str:
    """One line that says what went wrong."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:1000]


def find_trials(experiment: str, trial_ids: Collection[str] | None = None, sweep: str = "") -> dict[str, Run]:
    """The newest run of each trial of an experiment (by its name), FINISHED ones first; keyed by trial id.

    Only trials among ``trial_ids`` when given, only those of the sweep ``sweep`` when given. Creates nothing.
    """
    condition = f"tags.kind = '{TRIAL}'" + (f" and tags.sweep_id = '{sweep}'" if sweep else "")
    found: dict[str, Run] = {}
    for run in store.find_runs(experiment, condition):
        trial_id = run.tags.get("trial_id", "")
        if trial_ids is not None and trial_id not in trial_ids:
            continue
        known = found.get(trial_id)
        if known is None or (run.status == "FINISHED" and known.status != "FINISHED"):
            found[trial_id] = run
    return found


def find_trial(experiment: str, trial_id: str) -> Run | None:
    """The finished run of one trial, or None."""
    runs = store.find_runs(experiment, f"tags.trial_id = '{trial_id}' and attributes.status = 'FINISHED'")
    return runs[0] if runs else None


def load_evaluation(run: Run) -> Evaluation:
    """The evaluation of a finished trial, as it was measured; FileNotFoundError when its artifacts are gone."""
    return Evaluation.load(store.files_of(run, EVALUATION))


def _note(run: Run, experiment: Experiment) -> str:
    lines = [f"**{experiment.question}**"]
    notebook_run = run.tags.get("notebook_run_id")
    if notebook_run:
        link = run_page(run.experiment_id, notebook_run)
        lines.append(f"Made by the notebook [{run.tags.get('notebook', 'notebook')}]({link}).")
    return "\n\n".join(lines)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)
