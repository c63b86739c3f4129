"""What a run says of itself: its evaluation card, and the recipe from which it can be run again without its file."""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_lab.card import Made, build_card, check_card, to_markdown
from recsys_lab.experiment import Experiment, Trial
from recsys_lab.experiment.datasets import PATH_KEYS
from recsys_lab.tracking import store
from recsys_lab.tracking.environment import facts
from recsys_lab.tracking.store import Run

if TYPE_CHECKING:
    from recsys_lab.tracking.trial_runs import Outcome

FORMAT = 1
RECIPE, CARD, CARD_PAGE = "recipe.json", "evaluation_card.json", "evaluation_card.md"
_NOT_KEPT = ("space",)  # what was searched; the recipe holds what was found


@dataclass(frozen=True)
class Recipe:
    """All it takes to run a trial again: the experiment as it was resolved, and the trial with its final parameters."""

    experiment: Experiment
    trial: Trial


def log_records(run: Run, experiment: Experiment, trial: Trial, outcome: Outcome) -> dict[str, Any]:
    """Attach recipe.json, evaluation_card.json and evaluation_card.md to the run; the card."""
    card = build_card(experiment, trial, outcome, _made(run))
    check_card(card)
    with tempfile.TemporaryDirectory(prefix="recsys_lab_") as name:
        folder = Path(name)
        (folder / CARD).write_text(_json(card), encoding="utf-8")
        (folder / CARD_PAGE).write_text(to_markdown(card), encoding="utf-8")
        (folder / RECIPE).write_text(_json(_recipe(experiment, trial, outcome)), encoding="utf-8")
        store.log_files(run, folder)
    return card


def load_card(run: Run) -> dict[str, Any] | None:
    """The evaluation card of a run; None for a run that has none."""
    try:
        text = store.files_of(run, CARD).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    card: dict[str, Any] = json.loads(text)
    return card


def load_recipe(run: Run) -> Recipe:
    """The recipe of a run. Raises FileNotFoundError when it is gone, ValueError when it cannot be used.

    Data files that are no longer where they were are looked for under the working directory. The folder of the
    experiment's file joins the import path, for own algorithms beside it.
    """
    record = json.loads(store.files_of(run, RECIPE).read_text(encoding="utf-8"))
    if record["format"] != FORMAT:
        raise ValueError(f"{RECIPE} of run {run.name!r} has format {record['format']}; this version reads {FORMAT}")
    values, path = record["experiment"], record["path"]
    for key, near in record["near"].items():
        if not Path(values["dataset"][key]).is_file() and Path(near).is_file():
            values["dataset"][key] = str(Path(near).absolute())
    if path and str(Path(path).parent) not in sys.path:
        sys.path.append(str(Path(path).parent))
    experiment = Experiment.model_validate({**values, "path": path or None})
    known = {one.name for one in fields(Trial)}
    trial = dict(record["trial"])
    for name in record["tuples"]:
        trial["parameters"][name] = tuple(trial["parameters"][name])
    return Recipe(experiment, Trial(**{key: value for key, value in trial.items() if key in known}))


def _recipe(experiment: Experiment, trial: Trial, outcome: Outcome) -> dict[str, Any]:
    found = outcome.tuning.best_parameters if outcome.tuning is not None else {}
    parameters = {**trial.parameters, **found}
    values = experiment.model_dump(mode="json")
    folder = Path(experiment.path).parent if experiment.path else Path.cwd()
    near = {}
    for key in PATH_KEYS:
        if values["dataset"].get(key):
            file = Path(values["dataset"][key])
            near[key] = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name
    return {
        "format": FORMAT,
        "experiment": values,
        "path": str(experiment.path or ""),
        "near": near,  # data files as seen from the folder of the experiment's file
        "trial": {key: value for key, value in vars(trial).items() if key not in _NOT_KEPT}
        | {"parameters": parameters},
        "tuples": [name for name, value in parameters.items() if isinstance(value, tuple)],
    }


def _made(run: Run) -> Made:
    created = datetime.datetime.fromtimestamp(int(run.started), datetime.UTC)
    dirty = {"true": True, "false": False}.get(run.tags.get("git_dirty", ""))
    code = {
        "version": run.tags.get("code_version", "unknown"),
        "commit": run.tags.get("git_commit", "unknown"),
        "dirty": dirty,
        "dirty_files": json.loads(run.tags.get("git_dirty_files", "[]")),
    }
    return Made(run.run_id, created.isoformat().replace("+00:00", "Z"), code, facts())


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
