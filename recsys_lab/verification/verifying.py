"""``verify``: a finished run rebuilt from what MLflow holds, and which level of repetition holds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from recsys_lab import tracking
from recsys_lab.evaluation import Evaluation
from recsys_lab.evaluation.protocol import rating_protocol
from recsys_lab.experiment import code_version
from recsys_lab.splits import Split
from recsys_lab.tracking import Recipe, Run, facts, git_tags, load_card, load_evaluation, load_recipe
from recsys_lab.verification.levels import level_of, unequal_value
from recsys_lab.verification.rebuild import Bench, data_changes, field_changes
from recsys_lab.verification.record import contradictions
from recsys_lab.verification.rescoring import rescore
from recsys_lab.verification.verdict import Verdict

NOT_RUN = "not run"


def verify(run: Run, bench: Bench | None = None) -> Verdict:
    """Check the record of ``run`` against itself, rebuild data and split, measure its lists again, run it again.

    Nothing is fitted when the record contradicts itself or when data, split or protocol are others now: the fault says
    which. ``bench`` keeps data and splits for the next run. The tag "verified" of the run takes the level.
    """
    bench = bench or Bench()
    try:
        evaluation, recipe, card = load_evaluation(run), load_recipe(run), load_card(run)
        if card is None:
            raise FileNotFoundError(f"the evaluation card of run {run.name!r} is gone")
    except FileNotFoundError as error:
        fault = f"artifact gone: {error}. Without it nothing can be verified; run the experiment again"
        return Verdict(run.run_id, run.name, "bitwise", NOT_RUN, (fault,))
    declared, notes = str(card["determinism"]["declared"]), tuple(_notes(card))
    faults = contradictions(run, evaluation, card, recipe)
    faults = faults or _rebuilding(bench, recipe, evaluation, card)
    if faults:
        return Verdict(run.run_id, run.name, declared, NOT_RUN, tuple(faults), notes)
    start = time.perf_counter()
    try:
        again = bench.run(recipe)
    except RuntimeError as error:
        return Verdict(run.run_id, run.name, declared, "none", (f"it fails now: {error}",), notes)
    seconds = time.perf_counter() - start
    primary = recipe.experiment.evaluation.primary
    level, difference = level_of(evaluation, again, primary, bench.data(recipe).catalogue)
    tracking.log(run, tags={"verified": level, "verified_by": code_version()})
    return Verdict(run.run_id, run.name, declared, level, (), notes, difference, seconds)


def _rebuilding(bench: Bench, recipe: Recipe, evaluation: Evaluation, card: Mapping[str, Any]) -> list[str]:
    """What makes a repetition pointless: other data, another split, another protocol, values that no list gives."""
    try:
        data = bench.data(recipe)
        split = bench.splits(recipe)[0]
    except (OSError, ValueError, LookupError) as error:
        return [f"data changed: they cannot be read as they were: {error}"]
    if split.card.dataset_hash != evaluation.dataset_hash:
        facts_now = data_changes(dict(card["data"]), data, split.card.dataset_hash)
        return ["data changed: " + "; ".join(facts_now)]
    if split.card.fingerprint != evaluation.split_hash:
        now = asdict(split.card) | {"hash": split.card.fingerprint}
        changes = field_changes(dict(card["split"]), {name: now[name] for name in card["split"]})
        return ["split changed: " + "; ".join(changes)]
    return list(_measuring(recipe, evaluation, split))


def _measuring(recipe: Recipe, evaluation: Evaluation, split: Split) -> Iterator[str]:
    """The stored lists under the protocol of the recipe must give the stored protocol and values."""
    spec = recipe.experiment.evaluation
    if evaluation.lists is None:
        now = rating_protocol(spec.rating_fallback)
        if now["hash"] != evaluation.protocol["hash"]:
            yield "protocol changed: " + "; ".join(field_changes(evaluation.protocol, now))
        return
    try:
        again = rescore(evaluation, split, recipe.experiment)
    except ValueError as error:
        yield f"tampered lists: {error}"
        return
    if again.protocol["hash"] != evaluation.protocol["hash"]:
        yield "protocol changed: " + "; ".join(field_changes(evaluation.protocol, again.protocol))
        return
    asked = spec.model_dump(include={"relevance_threshold", "exclude_seen", "tie_seed", "tie_policy"})
    for name, value in asked.items():
        if evaluation.protocol[name] != value:
            yield f"changed protocol: recipe.json has {name} = {value}, summary.json {evaluation.protocol[name]}"
    found = unequal_value(evaluation.per_user, again.per_user)
    if found is not None:
        code, name, stored, given = found
        user = split.train.catalogue.user_id(code)
        told = f"tampered metric: {name} of user {user!r} is {stored!r} in per_user.parquet"
        yield f"{told}, the stored lists give {given!r}"
    for name, value in again.summary.items():
        if name in evaluation.summary and name not in again.per_user and value == value:
            stored = evaluation.summary[name]
            if stored != value:
                yield f"tampered metric: summary.json has {name} = {stored!r}, the stored lists give {value!r}"


def _notes(card: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it was when the run was made, and may explain a difference."""
    code = card["code"]
    if code["version"] != code_version():
        now = f"{code_version()} (commit {git_tags()['git_commit'][:12]})"
        yield f"other code: {code['version']} (commit {code['commit'][:12]}), now {now}"
    changes = field_changes(dict(card["environment"]), facts(), skip=("memory_gb",))
    if changes:
        yield "other environment: " + "; ".join(changes)
