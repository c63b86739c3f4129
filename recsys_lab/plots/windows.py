"""How models fare over time: a metric in every window of a rolling back-test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from recsys_lab.plots.style import INK, MUTED, PALETTE, Plot, key_above, new_figure, short, styled, words


def window_curves(table: pd.DataFrame, metric: str) -> Plot:
    """One line a model: its mean in each window with its interval, windows in the order of time.

    ``table`` has a row for each model and window: model, window (a number, or the date at which it begins), mean, low,
    high. The intervals stand beside each other, so that they do not cover each other. Models come in the order of the
    table, and take colours in turn. Raises ValueError without rows or columns.
    """
    missing = [name for name in ("model", "window", "mean", "low", "high") if name not in table.columns]
    if missing or not len(table):
        raise ValueError(f"window_curves needs rows with model, window, mean, low, high; missing: {missing or 'rows'}")
    places = {window: number for number, window in enumerate(sorted(table["window"].unique()))}
    models = list(table["model"].unique())
    with styled():
        figure = new_figure(7.6, 4.0)
        axes = figure.add_subplot()
        handles = []
        for number, model in enumerate(models):
            rows = table[table["model"] == model].sort_values("window")
            x = rows["window"].map(places).to_numpy(dtype=np.float64)
            x += 0.5 * ((number + 0.5) / len(models) - 0.5)
            colour = PALETTE[number % len(PALETTE)]
            style = "-" if number < len(PALETTE) else "--"
            axes.vlines(x, rows["low"], rows["high"], color=colour, alpha=0.45, lw=2.2)
            handles += axes.plot(
                x, rows["mean"], "o", ls=style, lw=1.2, ms=5, color=colour, label=short(str(model), 26)
            )
        axes.set_xticks(list(places.values()), [_name(window) for window in places], color=INK)
        axes.set_xlim(-0.5, len(places) - 0.5)
        for edge in range(1, len(places)):
            axes.axvline(edge - 0.5, color=MUTED, lw=0.5, ls=(0, (2, 4)), zorder=0)
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.grid(axis="y")
        axes.set(xlabel="window, in the order of time", ylabel=f"{words(metric)}, mean and 95 % interval")
        key_above(axes, handles)
    return figure


def _name(window: object) -> str:
    return f"{window:%Y-%m-%d}" if isinstance(window, pd.Timestamp) else str(window)
