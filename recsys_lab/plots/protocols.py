"""Figures of a study of protocols: where each is right, what it hides, what its verdicts are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter

from recsys_lab.plots.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    PALETTE,
    VERMILION,
    Plot,
    key_above,
    new_figure,
    place_labels,
    short,
    styled,
    words,
)  # fmt: skip

_SCALE = LinearSegmentedColormap.from_list("wrong to right", [VERMILION, "#f7f4ef", BLUE])


def share_map(shares: pd.DataFrame, label: str, *, low: float = 0.0, high: float = 1.0) -> Plot:
    """A table of shares as a heat map with its numbers in %: rows are lines, columns stand below each other.

    Colours run from ``low`` (vermilion) over the middle (pale) to ``high`` (blue); NaN stays empty. Index and columns
    are the names shown. Raises ValueError for an empty table.
    """
    if not shares.size:
        raise ValueError("share_map needs at least one row and one column")
    values = shares.to_numpy(dtype=np.float64)
    n_rows, n_columns = values.shape
    with styled():
        figure = new_figure(3.4 + 0.62 * n_columns, 1.5 + 0.29 * n_rows)
        axes = figure.add_subplot()
        image = axes.imshow(values, cmap=_SCALE, vmin=low, vmax=high, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                far = abs((value - low) / (high - low) - 0.5) > 0.36
                axes.text(
                    column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=9,
                    color="white" if far else INK,
                )  # fmt: skip
        axes.set_yticks(np.arange(n_rows), [words(str(name)) for name in shares.index], color=INK)
        names = [words(str(name)) for name in shares.columns]
        axes.set_xticks(np.arange(n_columns), names, color=INK, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_xticks(np.arange(1, n_columns) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, n_rows) - 0.5, minor=True)
        axes.grid(which="minor", color="white", lw=1.5)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=28, format=FuncFormatter(_percent))
        bar.outline.set_visible(False)
        bar.set_label(label, color=MUTED)
    return figure


def model_panels(panels: Mapping[str, pd.DataFrame], x_label: str, y_label: str) -> Plot:
    """One panel a protocol: each model as a point of the columns x and y, with its name; models keep their colour.

    Tables are indexed by model. ``low`` and ``high``, where there are such columns, draw a whisker along x.
    Raises ValueError without panels.
    """
    if not panels:
        raise ValueError("model_panels needs at least one panel")
    models = list(dict.fromkeys(name for table in panels.values() for name in table.index))
    colour = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(models)}
    with styled():
        figure = new_figure(3.7 * len(panels) + 0.4, 3.8)
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, table) in zip(drawn, panels.items()):
            axes.grid()
            if {"low", "high"} <= set(table.columns):
                for name, y, low, high in zip(table.index, table["y"], table["low"], table["high"]):
                    axes.plot([low, high], [y, y], color=colour[name], lw=2, alpha=0.4, zorder=2)
            axes.scatter(
                table["x"], table["y"], s=46, c=[colour[name] for name in table.index], edgecolors="white", zorder=3
            )
            axes.margins(0.14, 0.1)
            axes.set_title(words(title), fontsize=10)
            axes.set(xlabel=x_label)
        drawn[0].set(ylabel=y_label)
        for axes, table in zip(drawn, panels.values()):
            axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())  # the labels need final limits
            place_labels(
                axes, table["x"].to_numpy(), table["y"].to_numpy(), [short(str(name), 20) for name in table.index]
            )
    return figure


def verdict_bars(verdicts: pd.DataFrame) -> Plot:
    """What significant differences are worth: one bar a protocol, its shares right, open and wrong (sum 1)."""
    colours = {"right": BLUE, "open": FAINT, "wrong": VERMILION}
    _need(verdicts, colours, "verdict_bars")
    lines = np.arange(len(verdicts), dtype=np.float64)
    with styled():
        figure = new_figure(7.4, 1.1 + 0.3 * len(verdicts))
        axes = figure.add_subplot()
        start = np.zeros(len(verdicts))
        handles = []
        for name, colour in colours.items():
            width = verdicts[name].to_numpy(dtype=np.float64)
            handles.append(axes.barh(lines, width, left=start, color=colour, height=0.72, label=name))
            for line, share, left in zip(lines, width, start):
                if share >= 0.045:
                    shade = INK if name == "open" else "white"
                    axes.text(
                        left + share / 2, line, _percent(share), ha="center", va="center", color=shade, fontsize=8.5
                    )
            start = start + width
        axes.set_yticks(lines, [words(str(name)) for name in verdicts.index], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1), ylim=(len(verdicts) - 0.5, -0.5), xlabel="share of the pairs of models")
        axes.xaxis.set_major_formatter(FuncFormatter(_percent))
        axes.spines["left"].set_visible(False)
        key_above(axes, handles)
    return figure


def protocol_dots(table: pd.DataFrame, x_label: str, *, line: float | None = None, percent: bool = True) -> Plot:
    """One line a protocol, one dot a column, in the colours of the key; ``line`` marks where the dots should be."""
    _need(table, {}, "protocol_dots")
    lines = np.arange(len(table))
    colours = (BLUE, VERMILION, GREEN, *PALETTE[3:])
    with styled():
        figure = new_figure(7.2, 1.15 + 0.28 * len(table))
        axes = figure.add_subplot()
        if line is not None:
            axes.axvline(line, color=MUTED, lw=1.1, ls=(0, (3, 3)), zorder=1)
        handles = []
        for colour, name in zip(colours, table.columns):
            handles += axes.plot(
                table[name], lines, "o", color=colour, mec="white", ms=7.5, zorder=3, label=words(name)
            )
        axes.set_yticks(lines, [words(str(name)) for name in table.index], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.set(ylim=(len(table) - 0.5, -0.5), xlabel=x_label)
        if percent:
            axes.xaxis.set_major_formatter(FuncFormatter(_percent))
        axes.spines["left"].set_visible(False)
        axes.grid()
        key_above(axes, handles)
    return figure


def _percent(value: float, _: object = None) -> str:
    return f"{100 * value:.0f} %"


def _need(table: pd.DataFrame, names: Any, what: str) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing or not table.size:
        raise ValueError(
            f"{what} needs rows with the columns {', '.join(names)}; missing: {', '.join(missing) or 'rows'}"
        )
