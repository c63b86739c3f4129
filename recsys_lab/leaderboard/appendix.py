"""What stands behind a leaderboard: the tests of all pairs of models, and notes on what could have been seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

from recsys_lab.algorithms.catalogue import CATALOGUE
from recsys_lab.comparison import Comparison
from recsys_lab.leaderboard.columns import difference, p_value

ENOUGH_SEEDS = 5  # of a stochastic model (EVALUATION §3)
PAIR_COLUMNS = ["first", "second", "difference", "low", "high", "p", "p_holm"]


def pairs_csv(comparisons: Mapping[str, Comparison]) -> str:
    """All pairs of all tables as CSV; the column ``table`` has the table's title."""
    frames = [one.pairs[PAIR_COLUMNS].assign(table=title) for title, one in comparisons.items()]
    return pd.concat(frames, ignore_index=True).to_csv(index=False)


def pairs_html(comparison: Comparison) -> str:
    """All pairs as a table that opens on a click; "" for a single model."""
    pairs = comparison.pairs
    if not len(pairs):
        return ""
    rows = "".join(
        f"<tr><td class=word>{escape(str(row['first']))}</td><td class=word>{escape(str(row['second']))}</td>"
        f"<td data-value='{row['difference']}'>{escape(_difference(row))}</td>"
        f"<td data-value='{row['p_holm']}'>{escape(p_value(float(row['p_holm'])))}</td></tr>"
        for _, row in pairs.iterrows()
    )
    heads = ("first", True), ("second", True), ("first − second", False), ("p (Holm over all pairs)", False)
    head = "".join(f'<th scope="col" tabindex="0"{" class=word" * word}>{text}</th>' for text, word in heads)
    return (
        f"<details><summary>All {len(pairs)} pairs of models, which decide the rank groups</summary>"
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        "</details>"
    )


def power_notes(comparison: Comparison) -> list[str]:
    """What the users could have shown: the minimum detectable difference, and the power at ``min_effect``."""
    detectable = comparison.minimum_detectable_difference
    if not np.isfinite(detectable):
        return ["No model is tested against a baseline here, so no difference could be found."]
    power = float(comparison.details["power_min_effect"].median())
    floor = comparison.min_effect * abs(float(comparison.table["mean"][comparison.best_baseline]))
    note = f"A true difference of {detectable:.4f} is found with 80 % power; smaller ones may stay hidden"
    if np.isfinite(power):
        note += f" (one of {floor:.4f}, {100 * comparison.min_effect:g} % of the baseline, with {power:.0%})"
    return [f"{note}."]


def seed_notes(n_seeds: pd.Series, algorithms: Mapping[str, str]) -> list[str]:
    """Which models with a random part were fitted with fewer than five seeds; ``n_seeds`` is indexed by model."""
    few = [
        f"{label} {int(count)}"
        for label, count in n_seeds.items()
        if count < ENOUGH_SEEDS and (entry := CATALOGUE.get(algorithms[str(label)])) and entry.stochastic
    ]
    if not few:
        return []
    return [f"A final comparison fits models with a random part with {ENOUGH_SEEDS} seeds or more; here {_some(few)}."]


def _some(words: Sequence[str], most: int = 6) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def _difference(row: pd.Series) -> str:
    return difference(row.rename({"low": "difference_low", "high": "difference_high"}))
