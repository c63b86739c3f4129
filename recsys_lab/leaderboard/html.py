"""A leaderboard as one HTML file that opens anywhere, without a network: tables, figures, notes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from recsys_lab.leaderboard.appendix import pairs_html
from recsys_lab.leaderboard.columns import REFERENCE, Column, decimals
from recsys_lab.leaderboard.page import NOTEBOOK_CSS, PAGE_CSS, SCRIPT, TABLE_CSS
from recsys_lab.leaderboard.table import Table
from recsys_lab.plots import leaderboard_dots, search_curves, to_svg, trade_off, window_curves
from recsys_lab.plots.style import FAINT, INK, MUTED, family_colour

_THEME = {INK: "var(--ink)", MUTED: "var(--muted)", FAINT: "var(--faint)", "#ffffff": "var(--paper)"}


def to_html(tables: Sequence[Table], question: str, title: str) -> str:
    """The page; it names no other file or host, and follows the reader's light or dark setting."""
    sections = "".join(
        _section(table) + pairs_html(table.comparison) + _figures(table, number) for number, table in enumerate(tables)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{PAGE_CSS}{TABLE_CSS}</style></head><body><main class='board'>"
        f'<h1>{escape(question)}</h1><p class="sub">{escape(title)}</p>{sections}{_reading()}{_footer(tables)}'
        f"</main><script>{SCRIPT}</script></body></html>\n"
    )


def to_notebook(tables: Sequence[Table]) -> str:
    """The tables alone, in the colours of the notebook that shows them."""
    sections = "".join(_section(table) for table in tables)
    return f'<div class="board"><style>{TABLE_CSS}{NOTEBOOK_CSS}</style>{sections}</div>'


def figures(table: Table) -> dict[str, Figure]:
    """The figures of a table by caption: the ranking, accuracy against coverage, and accuracy against cost."""
    frame = table.frame
    less = table.less_is_better
    drawn: dict[str, Figure] = {
        "Mean and 95 % interval; models on one band cannot be told apart; the dashed line is the best baseline": (
            leaderboard_dots(frame, table.primary, best=table.comparison.best_baseline)
        )
    }
    if table.windows is not None:
        drawn["Window by window, in the order of time: how steady the order of the models is"] = window_curves(
            table.windows[table.windows["model"].isin(frame.index[frame["status"] != REFERENCE])], table.primary
        )
    if table.searches:
        trials = {label: record.trials for label, record in table.searches.items()}
        n_random = next(iter(table.searches.values())).n_random
        caption = "The searches: a dot is a trial, the line the best so far; left of the dotted line drawn at random"
        drawn[caption] = search_curves(trials, table.primary, n_random)
    if len(frame[frame["status"] != REFERENCE]) < 2:
        return drawn
    for key in [name for name in frame.columns if str(name).startswith("item_coverage@")]:
        caption = "Accuracy against coverage: the dashed line joins models that no other beats in both"
        drawn[caption] = trade_off(frame, key, y_label=table.primary, less_y_is_better=less)
    drawn["Accuracy against the time to fit"] = trade_off(
        frame, "fit_s", x_label="seconds to fit (log)", y_label=table.primary, log_x=True,
        less_x_is_better=True, less_y_is_better=less,
    )  # fmt: skip
    return drawn


def _section(table: Table) -> str:
    head = "".join(
        f'<th scope="col" tabindex="0" title="{escape(column.meaning)}"'
        f"{' class=word' if column.value is None else ''}>{escape(column.head)}</th>"
        for column in table.columns
    )
    low, high = float(np.nanmin(table.frame["low"])), float(np.nanmax(table.frame["high"]))
    rows, band, before = [], 0, np.nan
    for _, row in table.frame.iterrows():
        if row["status"] == REFERENCE:
            kind = "reference"
        else:
            band += row["rank_group"] != before
            before = row["rank_group"]
            kind = "even" if band % 2 else "odd"
        cells = "".join(_cell(column, row, low, high) for column in table.columns)
        rows.append(f'<tr class="{kind}">{cells}</tr>')
    loud = ("INVALID", "FAILED")
    notes = "".join(f"<li{' class=loud' if note.startswith(loud) else ''}>{escape(note)}</li>" for note in table.notes)
    return (
        f'<section><h2>{escape(table.title)}</h2><p class="sub">{escape(table.subtitle)}</p>'
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f'</table></div><ul class="notes">{notes}</ul></section>'
    )


