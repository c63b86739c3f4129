"""The critical-difference picture: average ranks over data sets, and which models cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from recsys_lab.plots.style import BLUE, INK, MUTED, Plot, new_figure, short, styled

_LEVEL = 0.34  # inches between two names


def critical_difference(
    average_ranks: pd.Series, critical: float, groups: Sequence[Sequence[str]] = (), *, axis_label: str = "average rank"
) -> Plot:
    """Models on a line of average ranks, best at the left; bars join those that cannot be told apart (Demšar 2006).

    ``average_ranks`` is indexed by model; ``critical`` is Nemenyi's critical difference, drawn to scale above the line;
    each of ``groups`` names models that are joined by a bar. Raises ValueError for fewer than two models and for a
    group with an unknown one.
    """
    ranks = average_ranks.sort_values(kind="stable")
    unknown = {name for group in groups for name in group} - set(ranks.index)
    if len(ranks) < 2 or unknown:
        raise ValueError(
            f"critical_difference needs two or more models, and groups of them; unknown: {sorted(unknown)}"
        )
    n, half = len(ranks), (len(ranks) + 1) // 2
    bars = sorted(groups, key=lambda group: float(ranks[list(group)].min()))
    depth = 0.42 + 0.16 * len(bars)  # inches from the line to the first name
    with styled():
        figure = new_figure(8.0, 1.35 + depth + _LEVEL * half)
        axes = figure.add_subplot()
        low, high = 1.0, float(n)
        axes.set(
            xlim=(low - 0.1 * (high - low), high + 0.1 * (high - low)), ylim=(-depth - _LEVEL * (half - 0.3), 1.15)
        )
        axes.axis("off")
        _scale(axes, n, critical, axis_label)
        for place, (name, rank) in enumerate(ranks.items()):
            left = place < half
            row = place if left else n - 1 - place
            level = -depth - _LEVEL * row
            end = low - 0.02 * (high - low) if left else high + 0.02 * (high - low)
            axes.plot([rank, rank, end], [0, level, level], color=MUTED, lw=0.9, solid_joinstyle="miter", zorder=1)
            axes.plot(rank, 0, "o", color=BLUE, ms=5.5, zorder=4)
            axes.annotate(
                f"{short(str(name), 34)}  {rank:.2f}" if left else f"{rank:.2f}  {short(str(name), 34)}", (end, level),
                xytext=(-5 if left else 5, 0), textcoords="offset points", va="center",
                ha="right" if left else "left", color=INK, annotation_clip=False,
            )  # fmt: skip
        for place, group in enumerate(bars):
            own = ranks[list(group)]
            height = -0.2 - 0.16 * place
            axes.plot(
                [own.min() - 0.012 * n, own.max() + 0.012 * n], [height, height],
                color=INK, lw=3.2, solid_capstyle="round", zorder=3,
            )  # fmt: skip
    return figure


def _scale(axes: Any, n_models: int, critical: float, label: str) -> None:
    """The line of ranks with its numbers, and the critical difference to scale above it."""
    axes.plot([1, n_models], [0, 0], color=MUTED, lw=1.2)
    step = max(1, -(-n_models // 12))
    for rank in range(1, n_models + 1, step):
        axes.plot([rank, rank], [0, 0.07], color=MUTED, lw=1.0)
        axes.annotate(f"{rank}", (rank, 0.12), ha="center", va="bottom", color=MUTED, fontsize=9)
    end = min(1 + critical, float(n_models))
    axes.plot([1, end], [0.5, 0.5], color=INK, lw=1.4)
    for edge in (1.0, *([end] if 1 + critical <= n_models else [])):
        axes.plot([edge, edge], [0.45, 0.55], color=INK, lw=1.4)
    axes.annotate(f"critical difference {critical:.2f}", (1, 0.6), ha="left", va="bottom", color=INK, fontsize=9)
    axes.annotate(f"{label}, 1 = best on every data set", (1, 0.92), ha="left", va="bottom", color=MUTED, fontsize=9)
