"""Fit the chosen trial again, prove that it serves what was evaluated, register it, and only then move the alias."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab import tracking
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation import Evaluation
from recsys_lab.evaluation.candidates import resolve_candidates
from recsys_lab.experiment import Experiment
from recsys_lab.promotion.choose import Choice, choose
from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import Bundle, load_bundle, make_bundle, save_bundle
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.trial import require_trial, same_list, trial_lists
from recsys_lab.trials import open_family

MODEL_NAME = "recommender"  # the registered model that recsys-lab serve looks for
N_ASKED = 3  # users whose lists the logged pyfunc is asked for
N_COMPARED = 200  # users whose served lists are compared with the evaluated ones


@dataclass(frozen=True)
class Promotion:
    """A version that stands behind an alias now."""

    choice: Choice
    version: model_store.Version
    alias: str
    before: str  # the version that had the alias; "" for none
    n_compared: int


def promote(
    experiment: Experiment,
    *,
    run: str = "",
    alias: str = "champion",
    name: str = MODEL_NAME,
    split: int = 0,
    all_data: bool = False,
    say: Callable[[str], None] = print,
) -> Promotion:
    """Promote the winner of a finished experiment (or the named ``run``) to ``alias`` of the registered model ``name``.

    The model is fitted again on the evaluated rows, written as a bundle, read back, and its lists are compared with the
    evaluated ones; ``all_data`` then fits once more on every row. The pyfunc is logged, loaded and asked too. The alias
    moves last. Raises ValueError, and leaves the alias, when anything differs.
    """
    choice = choose(experiment, run=run, split=split)
    say(f"{choice.trial.label}: {choice.reason}")
    evaluation = tracking.load_evaluation(choice.run)
    bundle, data = _fitted(experiment, choice)
    n_compared = _require_equal(bundle, evaluation)
    say(f"  fitted again; the lists of {n_compared} users are the evaluated ones")
    own = (type(bundle.algorithm).__module__,) if not _is_ours(bundle.algorithm) else ()
    if all_data:
        bundle = make_bundle(choice.make().fit(data), data, tie_seed=bundle.tie_seed)
        say(f"  fitted on all {len(data):,} rows")
    uri = tracking.tracking_uri()
    with tempfile.TemporaryDirectory(prefix="recsys_lab_") as folder:
        place = Path(folder) / "bundle"
        about = _about(experiment, choice, evaluation, all_data, len(data))
        save_bundle(bundle, place, about, trial_lists(Recommender(bundle)))
        loaded, manifest = load_bundle(place, own_modules=own)
        require_trial(Recommender(loaded), manifest["trial"])
        tags = {"algorithm": choice.trial.algorithm, "label": choice.trial.label, "experiment": experiment.name}
        version = model_store.log_version(uri, name, place, run_id=choice.run.run_id, tags=tags, own_modules=own)
    _require_pyfunc(model_store.load_pyfunc(uri, version), Recommender(loaded))
    before = model_store.version_of(uri, name, alias)
    model_store.set_alias(uri, name, alias, version.number)
    say(f"  {name} version {version.number} is the {alias} now" + (f" (before: {before.number})" if before else ""))
    if own:
        say(f"  a service takes it when told to trust its module: RECSYS_LAB_OWN_MODULES={own[0]} recsys-lab serve")
    return Promotion(choice, version, alias, before.number if before else "", n_compared)


def roll_back(*, alias: str = "champion", name: str = MODEL_NAME) -> tuple[str, str]:
    """Move ``alias`` back to the version that had it before; the two version numbers (from, to).

    Raises LookupError when there is no such alias or no version before it.
    """
    uri = tracking.tracking_uri()
    now = model_store.version_of(uri, name, alias) if tracking.store_exists() else None
    if now is None:
        raise LookupError(f"{name} has no {alias}; promote one first: recsys-lab promote EXPERIMENT.yaml")
    before = now.tags.get(f"before_{alias}")
    if not before:
        raise LookupError(f"{name} version {now.number} is the first {alias}; there is none before it to go back to")
    model_store.move_back(uri, name, alias, before)
    return now.number, before


def _fitted(experiment: Experiment, choice: Choice) -> tuple[Bundle, Interactions]:
    """The bundle of the trial fitted on the evaluated rows, and all rows of the data."""
    trial = choice.trial
    fold = -1 if trial.fold is None else trial.fold
    work = open_family(experiment, family=None, split=trial.split, fold=fold, seed=trial.seed, log=False)
    part, spec = work.split, experiment.evaluation
    candidates = resolve_candidates(spec.candidates, part)
    if candidates.codes is None:
        raise ValueError("lists from each user's own candidates cannot be served; evaluate on known items or a list")
    if spec.task != "ranking" or not spec.exclude_seen:
        raise ValueError(
            f"served are rankings of unseen items; the experiment is task {spec.task}, exclude_seen: "
            f"{spec.exclude_seen}"
        )
    algorithm = choice.make().fit(part.train)
    return make_bundle(algorithm, part.history, candidates.codes, tie_seed=spec.tie_seed), work.data


def _require_equal(bundle: Bundle, evaluation: Evaluation) -> int:
    """Compare served lists with the evaluated ones; the number of users compared. ValueError names the first other."""
    served = Recommender(bundle)
    lists: RankedLists | None = evaluation.lists
    if lists is None or lists.items.shape[1] == 0:
        raise ValueError("the run has no lists to compare with; promote a run of a ranking experiment")
    chosen = np.unique(np.linspace(0, len(lists) - 1, min(N_COMPARED, len(lists))).astype(int))
    for row in chosen:
        answer = served.recommend(bundle.user_ids[lists.users[row]], lists.k)
        listed = answer.items if answer and answer.source == "model" else []
        n = int((lists.items[row] >= 0).sum())
        evaluated = [bundle.item_ids[item] for item in lists.items[row][:n]]
        expected = {"items": evaluated, "scores": lists.scores[row][:n].tolist()}
        found = {"items": [one.item_id for one in listed], "scores": [one.score for one in listed]}
        if not same_list(expected, found):
            raise ValueError(
                f"user {bundle.user_ids[lists.users[row]]!r}: the model serves {found['items'][:5]}..., evaluated were "
                f"{evaluated[:5]}...; nothing is promoted (recsys-lab verify {evaluation.algorithm} says more)"
            )
    return len(chosen)


def _require_pyfunc(model: Any, served: Recommender) -> None:
    """Ask the logged model for a few users and compare."""
    users = served.bundle.user_ids[:N_ASKED]
    table = model.predict(pd.DataFrame({"user_id": [str(user) for user in users]}))
    for user in users:
        answer = served.recommend(user, 10)
        expected = [str(one.item_id) for one in answer.items] if answer else []
        found = table.loc[table["user_id"] == str(user), "item_id"].tolist()
        if found != expected:
            raise ValueError(f"user {user!r}: the logged model gives {found[:5]}, expected {expected[:5]}")


def _about(
    experiment: Experiment, choice: Choice, evaluation: Evaluation, all_data: bool, n_rows: int
) -> dict[str, Any]:
    means = {name: value for name, value in evaluation.summary.items() if "@" in name and np.isfinite(value)}
    return {
        "label": choice.trial.label,
        "experiment": experiment.name,
        "question": experiment.question,
        "dataset": experiment.dataset_name,
        "run_id": choice.run.run_id,
        "primary": experiment.evaluation.primary,
        "metrics": means,
        "reason": choice.reason,
        "trained_on": "all rows" if all_data else "train",
        "n_rows": n_rows,
        "dataset_hash": evaluation.dataset_hash,
        "split_hash": evaluation.split_hash,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _is_ours(algorithm: Any) -> bool:
    return type(algorithm).__module__.startswith("recsys_lab.")