def _figures(table: Table, number: int) -> str:
    drawn = "".join(
        f"<figure><figcaption>{escape(caption)}</figcaption>{_themed(to_svg(figure), f'{number}-{place}')}</figure>"
        for place, (caption, figure) in enumerate(figures(table).items())
    )
    return f'<div class="figures">{drawn}</div>'


def _cell(column: Column, row: pd.Series, low: float, high: float) -> str:
    text = column.text(row)
    value = text if column.value is None else column.value(row)
    sort_key = "" if isinstance(value, float) and not np.isfinite(value) else str(value)
    kind, content = ("word" if column.value is None else ""), escape(text)
    if column.key == "model":
        kind = "word model"
        colour = "transparent" if row["status"] == REFERENCE else family_colour(str(row.get("family", "")))
        name, _, settings = text.partition(" ")
        small = f"<small>{escape(settings)}</small>" if settings else ""
        content = f'<span class="dot" style="background:{colour}"></span>{escape(name)}{small}'
    elif column.key == "mean":
        content += _whisker(row, low, high)
    elif column.key == "difference" and "[" in text:
        kind = str(row["verdict"]) if row["verdict"] in {"better", "worse"} else ""
        main, _, ends = text.partition(" [")
        content = f'{escape(main)} <span class="range">[{escape(ends)}</span>'
    elif column.key == "card" and text:
        content = f'<a class="{escape(text)}" href="{escape(str(row["card_file"]))}">{escape(text)}</a>'
    return f'<td class="{kind}" data-value="{escape(sort_key)}">{content}</td>'


def _whisker(row: pd.Series, low: float, high: float) -> str:
    """The interval as a line with a dot, all rows on one scale."""
    if not np.isfinite([row["low"], row["high"]]).all() or high <= low:
        return ""
    left, dot, right = (4 + 122 * (float(row[name]) - low) / (high - low) for name in ("low", "mean", "high"))
    colour = "var(--muted)" if row["status"] == REFERENCE else family_colour(str(row.get("family", "")))
    return (
        f'<svg class="whisker" viewBox="0 0 130 14" role="img" aria-label="{escape(decimals(row["low"]))} to '
        f'{escape(decimals(row["high"]))}"><path d="M4 7H126" stroke="var(--faint)"/>'
        f'<path d="M{left:.1f} 7H{right:.1f}" stroke="{colour}" stroke-width="2.4" opacity=".6"/>'
        f'<circle cx="{dot:.1f}" cy="7" r="3.2" fill="{colour}"/></svg>'
    )


def _themed(svg: str, name: str) -> str:
    """The figure with the page's colours and type, and ids of its own, so that figures do not share clip paths."""
    for colour, variable in _THEME.items():
        svg = svg.replace(colour, variable)
    for before, after in (
        ('id="', f'id="f{name}-'),
        ("url(#", f"url(#f{name}-"),
        ('xlink:href="#', f'href="#f{name}-'),
    ):
        svg = svg.replace(before, after)
    return svg.replace("'DejaVu Sans', 'Bitstream Vera Sans'", "system-ui, 'DejaVu Sans', 'Bitstream Vera Sans'")


def _reading() -> str:
    words = {
        "#": "Rank group. Models that share one cannot be told apart by these users.",
        "difference": "Paired over the same users, against the best baseline, with its 95 % interval.",
        "p (Holm)": "Paired t-test, corrected for the number of models compared.",
        "dz": "Size of the difference in units of its spread over users: 0.2 is small, 0.8 large.",
        "win/tie/loss": "For how many users the model is better, equal or worse.",
        "detectable": "The true difference that so many users show in 80 % of such experiments.",
        "gini": "0: every item is shown equally often; 1: only one item is shown.",
        "arp": "Mean popularity (training rows) of the items shown.",
    }
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in words.items())
    return f"<details><summary>How to read the columns</summary><dl>{terms}</dl></details>"


def _footer(tables: Sequence[Table]) -> str:
    lines = "".join(
        f"<div>{escape(table.title)}: "
        + " · ".join(
            f"{escape(name)} <code>{escape(value[:16])}</code>" for name, value in table.hashes.items() if value
        )
        + "</div>"
        for table in tables
    )
    return f"<footer>Only results with equal fingerprints stand in one table.{lines}</footer>"
