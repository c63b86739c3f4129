"""The search for a trial's hyper-parameters, as an experiment asks for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from recsys_lab import tracking
from recsys_lab.experiment import Experiment, Trial, code_version, tuning_identity
from recsys_lab.splits import Split
from recsys_lab.trials.warm import warm
from recsys_lab.tuning import TuningRecord, tune


def search(experiment: Experiment, trial: Trial, splits: Sequence[Split], *, log: bool, progress: bool) -> TuningRecord:
    """Search what the trial leaves open, ``trial.space``, on the validation part of its fold among ``splits``.

    With ``log`` the study is kept beside the MLflow database: an interrupted search goes on, and the trials of all
    seeds share one search. Every trial of the search is one line for the runner's progress bar.
    """
    spec = experiment.tuning
    if spec is None:
        raise ValueError(f"the experiment {experiment.name!r} has no key tuning, so nothing is searched")
    split = next(split for split in splits if split.card.fold == trial.fold)
    protocol = experiment.evaluation.model_dump(exclude={"primary", "metrics", "cutoffs"})
    fixed = {name: value for name, value in trial.parameters.items() if name != "random_state" or not trial.stochastic}
    warm(trial.make(), protocol)
    bar = _bar(trial, spec.n_trials, progress)
    told = 0

    def on_trial(number: int, best: float) -> None:
        nonlocal told
        bar.set_postfix_str(f"best {best:.4f}")
        bar.update(number - bar.n)
        tell_runner(trial, number - told)
        told = number

    with bar:
        record = tune(
            trial.algorithm,
            split,
            trial.space,
            fixed=fixed,
            metric=experiment.evaluation.primary,
            **spec.model_dump(),
            protocol=protocol,
            storage=tracking.local_folder() / "tuning.db" if log else None,
            key=f"{code_version()} {tuning_identity(experiment)['code']}",
            on_trial=on_trial,
        )
    tell_runner(trial, spec.n_trials - told)
    return record


def tell_runner(trial: Trial, lines: int = 1) -> None:
    """So many lines more in the file the runner reads for its progress bar."""
    path = os.environ.get("RECSYS_LAB_PROGRESS")
    if path and lines > 0:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(f"{trial.label}\n" * lines)


def _bar(trial: Trial, n_trials: int, progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=n_trials, desc=trial.label, unit="trial", leave=False, disable=not progress)
