"""Experiments executed: family notebooks in parallel processes, resumable, recorded, then the leaderboard notebook."""

from recsys_lab.runner.plan import NOTEBOOKS, NotebookJob, describe, notebooks_folder, plan_jobs
from recsys_lab.runner.pool import Outcome, cores
from recsys_lab.runner.run import Report, dry_run, run_experiment, run_notebook

__all__ = [
    "NOTEBOOKS",
    "NotebookJob",
    "Outcome",
    "Report",
    "cores",
    "describe",
    "dry_run",
    "notebooks_folder",
    "plan_jobs",
    "run_experiment",
    "run_notebook",
]
