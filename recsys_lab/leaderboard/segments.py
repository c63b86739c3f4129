"""Who the leader serves well and whom badly: the segment report of the first model of a table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from recsys_lab import tracking
from recsys_lab.evaluation import segment_report
from recsys_lab.experiment import Experiment, expand, load_experiment, sweep_id
from recsys_lab.leaderboard.board import Leaderboard
from recsys_lab.leaderboard.columns import REFERENCE
from recsys_lab.trials import FamilyWork


def leader_segments(board: Leaderboard, source: FamilyWork | Experiment | str | Path) -> tuple[str, pd.DataFrame]:
    """The first model of the first table, references apart, and its primary metric in groups of users and items.

    ``source``: what the board was made of, the work of a notebook or an experiment whose runs lie in MLflow. Of several
    seeds or folds the first finished one is shown. Raises LookupError when its run is gone.
    """
    table = board.tables[0]
    label = str(table.frame.index[table.frame["status"] != REFERENCE][0])
    if isinstance(source, FamilyWork):
        return label, segment_report(source.evaluations[label], source.split, table.primary)
    spec = source if isinstance(source, Experiment) else load_experiment(source)
    trials = [trial.trial_id for trial in expand(spec) if trial.label == label and trial.split == 0]
    runs = tracking.find_trials(spec.name, set(trials), sweep_id(spec))
    for trial_id in trials:
        if trial_id in runs and runs[trial_id].status == "FINISHED":
            return label, pd.read_csv(tracking.files_of(runs[trial_id], tracking.SEGMENTS))
    raise LookupError(f"no finished run of {label} in {spec.name!r}; run the experiment again: recsys-lab run")
