"""Figure of a segment report: each group's mean with its interval, one band a kind of group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_lab.plots.style import INK, MUTED, PALETTE, Plot, new_figure, styled, words


def segment_dots(report: pd.DataFrame) -> Plot:
    """One line a group with its mean and 95 % interval; hollow where it has too few users to be used.

    ``report`` as ``evaluation.segment_report`` gives it: by, group, metric, n, mean, low, high, used, worst. The worst
    used group of each kind is drawn in another colour.
    """
    missing = [
        name for name in ("by", "group", "metric", "n", "mean", "low", "high", "used", "worst") if name not in report
    ]
    if missing:
        raise ValueError(f"segment_dots needs the columns of a segment report; missing: {', '.join(missing)}")
    starts = np.flatnonzero(report["by"].ne(report["by"].shift()))
    lines = np.arange(len(report)) + np.searchsorted(starts, np.arange(len(report)), side="right")  # a gap a kind
    with styled():
        figure = new_figure(7.2, 1.0 + 0.24 * (len(report) + len(starts)))
        axes = figure.add_subplot()
        for line, (_, row) in zip(lines, report.iterrows()):
            colour = PALETTE[1] if row["worst"] else PALETTE[0]
            axes.plot([row["low"], row["high"]], [line, line], color=colour, lw=2.2, alpha=0.55, zorder=2)
            face = colour if row["used"] else "white"
            axes.plot(row["mean"], line, "o", color=face, mec=colour, ms=5.5, zorder=3)
        names = [f"{group}  ({n:,})" for group, n in zip(report["group"], report["n"])]
        heads = [f"{report['by'].iloc[start]}: {words(report['metric'].iloc[start])}" for start in starts]
        axes.set_yticks([*lines, *(lines[starts] - 1)], [*names, *heads])
        for label in axes.get_yticklabels():
            label.set_color(MUTED if label.get_text() in names else INK)
        axes.tick_params(axis="y", length=0)
        axes.set(ylim=(lines.max(initial=0) + 0.7, -0.7), xlabel="mean and 95 % interval over users (number of users)")
        axes.grid(axis="x")
    return figure
