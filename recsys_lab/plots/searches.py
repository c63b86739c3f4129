"""A picture of searches for hyper-parameters: what every trial gave, and the best so far."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from recsys_lab.plots.style import BLUE, INK, MUTED, Plot, new_figure, short, styled, words

PANELS = 4  # in a row


def search_curves(searches: Mapping[str, pd.DataFrame], metric: str, n_random: int = 0) -> Plot:
    """One panel a model on a common scale: a dot for the value of each trial, a line for the best so far.

    ``searches`` hold the columns number, value (NaN: failed, a cross at the foot) and best of a ``TuningRecord``'s
    trials. The first ``n_random`` trials, drawn at random, stand left of a dotted line. ValueError without a search.
    """
    if not searches or not all(len(trials) for trials in searches.values()):
        raise ValueError(f"search_curves needs at least one search with trials; found {list(searches)}")
    n_columns = min(PANELS, len(searches))
    n_rows = -(-len(searches) // n_columns)
    with styled():
        figure = new_figure(0.8 + 1.9 * n_columns, 0.9 + 1.6 * n_rows)
        panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
        for panel, (name, trials) in zip(panels, searches.items()):
            number = trials["number"].to_numpy(dtype=np.float64) + 1
            value, best = (trials[column].to_numpy(dtype=np.float64) for column in ("value", "best"))
            failed = np.isnan(value)
            panel.plot(number, best, color=BLUE, lw=1.6, drawstyle="steps-post", zorder=2)
            panel.plot(number, value, "o", color=MUTED, ms=3, alpha=0.8, zorder=3)
            if failed.any():  # an empty line that is not clipped has a box without bounds, which upsets the layout
                foot = {"transform": panel.get_xaxis_transform(), "clip_on": False}
                panel.plot(number[failed], np.full(failed.sum(), 0.03), "x", color=INK, ms=4, **foot)
            if 0 < n_random < len(trials):
                panel.axvline(n_random + 0.5, color=MUTED, lw=0.8, ls=":")
            panel.set_title(short(name, 26), fontsize=9, color=INK, loc="left")
            panel.grid(axis="y")
            panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        for panel in panels[len(searches) :]:
            panel.set_visible(False)
        figure.supxlabel("trial", fontsize=9)
        figure.supylabel(f"{words(metric)}, validation part", fontsize=9)
    return figure
