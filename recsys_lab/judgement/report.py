"""A judgement as lines for a terminal, as CSV and as JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.judgement.judge import Judgement
from recsys_lab.leaderboard.columns import decimals, difference, interval, p_value
from recsys_lab.leaderboard.files import replace_file

HEADS = ("metric", "champion", "challenger", "difference", "p (Holm)", "detectable", "verdict")


def to_terminal(found: Judgement) -> str:
    """The table, what it says in words, and the notes."""
    rows = [HEADS, *(_row(str(name), row) for name, row in found.table.iterrows())]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    lines.insert(1, "─" * (sum(widths) + 2 * (len(widths) - 1)))
    notes = [f"· {note}" for note in [*found.notes, *_counted(found)]]
    return "\n".join([*_title(found), "", *lines, "", *in_words(found), "", *notes]).rstrip() + "\n"


def in_words(found: Judgement) -> list[str]:
    """What follows from the verdicts, one sentence each."""
    if not found.valid:
        return ["Not judged: users did not reach the two as they were drawn."]
    verdicts = found.table["verdict"]
    said = {
        "better": "The challenger is better by {}.",
        "worse": "The challenger is worse by {}.",
        "equivalent": "The two are equivalent by {}: what differs is too small to matter.",
        "inconclusive": "The two cannot be told apart by {}, or the difference is perhaps too small to matter.",
        "too few": "Too few data to judge {}.",
    }
    names = {verdict: ", ".join(verdicts.index[verdicts == verdict]) for verdict in said}
    return [text.format(names[verdict]) for verdict, text in said.items() if names[verdict]]


def write(found: Judgement, output: Path) -> None:
    """Write ``output``: the table as CSV, or everything as JSON, by its ending."""
    check_ending(output)
    if output.suffix == ".csv":
        replace_file(output, found.table.to_csv().encode())
    else:
        replace_file(output, (json.dumps(as_dict(found), indent=1, ensure_ascii=False) + "\n").encode())


def check_ending(output: Path) -> None:
    """ValueError unless the file's ending says how to write it."""
    if output.suffix not in (".csv", ".json"):
        raise ValueError(f"{output} ends in {output.suffix or 'nothing'!r}; right would be .json or .csv")


def as_dict(found: Judgement) -> dict[str, Any]:
    """The judgement as JSON values; NaN is null."""
    counts = {name: int for name in found.table.columns if str(name).startswith("n_")}
    table = found.table.astype(counts).astype(object).where(found.table.notna(), None)
    arms = found.arms
    return {
        "design": found.design,
        "valid": found.valid,
        "champion": dataclasses.asdict(arms.champion),
        "challenger": dataclasses.asdict(arms.challenger),
        "since": _time(arms.since),
        "until": _time(arms.until),
        "share": found.share if found.design == "split" else None,
        "sample_ratio_p": None if np.isnan(found.ratio_p) else found.ratio_p,
        "level": found.level,
        "min_effect": found.min_effect,
        "counts": dict(found.counts),
        "metrics": {str(name): row.to_dict() for name, row in table.iterrows()},
        "words": in_words(found),
        "notes": list(found.notes),
    }


def _title(found: Judgement) -> list[str]:
    arms, table = found.arms, found.table
    n, m = (int(table[f"n_{name}"].max()) for name in ("champion", "challenger"))
    if found.design == "split":
        design, users = f"A/B, share {found.share:g}", f"{n:,} and {m:,} users"
    else:
        design, users = "in the shadow: what people did with the champion's lists", f"{n:,} users"
    return [
        f"Champion {arms.champion} against challenger {arms.challenger}",
        f"{design} · {_time(arms.since)} to {_time(arms.until)} · {users}",
        f"means over users with {found.level:.0%} intervals; differences are challenger minus champion",
    ]


def _row(name: str, row: pd.Series) -> tuple[str, ...]:
    means = [
        interval(pd.Series({"mean": row[arm], "low": row[f"{arm}_low"], "high": row[f"{arm}_high"]}))
        for arm in ("champion", "challenger")
    ]
    p = float(row["p_holm"])
    return (name, *means, difference(row), p_value(p), decimals(float(row["minimum_detectable"])), str(row["verdict"]))


def _counted(found: Judgement) -> list[str]:
    counts = [f"{name} {count:,}" for name, count in found.counts.items()]
    ratio = f"; users as drawn: p {p_value(found.ratio_p)} (chi-square)" if found.design == "split" else ""
    return [f"counted: {', '.join(counts)}{ratio}"]


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
