"""How serving drifts away from training, over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from recsys_lab.plots.style import INK, MUTED, PALETTE, VERMILION, Plot, new_figure, styled


def drift_curves(
    models: Mapping[str, pd.DataFrame],
    panels: Mapping[str, str],
    *,
    limits: Mapping[str, float] | None = None,
    marks: Sequence[pd.Timestamp] = (),
) -> Plot:
    """One panel a metric, one line a model, over time.

    ``models``: name -> table indexed by time. ``panels``: column -> title. ``limits``: column -> a dashed line to judge
    the curve by. ``marks``: times at which a model was trained. Raises ValueError without models or panels, and for a
    column that a table lacks.
    """
    missing = sorted({column for table in models.values() for column in panels if column not in table.columns})
    if not models or not panels or missing:
        raise ValueError(f"drift_curves needs models, and panels that are their columns; missing: {missing}")
    n_rows = -(-len(panels) // 2)
    with styled():
        figure = new_figure(8.6, 0.6 + 2.0 * n_rows)
        drawn = figure.subplots(n_rows, 2, sharex=True, squeeze=False).ravel()
        for axes, (column, title) in zip(drawn, panels.items()):
            if limits and column in limits:
                axes.axhline(limits[column], color=VERMILION, lw=1.1, ls=(0, (4, 3)), zorder=1)
            for mark in marks:
                axes.axvline(mark, color=MUTED, lw=0.8, ls=(0, (1, 3)), zorder=0)
            for colour, (name, table) in zip(PALETTE, models.items()):
                axes.plot(table.index, table[column], color=colour, label=name)
            axes.set_title(title, fontsize=10)
            axes.margins(x=0.02, y=0.12)
            axes.grid(axis="y")
            locator = AutoDateLocator(minticks=3, maxticks=6)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
            axes.tick_params(labelbottom=True, colors=MUTED)
        for axes in drawn[len(panels) :]:
            axes.set_visible(False)
        handles, names = drawn[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=len(names), labelcolor=INK)
    return figure
