"""``open_family`` and what it gives: the trials of one notebook, run or read back, and their tables."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from recsys_lab import tracking
from recsys_lab.algorithms.base import Algorithm
from recsys_lab.checks import Check
from recsys_lab.data.interactions import Interactions
from recsys_lab.evaluation import Evaluation, evaluate
from recsys_lab.experiment import FAMILIES, Experiment, Trial, expand, load_experiment, select
from recsys_lab.splits import Split
from recsys_lab.trials.checking import RunChecks, of_fold, wanted_checks
from recsys_lab.trials.prepare import load_data, make_splits, search_splits
from recsys_lab.trials.progress import progress_bar
from recsys_lab.trials.searches import search, tell_runner
from recsys_lab.trials.tables import family_table
from recsys_lab.trials.warm import warm
from recsys_lab.tuning import TuningRecord


def open_family(
    experiment: str | Path | Experiment = "",
    family: str | None = None,
    *,
    split: int = 0,
    fold: int = -1,
    seed: int | None = None,
    log: bool | None = None,
    overrides: Sequence[str] = (),
) -> FamilyWork:
    """Load the data, make the split and list the trials of ``family`` (None = all families) with the baselines.

    ``fold=-1`` means all folds of a k_fold; ``seed=None`` the experiment's first. ``log=None`` records in MLflow only
    inside a notebook that the runner started. Raises ValueError for an unknown family, split or fold.
    """
    spec = experiment if isinstance(experiment, Experiment) else load_experiment(experiment, overrides)
    if family is not None and family not in spec.families:
        known = ", ".join(spec.families)
        hint = "" if family in FAMILIES else f"; families are called {', '.join(FAMILIES)}"
        raise ValueError(f"the experiment {spec.name!r} has no family {family!r}; it has {known}{hint}")
    if seed is not None and seed not in spec.seeds:
        spec = spec.model_copy(update={"seeds": (seed,)})
    chosen = spec.seeds[0] if seed is None else seed
    if log is None:
        log = "RECSYS_LAB_NOTEBOOK" in os.environ
    if os.environ.get("RECSYS_LAB_NOTEBOOK"):
        tracking.die_with_parent()
    data = load_data(spec)
    splits = make_splits(spec, split, fold, data)
    trials = select(expand(spec), family=family, split=split, fold=fold, seed=chosen)
    return FamilyWork(experiment=spec, family=family, data=data, splits=splits, trials=trials, log=bool(log))


@dataclass(eq=False, kw_only=True)
class FamilyWork:
    """The trials of one notebook. ``evaluations`` and ``algorithms`` belong to ``split``, the first of ``splits``."""

    experiment: Experiment
    family: str | None
    data: Interactions
    splits: list[Split]
    trials: list[Trial]
    log: bool = False
    fold_evaluations: dict[int, dict[str, Evaluation]] = field(default_factory=dict)  # fold (0 without folds) -> label
    algorithms: dict[str, Algorithm] = field(default_factory=dict)  # fitted on split.train in this process
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)  # label -> loss by epoch, of models that have one
    records: dict[str, TuningRecord] = field(default_factory=dict)  # trial id -> how its hyper-parameters were found
    failures: dict[str, str] = field(default_factory=dict)  # label -> message
    notes: dict[str, list[str]] = field(default_factory=dict)  # label -> what evaluate warned of
    checks: dict[str, tuple[Check, ...]] = field(default_factory=dict)  # label -> those of its trial; of the first fold

    def __repr__(self) -> str:
        labels = dict.fromkeys(trial.label for trial in self.trials)
        return f"FamilyWork({self.experiment.name}, {self.family or 'all families'}: {', '.join(labels)})"

    @property
    def split(self) -> Split:
        return self.splits[0]

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """What was measured on ``split``, by label."""
        return self.fold_evaluations.get(self._first_fold, {})

    @property
    def tunings(self) -> dict[str, TuningRecord]:
        """How the hyper-parameters were found, by label; those of ``split``."""
        here = [trial for trial in self.trials if (trial.fold or 0) == self._first_fold]
        return {trial.label: self.records[trial.trial_id] for trial in here if trial.trial_id in self.records}

    @property
    def baselines(self) -> tuple[str, ...]:
        """Labels of the baselines, the Oracle left out: it is a reference, nothing to be beaten."""
        return tuple(
            dict.fromkeys(trial.label for trial in self.trials if trial.is_baseline and trial.algorithm != "Oracle")
        )

    @cached_property
    def _run_checks(self) -> RunChecks:
        return RunChecks(self.experiment, self.data, self.splits, log=self.log)

    @cached_property
    def _first_fold(self) -> int:
        return self.splits[0].card.fold or 0

    @cached_property
    def _search_splits(self) -> list[Split]:
        fold = -1 if len(self.splits) > 1 or self.split.card.fold is None else self.split.card.fold
        return search_splits(self.experiment, self.trials[0].split, fold, self.data)

    def run(self, *, progress: bool = True) -> dict[str, Evaluation]:
        """Fit and evaluate every trial, or read it back when it is finished; the evaluations of ``split`` by label.

        A failing algorithm is recorded in ``failures`` (and in MLflow) and left out; the others go on. Raises
        LeakError, before anything is fitted, when a check of the data or the split fails that must not.
        """
        self._run_checks.require()
        # baselines last: another notebook has probably finished them by then
        ordered = sorted(self.trials, key=lambda trial: trial.is_baseline)
        bar = progress_bar(ordered, progress)
        for trial in bar:
            if progress:
                bar.set_postfix_str(trial.label)
            evaluation = self._logged(trial, progress) if self.log else self._tried(trial, progress)
            if evaluation is not None:
                self.notes.setdefault(trial.label, list(evaluation.warnings))
                self.fold_evaluations.setdefault(trial.fold or 0, {})[trial.label] = evaluation
            tell_runner(trial)
        written = list(dict.fromkeys(trial.label for trial in self.trials))
        for fold, found in self.fold_evaluations.items():
            self.fold_evaluations[fold] = {label: found[label] for label in written if label in found}
        return self.evaluations

    def table(self, metrics: Sequence[str] | None = None) -> pd.DataFrame:
        """Model × metrics, the best first by the primary metric; means over folds. Run first.

        ``metrics=None``: those shown in MLflow, at the primary metric's cut-off, and the costs.
        """
        return family_table(self.fold_evaluations.values(), self.experiment.evaluation.primary, metrics)

    def algorithm(self, label: str) -> Algorithm:
        """The algorithm fitted on ``split.train``; fitted now when its trial was read back from MLflow."""
        if label not in self.algorithms:
            known = {trial.label: trial for trial in self.trials if (trial.fold or 0) == self._first_fold}
            if label not in known:
                raise ValueError(f"no model is called {label!r} here; there are {', '.join(known)}")
            found = self.records.get(known[label].trial_id)
            algorithm = known[label].make(found.best_parameters if found else None)
            self.algorithms[label] = algorithm.fit(self.split.train)
        return self.algorithms[label]

    def _tried(self, trial: Trial, progress: bool) -> Evaluation | None:
        try:
            return self._evaluate(trial, progress)[0]
        except Exception as error:  # one failing algorithm must not stop the others
            self._note_failure(trial, error)
            return None

    def _logged(self, trial: Trial, progress: bool) -> Evaluation | None:
        tracking.init_store(self.experiment.name)
        with tracking.lock(f"trial-{trial.trial_id}"):  # another process at the same trial finishes it for us
            run = tracking.find_trial(self.experiment.name, trial.trial_id)
            known = () if run is None else tracking.load_checks(run)
            # a check that was asked for since costs a fit: the trial is done again
            if run is not None and wanted_checks(self.experiment, trial) <= {check.id for check in known}:
                try:
                    evaluation = tracking.load_evaluation(run)
                    self.checks.setdefault(trial.label, known)
                    _keep(self.curves, trial, tracking.load_curve(run))
                    if trial.space:
                        self.records[trial.trial_id] = tracking.load_tuning(run)
                    return evaluation
                except FileNotFoundError:
                    pass  # the artifacts were deleted: measured again below
            run = tracking.begin_trial(self.experiment, trial)
            try:
                evaluation, checks = self._evaluate(trial, progress)
                split = self._split_of(trial)
                outcome = tracking.Outcome(
                    evaluation,
                    split,
                    self.data,
                    self.curves.get(trial.label),
                    checks,
                    tuning=self.records.get(trial.trial_id),
                    algorithm=self.algorithms.get(trial.label) if split is self.split else None,
                )
                tracking.finish_trial(run, self.experiment, trial, outcome)
            except Exception as error:
                tracking.fail_trial(run, error)
                self._note_failure(trial, error)
                return None
            except BaseException:  # Ctrl-C
                tracking.finish(run, "KILLED")
                raise
        return evaluation

    def _evaluate(self, trial: Trial, progress: bool) -> tuple[Evaluation, tuple[Check, ...]]:
        spec, found = self.experiment.evaluation, None
        if trial.space:
            record = search(self.experiment, trial, self._search_splits, log=self.log, progress=progress)
            self.records[trial.trial_id], found = record, record.best_parameters
        algorithm = trial.make(found)
        split, protocol = self._split_of(trial), spec.model_dump(exclude={"primary"})
        warm(algorithm, protocol)
        with warnings.catch_warnings(record=True) as caught:  # a warning shows a path of the machine; we keep the words
            warnings.simplefilter("always", UserWarning)
            evaluation = evaluate(algorithm, split, **protocol)
        if caught:
            notes = dict.fromkeys(str(warning.message) for warning in caught if warning.category is UserWarning)
            self.notes[trial.label] = list(notes)
        _keep(self.curves, trial, getattr(algorithm, "history_", None))
        measured = self.fold_evaluations.get(trial.fold or 0, {})
        checks = self._run_checks.of_trial(
            trial,
            algorithm,
            evaluation,
            split,
            baselines={label: measured[label] for label in self.baselines if label in measured},
            record=self.records.get(trial.trial_id),
            searched=of_fold(self._search_splits, trial.fold) if trial.space else None,
        )
        self.checks.setdefault(trial.label, checks)
        if split is self.split:
            self.algorithms[trial.label] = algorithm
        return evaluation, checks

    def _split_of(self, trial: Trial) -> Split:
        return of_fold(self.splits, trial.fold)

    def _note_failure(self, trial: Trial, error: BaseException) -> None:
        where = "" if trial.fold is None else f"fold {trial.fold}: "
        self.failures.setdefault(trial.label, where + tracking.failure_message(error))


def _keep(curves: dict[str, pd.DataFrame], trial: Trial, curve: pd.DataFrame | None) -> None:
    if curve is not None:
        curves[trial.label] = curve
