"""The one look of all figures: colours, type sizes, numbers, and labels that do not cover each other."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from recsys_lab.data.interactions import Float64

INK = "#252a31"  # text and the data that matter
MUTED = "#737b86"  # axes and second words
FAINT = "#dde1e6"  # grid lines and bands
# Okabe and Ito's colours (2008): told apart under the common colour-vision deficiencies
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
FAMILY_COLOURS = {
    "baseline": "#8b929c",
    "collaborative_filtering": BLUE,
    "content_based": GREEN,
    "factorization": VERMILION,
    "neural": PURPLE,
    "graph": ORANGE,
    "hybrid": SKY,
}

_NO_METADATA = dict.fromkeys(["Date", "Creator", "Format", "Type"])  # it changes by the day and names addresses

_RC: dict[str, Any] = {
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "figure.dpi": 100.0,
}


class Plot(Figure):
    """A matplotlib figure that notebooks show by itself; it never touches pyplot's list of open figures."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """PNG at twice the resolution with the width to show it at, so that it is sharp on every screen."""
        data = to_png(self, dpi=160)
        width = int.from_bytes(data[16:20], "big")  # the header of a PNG holds the width in pixels
        return data, {"width": width * 100 // 160}


@contextmanager
def styled() -> Iterator[None]:
    """The look of this project inside the block; matplotlib's settings are as before afterwards."""
    with matplotlib.rc_context(_RC):
        yield


def new_figure(width: float = 7.2, height: float = 3.6) -> Plot:
    """An empty figure, sizes in inches; call it inside ``styled()``."""
    figure = Plot(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # draws into memory: no screen, no pyplot
    return figure


def to_png(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as PNG bytes, cut to its content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.08, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure, *, transparent: bool = True) -> str:
    """The figure as SVG text with selectable words; the same figure gives the same text."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "recsys_lab"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=transparent, metadata=_NO_METADATA)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def key_above(axes: Any, handles: Sequence[Any]) -> None:
    """The key of the colours above the axes, in as many rows as it needs."""
    if not handles:
        return
    letters = sum(len(str(handle.get_label())) + 4 for handle in handles)
    rows = -(-letters // 72)
    axes.legend(
        handles=list(handles), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=-(-len(handles) // rows),
        handletextpad=0.1, columnspacing=1.3, borderaxespad=0.2, labelcolor=INK,
    )  # fmt: skip


def family_colour(family: str) -> str:
    """The colour of a family; grey for one without a colour of its own."""
    return FAMILY_COLOURS.get(family, MUTED)


def words(name: str) -> str:
    """A name of the code as words: ``item_coverage@10`` -> ``item coverage@10``."""
    return name.replace("_", " ")


def short(text: str, width: int = 34) -> str:
    """The text, cut with an ellipsis when it is longer than ``width`` characters."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def plain_number(value: float, _: object = None) -> str:
    """A tick label: 12,000 and 0.01 instead of powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:g}"


def plain_ticks(axis: Any) -> None:
    """Numbers in full on a (log) axis."""
    axis.set_major_formatter(FuncFormatter(plain_number))


def place_labels(
    axes: Any,
    x: Sequence[float] | Float64,
    y: Sequence[float] | Float64,
    labels: Sequence[str],
    line: tuple[Float64, Float64] | None = None,
) -> None:
    """Write a label beside each point, where it covers neither another label nor a point, if there is such a place.

    ``line`` (x, y) is a drawn line to keep clear of, too. Places are tried from near to far; a label that had to go
    far gets a thin line to its point. Limits and scales of the axes must be final. Points are served in the given
    order, so put the important ones first.
    """
    figure = axes.figure
    figure.draw_without_rendering()  # the layout is only known after a draw
    renderer = figure.canvas.get_renderer()
    points = axes.transData.transform(np.column_stack([np.asarray(x, float), np.asarray(y, float)]))
    frame = axes.get_window_extent(renderer)
    scale = figure.dpi / 72
    taken = [(px - 4 * scale, py - 4 * scale, px + 4 * scale, py + 4 * scale) for px, py in points]
    if line is not None and len(line[0]):
        corners = axes.transData.transform(np.column_stack(line))
        steps = np.linspace(0, len(corners) - 1, 40 * len(corners))
        along = [np.interp(steps, np.arange(len(corners)), corners[:, side]) for side in (0, 1)]
        taken += [(px - scale, py - scale, px + scale, py + scale) for px, py in zip(*along)]
    directions = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
    for point, label in zip(points, labels):
        text = axes.annotate(label, (0, 0), xycoords="figure pixels", fontsize=8.5)
        extent = text.get_window_extent(renderer)
        width, height = extent.width, extent.height
        best: tuple[float, tuple[float, float, float, float]] | None = None
        for distance in (6.0, 13.0, 21.0, 31.0, 43.0):
            for dx, dy in directions:
                left = point[0] + dx * distance * scale - (width if dx < 0 else width / 2 if dx == 0 else 0)
                low = point[1] + dy * distance * scale - (height if dy < 0 else height / 2 if dy == 0 else 0)
                box = (left, low, left + width, low + height)
                outside = max(0.0, frame.x0 - left, left + width - frame.x1, frame.y0 - low, low + height - frame.y1)
                cost = _overlap(box, np.asarray(taken)) + outside * height + distance * scale * 0.5
                if best is None or cost < best[0]:
                    best = (cost, box)
        assert best is not None
        box = best[1]
        taken.append(box)
        text.remove()
        _write(axes, point, box, label, scale)


def _overlap(box: tuple[float, float, float, float], others: Float64) -> float:
    """Area of a box (left, low, right, high) that others (n, 4) cover, in square pixels."""
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    return float((np.maximum(width, 0) * np.maximum(height, 0)).sum())


def _write(axes: Any, point: Any, box: tuple[float, ...], label: str, scale: float) -> None:
    """The label in its box, placed relative to its point, so that it moves with the point when the figure is saved."""
    to_data = axes.transData.inverted().transform
    nearest = np.clip(point, box[:2], box[2:])
    far = float(np.hypot(*(nearest - point))) > 11 * scale
    axes.annotate(
        label,
        to_data(point),
        xytext=((box[0] - point[0]) / scale, (box[1] - point[1]) / scale),
        textcoords="offset points",
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkA": 0, "shrinkB": 3} if far else None,
        fontsize=8.5,
        color=INK,
    )
