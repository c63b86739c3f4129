"""Data and split of a finished run, made again from its recipe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from recsys_lab.card.build import data_facts
from recsys_lab.data.interactions import Interactions
from recsys_lab.evaluation import Evaluation
from recsys_lab.experiment import hash_of
from recsys_lab.splits import Split
from recsys_lab.tracking.records import Recipe
from recsys_lab.trials import FamilyWork, load_data, make_splits


@dataclass(eq=False)
class Bench:
    """Loads the data of several runs once, and makes each of their splits once."""

    _data: dict[str, Interactions] = field(default_factory=dict)
    _splits: dict[str, list[Split]] = field(default_factory=dict)

    def data(self, recipe: Recipe) -> Interactions:
        """The rows the recipe names, as they are now. Raises what ``load_data`` raises."""
        key = hash_of(recipe.experiment.dataset.model_dump(mode="json"))
        if key not in self._data:
            self._data[key] = load_data(recipe.experiment)
        return self._data[key]

    def splits(self, recipe: Recipe) -> list[Split]:
        """The split of the trial, alone or as the one fold it was run on."""
        spec, trial = recipe.experiment, recipe.trial
        key = hash_of([spec.model_dump(mode="json", include={"dataset", "split", "tuning"}), trial.split, trial.fold])
        if key not in self._splits:
            fold = -1 if trial.fold is None else trial.fold
            self._splits[key] = make_splits(spec, trial.split, fold, self.data(recipe))
        return self._splits[key]

    def run(self, recipe: Recipe) -> Evaluation:
        """Fit and evaluate once more. Raises RuntimeError with what the trial said when it fails."""
        work = FamilyWork(
            experiment=recipe.experiment,
            family=None,
            data=self.data(recipe),
            splits=self.splits(recipe),
            trials=[replace(recipe.trial)],
        )
        found = work.run(progress=False)
        if recipe.trial.label not in found:
            raise RuntimeError(work.failures.get(recipe.trial.label, "the trial gave no evaluation"))
        return found[recipe.trial.label]


def data_changes(before: dict[str, Any], data: Interactions, dataset_hash: str) -> list[str]:
    """The facts of the card's ``data`` that are others now, in words; [] when the hash is the same."""
    if before["dataset_hash"] == dataset_hash:
        return []
    now = data_facts(data, dataset_hash)
    return field_changes({**before, **before["counts"]}, {**now, **now["counts"]}, skip=("counts", "filters", "url"))


def field_changes(before: dict[str, Any], now: dict[str, Any], skip: tuple[str, ...] = ()) -> list[str]:
    """``name: before, now after`` for every field that differs; keys of nested mappings are joined by dots."""
    lines = []
    for name in dict.fromkeys([*before, *now]):
        first, second = before.get(name), now.get(name)
        if name in skip or first == second:
            continue
        if isinstance(first, dict) and isinstance(second, dict):
            lines += [f"{name}.{line}" for line in field_changes(first, second)]
        else:
            lines.append(f"{name}: {_short(first)}, now {_short(second)}")
    return lines


def _short(value: Any) -> str:
    text = "none" if value is None else f"{value:,}" if type(value) is int else str(value)
    return f"{text[:16]}…" if len(text) == 64 and text.isalnum() else text[:200]
