"""``run_experiment``: plan, execute what is not finished, report what failed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys_lab import tracking
from recsys_lab.experiment import Experiment, Trial, hash_of
from recsys_lab.parameters import coerce, read_parameters
from recsys_lab.runner.plan import (
    NotebookJob,
    describe,
    leaderboard_job,
    notebooks_folder,
    plan_jobs,
    write_resolved,
)
from recsys_lab.runner.pool import Outcome, Pool, cores
from recsys_lab.trials import try_data


@dataclass(frozen=True)
class Report:
    """What a run of an experiment came to."""

    experiment: Experiment
    outcomes: tuple[Outcome, ...]  # family notebooks, in the order they ended
    leaderboard: Outcome | None  # None when no trial is finished
    failed_trials: dict[str, str]  # "EASE · quickstart · s42" -> message

    @property
    def failures(self) -> list[str]:
        """One line for everything that failed, notebooks first."""
        outcomes = [*self.outcomes, *([self.leaderboard] if self.leaderboard else [])]
        lines = [f"notebook {one.job.title}: {one.error}" for one in outcomes if one.status == "failed"]
        return lines + [f"trial {name}: {message}" for name, message in self.failed_trials.items()]

    @property
    def exit_code(self) -> int:
        return 1 if self.failures else 0


def run_experiment(
    experiment: Experiment,
    *,
    only: Collection[str] = (),
    jobs: int | None = None,
    outputs: Path | None = None,
    notebooks: Path | None = None,
    changed: bool = False,
    say: Callable[[str], None] = print,
) -> Report:
    """Execute the family notebooks in ``jobs`` processes (None: one a core), then the leaderboard notebook.

    What is finished is not done again, so the same call goes on after Ctrl-C or kill -9. A failing algorithm or
    notebook does not stop the others. ``changed`` says that the experiment differs from its file (command line), so
    the notebooks are given a copy. Raises ValueError or FileNotFoundError before anything is started.
    """
    folder = outputs or tracking.home() / "outputs" / experiment.name
    source = notebooks or notebooks_folder()
    file = write_resolved(experiment, folder) if changed or experiment.path is None else experiment.path
    planned = plan_jobs(experiment, file, outputs=folder, notebooks=source, only=only)
    for job in planned:  # a misspelt or missing parameter shows now, not after minutes
        coerce(read_parameters(job.source), job.parameters, job.source.name)
    say(describe(experiment, planned))
    finished = _finished(experiment, planned)
    todo = [job for job in planned if not _is_done(job, finished)]
    if todo:
        try_data(experiment)  # wrong rows are told once, not by every notebook
    tracking.init_store(experiment.name)
    closed = tracking.close_stale_runs([experiment.name])
    if closed:
        say(f"  closed {len(closed)} runs that a killed process had left open")
    n_workers = max(1, min(jobs or cores(), len(todo) or 1))
    if len(todo) < len(planned):
        say(f"  {len(planned) - len(todo)} of {len(planned)} notebooks are finished already")
    pool = Pool(experiment, file, n_workers, lambda job: _is_done(job, _finished(experiment, [job])), say)
    try:
        outcomes = [Outcome(job, "skipped") for job in planned if job not in todo] + pool.run(todo)
        board = _leaderboard(experiment, file, planned, folder, source, pool)
    except BaseException:
        tracking.close_stale_runs([experiment.name])  # the trials of the kernels that were stopped
        raise
    return Report(experiment, tuple(outcomes), board, _failed_trials(experiment, planned, outcomes))


def dry_run(experiment: Experiment, *, only: Collection[str] = (), notebooks: Path | None = None) -> str:
    """The plan in words; reads MLflow when there is one, and writes nothing."""
    folder = tracking.home() / "outputs" / experiment.name
    file = experiment.path or Path("built-in")
    planned = plan_jobs(experiment, file, outputs=folder, notebooks=notebooks or notebooks_folder(), only=only)
    done = _finished(experiment, planned)
    unique = {trial.trial_id for job in planned for trial in job.trials}
    return f"{describe(experiment, planned)}\n  finished already: {len(done & unique)} of {len(unique)} trials"


def run_notebook(
    name: str, given: Mapping[str, Any], *, outputs: Path | None = None, notebooks: Path | None = None
) -> Outcome:
    """Execute one notebook with checked parameters; the result goes to outputs/notebooks and to MLflow.

    Raises FileNotFoundError for an unknown notebook and ValueError for an unknown or ill-typed parameter.
    """
    from recsys_lab.experiment import load_experiment

    source = (notebooks or notebooks_folder()) / f"{name.removesuffix('.ipynb')}.ipynb"
    parameters = coerce(read_parameters(source), given, source.name)
    folder = outputs or tracking.home() / "outputs" / "notebooks"
    key = hash_of([name, parameters, source.read_text(encoding="utf-8")])
    job = NotebookJob(source.stem, "notebook", source, folder / source.name, parameters, (), key)
    experiment = load_experiment(str(parameters.get("experiment", "") or ""))
    tracking.init_store("notebooks")
    named = experiment.model_copy(update={"name": "notebooks", "question": f"Notebook {source.stem}"})
    return Pool(named, source, 1, lambda _: False).run([job])[0]


def _finished(experiment: Experiment, jobs: Collection[NotebookJob]) -> set[str]:
    wanted = {trial.trial_id for job in jobs for trial in job.trials}
    runs = tracking.find_trials(experiment.name, wanted)
    return {trial_id for trial_id, run in runs.items() if run.status == "FINISHED"}


def _is_done(job: NotebookJob, finished: set[str]) -> bool:
    return job.is_current and all(trial.trial_id in finished for trial in job.trials)


def _leaderboard(
    experiment: Experiment, file: Path, planned: Collection[NotebookJob], folder: Path, notebooks: Path, pool: Pool
) -> Outcome | None:
    wanted = {trial.trial_id for job in planned for trial in job.trials}
    runs = {key: run for key, run in tracking.find_trials(experiment.name, wanted).items() if run.status != "RUNNING"}
    job = leaderboard_job(experiment, file, runs, outputs=folder, notebooks=notebooks)
    if not any(run.status == "FINISHED" for run in runs.values()) or not job.source.is_file():
        return None
    if job.is_current:
        return Outcome(job, "skipped")
    return Pool(experiment, file, 1, lambda one: one.is_current, pool.say).run([job])[0]


def _failed_trials(
    experiment: Experiment, planned: Collection[NotebookJob], outcomes: Collection[Outcome]
) -> dict[str, str]:
    """The trials that are not finished although their notebook ran to its end, with what they said."""
    trials: dict[str, Trial] = {trial.trial_id: trial for job in planned for trial in job.trials}
    runs = tracking.find_trials(experiment.name, set(trials))
    broken = {one.job.output for one in outcomes if one.status == "failed"}
    excused = {t.trial_id for job in planned if job.output in broken for t in job.trials}
    failed = {}
    for trial_id, trial in trials.items():
        run = runs.get(trial_id)
        if run is not None and run.status == "FINISHED":
            continue
        if run is not None and run.status == "FAILED":
            failed[trial.run_name] = run.tags.get("error", "see its run in MLflow")
        elif trial_id not in excused:
            failed[trial.run_name] = (
                "it was never run: the code changed meanwhile, or its notebook does not call open_family(...).run()"
            )
    return failed
