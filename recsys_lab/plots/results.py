"""Figures of results: the leaderboard with its intervals, trade-offs, curves over a hyper-parameter or an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, NullLocator

from recsys_lab.plots.style import (
    FAINT,
    FAMILY_COLOURS,
    INK,
    MUTED,
    PALETTE,
    Plot,
    family_colour,
    key_above,
    new_figure,
    place_labels,
    plain_ticks,
    short,
    styled,
    words,
)


def leaderboard_dots(table: pd.DataFrame, metric: str = "mean", *, best: str | None = None) -> Plot:
    """One line a model: its mean and 95 % interval, in the order of the table; bands mark the rank groups.

    ``table`` is indexed by model with columns mean, low, high and, when known, rank_group, family and status
    (``reference`` is drawn hollow). ``metric`` names the axis. ``best`` is the baseline to compare with by eye.
    """
    _columns(table, ("mean", "low", "high"), "leaderboard_dots")
    n = len(table)
    lines = np.arange(n)
    families = table["family"] if "family" in table else pd.Series("", index=table.index)
    reference = table["status"].eq("reference") if "status" in table else pd.Series(False, index=table.index)
    with styled():
        figure = new_figure(7.6, 1.15 + 0.29 * n)
        axes = figure.add_subplot()
        _rank_bands(axes, table)
        if best is not None and best in table.index:
            axes.axvline(float(table["mean"][best]), color=MUTED, lw=0.9, ls=(0, (3, 3)), zorder=1)
        for line, mean, low, high, family, hollow in zip(
            lines, table["mean"], table["low"], table["high"], families, reference
        ):
            colour = INK if hollow else family_colour(family)
            axes.plot([low, high], [line, line], color=colour, lw=2.2, alpha=0.55, solid_capstyle="butt", zorder=2)
            axes.plot(
                mean, line, "D" if hollow else "o", color="white" if hollow else colour, mec=colour, ms=6, zorder=3
            )
            axes.annotate(
                f"{mean:.4f}", (1, line), xycoords=("axes fraction", "data"), xytext=(6, 0),
                textcoords="offset points", va="center", color=MUTED, fontsize=8.5,
            )  # fmt: skip
        axes.set_yticks(lines, [short(str(name), 44) for name in table.index], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.set(ylim=(n - 0.5, -0.5), xlabel=f"{words(metric)}, mean and 95 % interval over users")
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        _family_key(axes, [family for family in FAMILY_COLOURS if (families[~reference] == family).any()])
    return figure


def trade_off(
    table: pd.DataFrame,
    x: str,
    y: str = "mean",
    *,
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    less_x_is_better: bool = False,
    less_y_is_better: bool = False,
) -> Plot:
    """Models as points of two columns; a line joins those that no other model beats in both.

    With ``log_x`` models whose x is not above 0 are drawn at half of the smallest x above 0. Rows with status
    ``reference`` are left out: nobody can choose them. Raises ValueError when a column is missing.
    """
    _columns(table, (x, y), "trade_off")
    if "status" in table:
        table = table[table["status"] != "reference"]
    table = table.dropna(subset=[x, y]).sort_values(y, ascending=less_y_is_better, kind="stable")
    xs, ys = table[x].to_numpy(dtype=np.float64), table[y].to_numpy(dtype=np.float64)
    if log_x and len(xs):
        xs = np.maximum(xs, 0.5 * xs[xs > 0].min() if (xs > 0).any() else 1.0)
    families = list(table["family"]) if "family" in table else [""] * len(table)
    with styled():
        figure = new_figure(7.2, 4.4)
        axes = figure.add_subplot()
        if log_x:
            axes.set_xscale("log")
            plain_ticks(axes.xaxis)
        axes.grid()
        front = _front(-xs if less_x_is_better else xs, -ys if less_y_is_better else ys)
        axes.plot(xs[front], ys[front], color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
        axes.scatter(xs, ys, s=46, c=[family_colour(name) for name in families], edgecolors="white", zorder=3)
        axes.margins(0.09, 0.1)
        axes.set(xlabel=x_label or words(x), ylabel=y_label or words(y))
        _family_key(axes, [family for family in FAMILY_COLOURS if family in families])
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())  # the labels need final limits
        place_labels(axes, xs, ys, [short(str(name), 30) for name in table.index], line=(xs[front], ys[front]))
    return figure


def parameter_curve(table: pd.DataFrame, parameter: str, metric: str, *, by: str | None = None) -> Plot:
    """A metric over a hyper-parameter, with intervals where the table has low and high.

    ``table`` has the columns ``parameter`` and mean; rows with equal ``by`` are one line, labelled at its end.
    The axis is logarithmic when the values span more than a factor of ten.
    """
    _columns(table, (parameter, "mean", *([by] if by else [])), "parameter_curve")
    lines = {"": table} if by is None else {str(name): rows for name, rows in table.groupby(by, sort=False)}
    values = table[parameter].to_numpy(dtype=np.float64)
    with styled():
        figure = new_figure(6.4, 3.6)
        axes = figure.add_subplot()
        if values.min() > 0 and values.max() > 10 * values.min():
            axes.set_xscale("log")
            axes.set_xticks(np.unique(values))
            axes.xaxis.set_minor_locator(NullLocator())
        plain_ticks(axes.xaxis)
        axes.grid(axis="y")
        for colour, (name, rows) in zip(_cycle(len(lines)), lines.items()):
            rows = rows.sort_values(parameter)
            axes.plot(rows[parameter], rows["mean"], "o-", color=colour, ms=5)
            if {"low", "high"} <= set(rows.columns):
                axes.fill_between(rows[parameter], rows["low"], rows["high"], color=colour, alpha=0.13, lw=0)
            end = (rows[parameter].iloc[-1], rows["mean"].iloc[-1])
            axes.annotate(name, end, xytext=(7, 0), textcoords="offset points", va="center", color=colour)
        axes.set(xlabel=words(parameter), ylabel=words(metric))
    return figure


def loss_curves(losses: Mapping[str, Sequence[float]], y_label: str = "loss") -> Plot:
    """The loss of each model after each epoch, labelled at the end of its line."""
    if not losses or not all(len(values) for values in losses.values()):
        raise ValueError(f"loss_curves needs at least one model with at least one epoch; found {dict(losses)!r}")
    with styled():
        figure = new_figure(6.4, 3.6)
        axes = figure.add_subplot()
        axes.grid(axis="y")
        for colour, (name, values) in zip(_cycle(len(losses)), losses.items()):
            axes.plot(np.arange(1, len(values) + 1), values, color=colour)
            end = (len(values), values[-1])
            axes.annotate(name, end, xytext=(5, 0), textcoords="offset points", va="center", color=colour)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=y_label)
    return figure


def _rank_bands(axes: Any, table: pd.DataFrame) -> None:
    """Shade every second rank group, so that models that cannot be told apart stand on one band."""
    if "rank_group" not in table:
        return
    groups = table["rank_group"].to_numpy(dtype=np.float64)
    for place, group in enumerate(pd.unique(groups[np.isfinite(groups)])):
        for line in np.flatnonzero(groups == group) if place % 2 == 0 else ():
            axes.axhspan(line - 0.5, line + 0.5, color=FAINT, alpha=0.45, lw=0, zorder=0)


def _front(x: Any, y: Any) -> list[int]:
    """Positions of the points that no other beats in both, by x; equal points are taken once."""
    front: list[int] = []
    best = -np.inf
    for position in np.lexsort((-y, -x)):
        if y[position] > best:
            best = y[position]
            front.append(int(position))
    return front


def _family_key(axes: Any, families: Sequence[str]) -> None:
    """The names of the families in their colours above the axes."""
    handles = [axes.plot([], [], "o", color=family_colour(name), ms=6, label=words(name))[0] for name in families]
    key_above(axes, handles)


def _columns(table: pd.DataFrame, names: Sequence[str], what: str) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing or not len(table):
        raise ValueError(
            f"{what} needs rows with the columns {', '.join(names)}; "
            f"missing: {', '.join(missing) or 'rows'}; found: {', '.join(map(str, table.columns))}"
        )


def _cycle(n: int) -> list[str]:
    return [PALETTE[position % len(PALETTE)] for position in range(n)]
