"""Which finished trial is promoted: the one that is named, or the cheapest of the best rank group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from recsys_lab import tracking
from recsys_lab.algorithms.base import Algorithm
from recsys_lab.experiment import Experiment, Trial, expand, sweep_id
from recsys_lab.leaderboard import build
from recsys_lab.leaderboard.columns import REFERENCE
from recsys_lab.leaderboard.table import Table

SECOND = "second"


@dataclass(frozen=True)
class Choice:
    """A finished trial and why it was chosen, in words."""

    trial: Trial
    run: tracking.Run
    reason: str

    def make(self) -> Algorithm:
        """The algorithm of the trial, not yet fitted, with what its search found if it had one."""
        return self.trial.make(tracking.load_tuning(self.run).best_parameters if self.trial.space else None)


def choose(experiment: Experiment, *, run: str = "", split: int = 0) -> Choice:
    """The trial to promote.

    ``run``: a run id, its beginning, a label of the leaderboard, or "second": the best of another algorithm than the
    winner's, to compare it with. Without it, the winner of the table of ``split``:
    of the models that cannot be told apart from the best one, the cheapest (seconds to fit and to rank all users).
    Raises LookupError when nothing is finished, and ValueError for a run that is not of this experiment.
    """
    trials = {trial.trial_id: trial for trial in expand(experiment) if trial.split == split}
    runs = {
        trial_id: found
        for trial_id, found in tracking.find_trials(experiment.name, set(trials), sweep_id(experiment)).items()
        if found.status == "FINISHED"
    }
    if not runs:
        raise LookupError(f"no finished trial of {experiment.name!r} on split {split}; run the experiment first")
    if run and run != SECOND:
        return _named(run, trials, runs)
    tables = build(experiment).tables
    if split >= len(tables):
        raise LookupError(f"the leaderboard of {experiment.name!r} has {len(tables)} tables and none for split {split}")
    label, reason = _second(tables[split], trials) if run else _winner(tables[split])
    trial_id = next(key for key, trial in trials.items() if trial.label == label and key in runs)
    return Choice(trials[trial_id], runs[trial_id], reason)


def _named(wanted: str, trials: Mapping[str, Trial], runs: Mapping[str, tracking.Run]) -> Choice:
    found = [key for key, run in runs.items() if run.run_id.startswith(wanted) or trials[key].label == wanted]
    labels = {trials[key].label for key in found}
    if len(labels) == 1:
        return Choice(trials[found[0]], runs[found[0]], "named by hand")
    known = sorted({trials[key].label for key in runs})
    if found:
        raise ValueError(f"{wanted!r} begins several runs ({', '.join(sorted(labels))}); give more of the id")
    near = get_close_matches(wanted, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"no finished run {wanted!r}{hint} Finished: {', '.join(known)}")


def _second(table: Table, trials: Mapping[str, Trial]) -> tuple[str, str]:
    """The label of the best model of another algorithm than the winner's, and why."""
    winner, _ = _winner(table)
    algorithms = {trial.label: trial.algorithm for trial in trials.values()}
    others = [
        str(label)
        for label in table.frame.index[table.frame["status"] != REFERENCE]
        if algorithms.get(str(label)) not in (None, algorithms[winner])
    ]
    if not others:
        raise LookupError(f"no other algorithm than {algorithms[winner]} is finished ({table.title})")
    return others[0], f"the best that is no {algorithms[winner]}"


def _winner(table: Table) -> tuple[str, str]:
    """The label of the winner, and why."""
    frame = table.frame[(table.frame["status"] != REFERENCE) & table.frame["rank_group"].notna()]
    top = frame[frame["rank_group"] == frame["rank_group"].min()]
    seconds = top["fit_s"] + top["ms_per_user"] * top["n_users"] / 1000
    label = str(seconds.idxmin())
    best = str(frame.index[0])
    if len(top) == 1:
        return label, f"best by {table.primary}"
    others = ", ".join(str(name) for name in top.index if name != label)
    return label, (
        f"the cheapest of {len(top)} models that cannot be told apart by {table.primary} "
        f"({seconds[label]:.2f} s to fit and rank; the best mean has {best}; also in the group: {others})"
    )
