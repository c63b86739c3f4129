"""Where the checks stand in a run: splits before any fit, models after their evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recsys_lab import checks, tracking
from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.hybrid import all_parts
from recsys_lab.checks import Check, ProtocolFloor
from recsys_lab.checks.reachable import is_own
from recsys_lab.data.interactions import Interactions
from recsys_lab.evaluation import Evaluation
from recsys_lab.experiment import Experiment, Trial
from recsys_lab.splits import Split, validation_split
from recsys_lab.trials.prepare import load_data, make_splits
from recsys_lab.tuning import TuningRecord


class RunChecks:
    """The checks of one notebook: its splits at once, before any fit, and each trial after its evaluation."""

    def __init__(self, experiment: Experiment, data: Interactions, splits: Sequence[Split], *, log: bool) -> None:
        self._experiment, self._data, self._splits, self._log = experiment, data, list(splits), log
        self._protocol: dict[str, Any] = experiment.evaluation.model_dump(exclude={"primary"})
        self._repeats = not experiment.evaluation.exclude_seen
        self._floors: dict[int, ProtocolFloor] = {}
        self._found: dict[int, tuple[Check, ...]] = {}

    def require(self) -> None:
        """Raise LeakError when a check of level E of a split, or of the folds together, fails."""
        if len(self._splits) > 1:
            every = checks.leak_check(self._splits, repeat_consumption=self._repeats)
            checks.require_passed(every, f"the folds of the {self._splits[0].card.strategy} split")
        for split in self._splits:
            checks.require_passed(self.of_split(split), name_of(split))

    def of_split(self, split: Split) -> tuple[Check, ...]:
        """The checks of one split under the protocol, by number."""
        key = id(split)
        if key not in self._found:
            self._floors[key] = checks.protocol_floor(split, self._protocol)
            found = checks.leak_check(split, repeat_consumption=self._repeats)
            self._found[key] = _sorted([*found, *self._floors[key].checks])
        return self._found[key]

    def of_trial(
        self,
        trial: Trial,
        algorithm: Algorithm,
        evaluation: Evaluation,
        split: Split,
        *,
        baselines: Mapping[str, Evaluation],
        record: TuningRecord | None = None,
        searched: Split | None = None,
    ) -> tuple[Check, ...]:
        """The checks of a trial, those of its split among them, by number.

        ``algorithm`` is fitted; ``baselines`` are those measured so far; ``searched`` is the split with the validation
        part that ``record`` comes from. Raises LeakError when a check of level E failed: the model is then recorded as
        failed.
        """
        found = [*self.of_split(split), checks.candidate_order_check(algorithm, split, self._protocol)]
        floor = self._floors[id(split)].popularity
        known = baselines or ({} if floor is None else {"Popularity": floor})
        primary = self._experiment.evaluation.primary
        found.append(checks.too_good_check(evaluation, {} if trial.is_baseline else known, primary))
        if record is not None and searched is not None:
            found.append(checks.tuning_check(record, validation_split(searched), split.test))
        if self._log:
            n_looks = tracking.count_looks(trial.algorithm, evaluation)
            found.append(checks.looks_check(n_looks, trial.algorithm))
        wanted = wanted_checks(self._experiment, trial)
        if "L05" in wanted:
            found.append(checks.canary_check(algorithm, split, (self._data,)))
        if "L12" in wanted:
            found.append(checks.permuted_users_check(algorithm, split, self._protocol))
        checks.require_passed(found, trial.label)
        return _sorted(found)


def check_experiment(experiment: Experiment) -> dict[str, tuple[Check, ...]]:
    """The checks of data and splits of an experiment, by split (and fold) in words; no trial is run.

    Raises what loading the data and making the splits raise.
    """
    data = load_data(experiment)
    found: dict[str, tuple[Check, ...]] = {}
    for index in range(len(experiment.split)):
        splits = make_splits(experiment, index, data=data)
        of_run = RunChecks(experiment, data, splits, log=False)
        for split in splits:
            found[f"split {index}: {name_of(split)}"] = of_run.of_split(split)
        if len(splits) > 1:
            every = checks.leak_check(splits, repeat_consumption=not experiment.evaluation.exclude_seen)
            found[f"split {index}: {splits[0].card.strategy}, all folds together"] = tuple(every)
    return found


def wanted_checks(experiment: Experiment, trial: Trial) -> set[str]:
    """The checks that cost a fit of their own and that this trial must have."""
    wanted = {"L12"} if experiment.checks.permuted else set()
    if experiment.checks.canary or has_own_code(trial.make()):
        wanted.add("L05")
    return wanted


def has_own_code(algorithm: Algorithm) -> bool:
    """Whether the algorithm, or a part of it, is not of this package."""
    return any(is_own(type(one).__module__) for one in (algorithm, *all_parts(algorithm)))


def of_fold(splits: Sequence[Split], fold: int | None) -> Split:
    """The split of this fold."""
    return next(split for split in splits if split.card.fold == fold)


def name_of(split: Split) -> str:
    """The strategy, and the fold where there are some."""
    return split.card.strategy + ("" if split.card.fold is None else f", fold {split.card.fold}")


def _sorted(found: Sequence[Check]) -> tuple[Check, ...]:
    return tuple(sorted(found, key=lambda check: check.id))
