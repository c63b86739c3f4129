"""The cards of a table: completed by what the table knows, written beside it and linked from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.card import INVALID, check_card, complete_card, to_markdown, worst
from recsys_lab.experiment import Trial
from recsys_lab.leaderboard.table import Table, missing_baselines
from recsys_lab.tracking import Run, load_card

FOLDER = "cards"
_LEVELS = ("bitwise", "ranking", "statistical", "none")


def with_cards(table: Table, planned: Iterable[Trial], runs: Mapping[str, Run]) -> Table:
    """The table with the columns ``card`` (valid, warn or invalid) and ``card_file``; ``runs`` by trial id.

    A model without a card (recorded by an earlier version) has "" there. The status of the table, the worst of its
    rows, joins the subtitle.
    """
    by_label: dict[str, list[Run]] = {}
    for trial in planned:
        run = runs.get(trial.trial_id)
        if run is not None and run.status == "FINISHED":
            by_label.setdefault(trial.label, []).append(run)
    algorithms = [str(run.tags.get("algorithm", "")) for group in by_label.values() for run in group]
    task = str(table.comparison.protocol["task"])
    missing = [] if table.valid else missing_baselines(task, algorithms)
    cards = {}
    for label, row in table.frame.iterrows():
        found = [card for run in by_label.get(str(label), ()) if (card := _card(run)) is not None]
        if found:
            primary = {"mean": row["mean"], "low": row["low"], "high": row["high"], "n": row["n_users"]}
            cards[str(label)] = complete_card(found, _place(table, row, missing), primary=primary)
            check_card(cards[str(label)])
    if not cards:
        return table
    statuses = [cards[label]["status"] if label in cards else "" for label in table.frame.index]
    files = [f"{FOLDER}/{_name(label, cards[label])}.md" if label in cards else "" for label in table.frame.index]
    status = worst(statuses) if table.valid else INVALID
    return replace(
        table,
        frame=table.frame.assign(card=statuses, card_file=files),
        subtitle=f"{table.subtitle} · status: {status}",
        cards=cards,
    )


def card_files(tables: Iterable[Table]) -> dict[str, bytes]:
    """The cards of all tables as ``cards/NAME.json`` and ``cards/NAME.md`` with their contents."""
    found = {}
    for table in tables:
        for label, card in table.cards.items():
            name = f"{FOLDER}/{_name(label, card)}"
            found[f"{name}.json"] = (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()
            found[f"{name}.md"] = to_markdown(card).encode()
    return found


def folder_of(file: Path) -> str:
    """Where an artifact of a leaderboard belongs: cards keep their folder, so that the links hold."""
    return f"leaderboard/{FOLDER}" if file.parent.name == FOLDER else "leaderboard"


def _card(run: Run) -> dict[str, Any] | None:
    card = load_card(run)
    verified = run.tags.get("verified")
    if card is not None and verified in _LEVELS:
        card["determinism"]["verified"] = verified
    return card


def _name(label: str, card: Mapping[str, Any]) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_.=-]+', '_', label)}-{str(card['id'])[:8]}"


def _place(table: Table, row: pd.Series, missing: Sequence[str]) -> dict[str, Any]:
    """What the table says of a row, as the card holds it."""
    ends = [_number(row["difference_low"]), _number(row["difference_high"])]
    found: dict[str, Any] = {
        name: _number(row[name]) for name in ("difference", "relative_percent", "p", "p_holm", "dz")
    }
    for name in ("rank_group", "wins", "ties", "losses"):
        value = _number(row[name])
        found[name] = None if value is None else int(value)
    return found | {
        "table": table.title,
        "best_baseline": table.comparison.best_baseline,
        "verdict": str(row["verdict"]),
        "interval": None if None in ends else ends,
        "minimum_detectable_difference": _number(table.comparison.minimum_detectable_difference),
        "n_models": len(table.frame),
        "missing_baselines": list(missing),
    }


def _number(value: Any) -> float | None:
    return float(value) if pd.notna(value) and np.isfinite(value) else None
