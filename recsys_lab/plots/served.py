"""Served lists and judgements as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.plots.style import BLUE, FAINT, GREEN, INK, MUTED, VERMILION, Plot, new_figure, short, styled, words

_VERDICTS = {"better": GREEN, "worse": VERMILION, "equivalent": BLUE}


def rank_changes(before: Sequence[str], after: Sequence[str], names: tuple[str, str] = ("before", "after")) -> Plot:
    """Two lists side by side, best first; lines join what is in both, and what is new stands out.

    Raises ValueError for an empty list and for one that holds an item twice.
    """
    for name, items in zip(names, (before, after)):
        if not items or len(set(items)) < len(items):
            raise ValueError(f"rank_changes needs lists of different items; {name} is {list(items)}")
    n = max(len(before), len(after))
    with styled():
        figure = new_figure(8.6, 0.7 + 0.3 * n)
        axes = figure.add_subplot()
        for rank, item in enumerate(before, 1):
            gone = item not in after
            _item(axes, 0, rank, item, MUTED if gone else INK, "right")
        for rank, item in enumerate(after, 1):
            new = item not in before
            if not new:
                start = list(before).index(item) + 1
                colour = GREEN if rank < start else VERMILION if rank > start else MUTED
                axes.plot([0, 1], [start, rank], color=colour, lw=2.0, alpha=0.8, zorder=2)
            _item(axes, 1, rank, item, BLUE if new else INK, "left", "new" if new else "")
        for x, name in enumerate(names):
            axes.annotate(
                name, (x, 0.4), ha="right" if x == 0 else "left", xytext=(-10 if x == 0 else 10, 4),
                textcoords="offset points", color=MUTED, fontsize=9.5, annotation_clip=False,
            )  # fmt: skip
        axes.set(xlim=(-2.1, 3.1), ylim=(n + 0.6, 0.1))
        axes.axis("off")
    return figure


def difference_dots(table: pd.DataFrame) -> Plot:
    """The relative difference of each metric with its interval; 0 is the champion.

    ``table``: that of a judgement. Metrics whose champion's mean is 0 are left out. Raises ValueError without any.
    """
    shown = table[table["champion"] != 0]
    if not len(shown):
        raise ValueError("difference_dots needs a metric whose champion's mean is not 0")
    scale = 100 / shown["champion"].abs()
    low, middle, high = (shown[name] * scale for name in ("difference_low", "difference", "difference_high"))
    lines = np.arange(len(shown))
    with styled():
        figure = new_figure(7.6, 1.1 + 0.36 * len(shown))
        axes = figure.add_subplot()
        axes.axvline(0, color=MUTED, lw=1.1, zorder=1)
        for line, verdict, start, at, end in zip(lines, shown["verdict"], low, middle, high):
            colour = _VERDICTS.get(str(verdict), MUTED)
            axes.plot([start, end], [line, line], color=colour, lw=2.6, alpha=0.5, solid_capstyle="butt", zorder=2)
            axes.plot(at, line, "o", color=colour, mec="white", ms=8, zorder=3)
            axes.annotate(str(verdict), (end, line), xytext=(8, 0), textcoords="offset points", va="center", color=INK)
        axes.set_yticks(lines, [words(str(name)) for name in shown.index], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.16)
        axes.set(ylim=(len(shown) - 0.5, -0.5), xlabel="challenger minus champion, % of the champion, 95 % interval")
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT)
    return figure


def _item(axes: Any, x: float, rank: int, item: str, colour: str, side: str, mark: str = "") -> None:
    left = side == "right"
    text = f"{short(item, 36)}  {rank}" if left else f"{rank}  {short(item, 36)}" + (f"  · {mark}" if mark else "")
    axes.plot(x, rank, "o", color=colour, ms=5, zorder=3)
    axes.annotate(
        text, (x, rank), xytext=(-8 if left else 8, 0), textcoords="offset points", va="center",
        ha="right" if left else "left", color=colour, annotation_clip=False,
    )  # fmt: skip
