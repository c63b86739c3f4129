"""A picture of the layers of a neural model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.patches import FancyBboxPatch

from recsys_lab.plots.style import BLUE, FAINT, GREEN, INK, MUTED, PURPLE, Plot, new_figure, styled

# model -> columns from input to output; a column is a list of boxes (kind, words); every box feeds the next column
LAYERS: Mapping[str, Sequence[Sequence[tuple[str, str]]]] = {
    "NeuMF": (
        (("input", "user"), ("input", "item")),
        (("vectors", "p ∘ q\nfactors multiplied"), ("vectors", "p′ and q′\nside by side")),
        (("vectors", "as it is"), ("layer", "hidden layers\nrelu")),
        (("layer", "weighted sum"),),
        (("output", "σ: chosen\nor not?"),),
    ),
    "TwoTower": (
        (("input", "user id"), ("input", "item id +\nattributes")),
        (("vectors", "user vector"), ("vectors", "sum of vectors")),
        (("layer", "user tower\nrelu"), ("layer", "item tower\nrelu")),
        (("output", "cosine: which item\nof the batch?"),),
    ),
    "MultVAE": (
        (("input", "history,\nhalf of it hidden"),),
        (("layer", "hidden layer\ntanh"),),
        (("vectors", "mean and variance\nof a code"),),
        (("layer", "hidden layer\ntanh"),),
        (("output", "softmax over\nall items"),),
    ),
    "LightGCN": (
        (("input", "users and items\nas one graph"),),
        (("vectors", "a vector\neach"),),
        (("layer", "mean over\nneighbours, thrice"),),
        (("vectors", "mean of\nall layers"),),
        (("output", "product: chosen\nbefore drawn?"),),
    ),
    "SASRec": (
        (("input", "items in the\norder of time"),),
        (("vectors", "item + position"),),
        (("layer", "attention to\nearlier items"),),
        (("layer", "two layers at\neach position"),),
        (("output", "softmax: which\nitem comes next?"),),
    ),
}
COLOURS = {"input": MUTED, "vectors": GREEN, "layer": BLUE, "output": PURPLE}
WIDTH, HEIGHT, STEP = 1.5, 0.72, 2.0  # of a box and from column to column, in units of the picture


def layer_picture(models: Sequence[str]) -> Plot:
    """The layers of each model as a row of boxes, from what goes in to what comes out. ValueError for unknown names.

    Known: the keys of ``LAYERS``.
    """
    unknown = [name for name in models if name not in LAYERS]
    if unknown or not models:
        raise ValueError(f"layer_picture draws {', '.join(LAYERS)}; found {unknown or 'no model'}")
    depths = [max(len(column) for column in LAYERS[name]) for name in models]
    with styled():
        figure = new_figure(8.6, 0.4 + 0.85 * sum(depths) + 0.35 * len(models))
        axes = figure.add_subplot()
        axes.set_axis_off()
        top = 0.0
        for name, depth in zip(models, depths):
            middle = top - 0.5 * depth
            axes.text(-WIDTH / 2, top + 0.12, name, fontweight="bold", color=INK, va="bottom")
            _draw(axes, LAYERS[name], middle)
            top -= depth + 0.55
        longest = max(len(LAYERS[name]) for name in models)
        axes.set(xlim=(-1, STEP * (longest - 1) + 1), ylim=(top + 0.4, 0.5))
    return figure


def _draw(axes: Any, columns: Sequence[Sequence[tuple[str, str]]], middle: float) -> None:
    """Boxes of one model around the height ``middle``, with arrows between neighbouring columns."""
    heights = [[middle + (len(column) - 1) / 2 - row for row in range(len(column))] for column in columns]
    for place, (column, ys) in enumerate(zip(columns, heights)):
        for row, ((kind, words), y) in enumerate(zip(column, ys)):
            _box(axes, place * STEP, y, COLOURS[kind], words)
            later = heights[place + 1] if place + 1 < len(columns) else []
            # equally many boxes: ids go into both parts, later parts stay apart
            crossing = len(later) != len(ys) or (place == 0 and words in {"user", "item"})
            for target, end in enumerate(later):
                if crossing or target == row:
                    _arrow(axes, place * STEP + WIDTH / 2, y, (place + 1) * STEP - WIDTH / 2, end)


def _box(axes: Any, x: float, y: float, colour: str, words: str) -> None:
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    shape = FancyBboxPatch(
        corner, WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", fc=FAINT, ec=colour, lw=1.6
    )
    axes.add_patch(shape)
    axes.text(x, y, words, ha="center", va="center", fontsize=8, color=INK)


def _arrow(axes: Any, x: float, y: float, end_x: float, end_y: float) -> None:
    style = {"arrowstyle": "-|>", "color": MUTED, "lw": 1.0, "shrinkA": 1, "shrinkB": 1}
    axes.annotate("", (end_x, end_y), (x, y), arrowprops=style)
