"""What a run of an experiment executes: one notebook for each family, split and seed, then the leaderboard."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recsys_lab import tracking
from recsys_lab.experiment import Experiment, Trial, expand, select
from recsys_lab.experiment.identity import hash_of

NOTEBOOKS = {
    "collaborative_filtering": "10_collaborative_filtering",
    "content_based": "11_content_based",
    "factorization": "12_factorization",
    "neural": "13_neural",
    "leaderboard": "20_leaderboard",
}


@dataclass(frozen=True)
class NotebookJob:
    """One execution of one notebook."""

    title: str  # "10_collaborative_filtering, temporal_user, seed 42"
    family: str
    source: Path
    output: Path
    parameters: dict[str, Any]
    trials: tuple[Trial, ...]
    key: str  # hash of the notebook, its parameters and its trials: what the output must carry to be up to date
    budget: int = 0  # trials of each search for hyper-parameters

    @property
    def n_steps(self) -> int:
        """What the progress bar counts: trials, and those of the searches before them."""
        return len(self.trials) + self.budget * sum(bool(trial.space) for trial in self.trials)

    @property
    def lock_name(self) -> str:
        return f"notebook-{hash_of(str(self.output))}"

    @property
    def is_current(self) -> bool:
        """Whether the output is a whole execution of this very job."""
        try:
            metadata = json.loads(self.output.read_text(encoding="utf-8"))["metadata"]
        except (OSError, ValueError, KeyError):
            return False
        about = metadata.get("recsys_lab", {})
        return bool(about.get("key") == self.key and about.get("status") == "finished")


def notebooks_folder() -> Path:
    """Where the family notebooks are: RECSYS_LAB_NOTEBOOKS, else notebooks/ of the checkout or working directory."""
    given = os.environ.get("RECSYS_LAB_NOTEBOOKS")
    checkout = Path(__file__).resolve().parents[2] / "notebooks"
    places = [Path(given)] if given else [checkout, Path.cwd() / "notebooks"]
    for place in places:
        if place.is_dir():
            return place.absolute()
    raise FileNotFoundError(
        f"no folder of notebooks at {' or '.join(map(str, places))}; run in a checkout of the project, "
        "or name the folder in RECSYS_LAB_NOTEBOOKS"
    )


def plan_jobs(
    experiment: Experiment, file: Path, *, outputs: Path, notebooks: Path, only: Collection[str] = ()
) -> list[NotebookJob]:
    """The family notebooks to execute, in order. ``file`` is the experiment's file, which they are given."""
    unknown = [family for family in only if family not in experiment.families]
    if unknown:
        raise ValueError(f"the experiment has no family {unknown[0]!r}; it has {', '.join(experiment.families)}")
    families = [family for family in experiment.families if not only or family in only]
    trials = expand(experiment)
    jobs = []
    places = [(split, seed) for split in range(len(experiment.split)) for seed in experiment.seeds]
    if experiment.tuning is not None:  # the searches of all splits first: at another seed they are found finished
        places.sort(key=lambda place: experiment.seeds.index(place[1]))
    for split, seed in places:
        here = [trial for trial in trials if trial.split == split and trial.seed == seed]
        own = [family for family in families if any(trial.family == family for trial in here)]
        if here and not own:
            own = families[:1]  # only baselines differ at this seed: one notebook carries them
        for family in own:
            chosen = select(trials, family=family, split=split, seed=seed)
            jobs.append(_family_job(experiment, file, family, (split, seed), chosen, outputs, notebooks))
    return jobs


def leaderboard_job(
    experiment: Experiment, file: Path, runs: dict[str, tracking.Run], *, outputs: Path, notebooks: Path
) -> NotebookJob:
    """The notebook that ranks what is finished; it is executed again when any trial is new."""
    stem = NOTEBOOKS["leaderboard"]
    made_from = sorted((trial_id, run.run_id, run.status) for trial_id, run in runs.items())
    parameters = {"experiment": _relative(file), "log": True}
    source, output = notebooks / f"{stem}.ipynb", outputs / f"{stem}.ipynb"
    return NotebookJob(stem, "leaderboard", source, output, parameters, (), _key(source, parameters, made_from))


def split_label(experiment: Experiment, index: int) -> str:
    """The strategy's name; with its number when the experiment uses the strategy twice."""
    names = [split.strategy for split in experiment.split]
    return names[index] if names.count(names[index]) == 1 else f"{names[index]}-{index}"


def write_resolved(experiment: Experiment, outputs: Path) -> Path:
    """The experiment as changed on the command line, as a file the notebooks can read; written in one step."""
    values = experiment.model_dump(mode="json", exclude_defaults=True)
    values["name"] = experiment.name
    text = "# written by recsys-lab run, with the changes of its command line\n" + yaml.safe_dump(
        values, sort_keys=False
    )
    outputs.mkdir(parents=True, exist_ok=True)
    path = outputs / f"experiment-{hash_of(values, 8)}.yaml"
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def describe(experiment: Experiment, jobs: Sequence[NotebookJob]) -> str:
    """The plan in words, for --dry-run and the start of a run."""
    trials = {trial.trial_id: trial for job in jobs for trial in job.trials}
    labels = dict.fromkeys(trial.label for trial in trials.values())
    splits = ", ".join(split_label(experiment, index) for index in range(len(experiment.split)))
    lines = [
        f"{experiment.name}: {experiment.question}",
        f"  data      {experiment.dataset_name}",
        f"  splits    {splits}",
        f"  measure   {experiment.evaluation.task}, primary {experiment.evaluation.primary}",
        *_budget(experiment, list(trials.values())),
        f"  seeds     {', '.join(map(str, experiment.seeds))}",
        f"  models    {len(labels)}: {', '.join(labels)}",
        f"  notebooks {len(jobs)}, trials {len(trials)}",
    ]
    lines += [f"    {job.title}: {len(job.trials)} trials" for job in jobs]
    return "\n".join(lines)


def _budget(experiment: Experiment, trials: Sequence[Trial]) -> list[str]:
    """The searches in a line; none without tuning."""
    spec = experiment.tuning
    if spec is None:
        return []
    searches = {(trial.label, trial.split, trial.fold) for trial in trials if trial.space}
    limit = "" if spec.timeout_s is None else f", at most {spec.timeout_s:g} s each"
    total = len(searches) * spec.n_trials
    return [f"  tuning    {spec.n_trials} trials a model and split{limit}: {len(searches)} searches, {total} trials"]


def _family_job(
    experiment: Experiment,
    file: Path,
    family: str,
    place: tuple[int, int],
    trials: Sequence[Trial],
    outputs: Path,
    notebooks: Path,
) -> NotebookJob:
    split, seed = place
    stem, label = NOTEBOOKS[family], split_label(experiment, split)
    source = notebooks / f"{stem}.ipynb"
    parameters = {"experiment": _relative(file), "split": split, "seed": seed, "log": True}
    return NotebookJob(
        title=f"{stem}, {label}, seed {seed}",
        family=family,
        source=source,
        output=outputs / f"{stem}-{label}-s{seed}.ipynb",
        parameters=parameters,
        trials=tuple(trials),
        key=_key(source, parameters, sorted(trial.trial_id for trial in trials)),
        budget=0 if experiment.tuning is None else experiment.tuning.n_trials,
    )


def _relative(file: Path) -> str:
    """The file as seen from the working directory, which is also the kernel's."""
    return Path(os.path.relpath(file)).as_posix()


def _key(source: Path, parameters: dict[str, Any], made_from: Sequence[Any]) -> str:
    contents = hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else ""
    return hash_of([contents, {**parameters, "experiment": ""}, made_from])
