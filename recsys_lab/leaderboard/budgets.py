"""What the searches behind a table cost, whether they were alike, and who was not tuned among those who were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from recsys_lab.experiment import TUNED
from recsys_lab.tuning import TuningRecord

if TYPE_CHECKING:
    from recsys_lab.leaderboard.table import Entry

Entries = Mapping[str, "Sequence[Entry]"]  # by label


def untuned(entries: Entries, references: Sequence[str] = ()) -> list[str]:
    """The models at default or fixed values where others are tuned; none when nothing is tuned."""
    tuned = [label for label, group in entries.items() if group[0].origin == TUNED]
    return [label for label in entries if label not in (*tuned, *references)] if tuned else []


def budget_columns(entries: Entries) -> pd.DataFrame:
    """n_trials and search_s of each model.

    n_trials are the configurations of its algorithm that were tried, in all rows of that algorithm. search_s are the
    seconds of the model's own searches, NaN without one.
    """
    rows = {}
    for label, group in entries.items():
        searches = _searches(group)
        rows[label] = {
            "algorithm": group[0].evaluation.algorithm,
            "tried": max((record.n_trials for record in searches), default=1),
            "search_s": sum(record.seconds for record in searches) if searches else float("nan"),
        }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.assign(n_trials=frame.groupby("algorithm")["tried"].transform("sum"))


def check_budgets(entries: Entries) -> None:
    """Raise ValueError, naming what differs, unless all searches had one budget, metric and validation part."""
    kinds: dict[str, dict[object, str]] = {}
    for label, group in entries.items():
        searches = _searches(group)
        if not searches:
            continue
        found = {
            "n_trials": sorted({record.n_trials for record in searches}),
            "metric": sorted({record.metric for record in searches}),
            "validation part": sorted(record.validation_hash[:12] for record in searches),
            "validation users": sorted(record.n_users for record in searches),
        }
        for name, value in found.items():
            kinds.setdefault(name, {}).setdefault(str(value), label)
    for name, seen in kinds.items():
        if len(seen) > 1:
            shown = ", ".join(f"{label} {value}" for value, label in seen.items())
            raise ValueError(f"tuned models are compared after like searches only; their {name} differs: {shown}")


def budget_notes(entries: Entries, apart: Sequence[str]) -> list[str]:
    """The budget in words, what the searches warned of, and why some rows have no rank."""
    notes = []
    searches = {label: _searches(group) for label, group in entries.items()}
    some = next((records[0] for records in searches.values() if records), None)
    if some is not None:
        notes.append(
            f"Tuned with {some.n_trials} trials a model ({some.n_random} at random, search seed {some.seed}) by "
            f"{some.metric} of {some.n_users:,} validation users, then fitted on train and validation together."
        )
    for label, records in searches.items():
        told = dict.fromkeys(warning for record in records for warning in record.warnings)
        notes += [f"{label}: {warning}." for warning in told]
    if apart:
        notes.append(f"Without a rank, below the others, as they were not tuned: {', '.join(apart)}.")
    return notes


def _searches(group: Sequence[Entry]) -> list[TuningRecord]:
    """The searches of a model, each once: seeds share one, folds have one each."""
    found = {entry.tuning.validation_hash: entry.tuning for entry in group if entry.tuning is not None}
    return list(found.values())
