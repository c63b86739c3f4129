"""Figures of what a model has learnt: neighbours, profiles, weights between items, a map of the factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_lab.data.interactions import Float64
from recsys_lab.plots.style import (
    BLUE,
    FAINT,
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
)


def named_bars(names: Sequence[str], values: Sequence[float] | NDArray[Any], title: str, x_label: str) -> Plot:
    """A bar and its value for each name, in the given order; negative values point left in another colour.

    Serves the neighbours of an item (names = titles, values = similarities) and the profile of a user.
    """
    heights = _finite(values, len(names), "named_bars")
    colours = np.where(heights < 0, VERMILION, BLUE)
    lines = np.arange(len(names))
    with styled():
        figure = new_figure(6.6, 0.95 + 0.28 * max(len(names), 1))
        axes = figure.add_subplot()
        bars = axes.barh(lines, heights, height=0.72, color=colours)
        axes.bar_label(bars, [f"{value:.2f}" for value in heights], padding=4, color=MUTED, fontsize=8.5)
        axes.set_yticks(lines, [short(str(name)) for name in names], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.14)
        axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=x_label, title=short(title, 70))
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=MUTED, lw=0.8)
    return figure


def weight_map(weights: NDArray[Any], names: Sequence[str], title: str, label: str = "weight") -> Plot:
    """A square matrix of weights between items as colours, blue above 0 and red below; the diagonal is left blank."""
    matrix = np.array(weights, dtype=np.float64)
    n = len(names)
    if matrix.shape != (n, n):
        raise ValueError(f"weight_map needs one row and one column a name, ({n}, {n}); found {matrix.shape}")
    np.fill_diagonal(matrix, np.nan)
    limit = float(np.nanmax(np.abs(matrix))) if n > 1 else 1.0
    with styled():
        figure = new_figure(3.2 + 0.3 * n, 1.4 + 0.3 * n)
        axes = figure.add_subplot()
        image = axes.imshow(matrix, cmap="RdBu", vmin=-limit or -1.0, vmax=limit or 1.0)
        axes.set_xticks(np.arange(n), np.arange(1, n + 1))
        axes.set_yticks(np.arange(n), [f"{short(name, 28)}  {line}" for line, name in enumerate(names, 1)], color=INK)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(short(title, 70))
        bar = figure.colorbar(image, ax=axes, shrink=0.75, label=label)
        bar.outline.set_visible(False)
    return figure


def factor_map(
    factors: NDArray[Any],
    groups: Sequence[str],
    titles: Sequence[str],
    popularity: NDArray[Any],
    *,
    n_groups: int = 5,
    n_titles: int = 8,
) -> Plot:
    """Items on the two main directions of their factors; the largest groups in colour, the most popular by title.

    ``factors`` (n_items, n_factors); ``groups`` (n_items,) one word an item, for example the first genre ("" = none);
    ``popularity`` (n_items,) sets the size of a point. Directions are the principal components, so a map can be
    turned or mirrored: only distances mean something.
    """
    places = principal_plane(factors)
    labels = np.asarray([str(group) for group in groups], dtype=object)
    popularity = _finite(popularity, len(places), "factor_map")
    if len(labels) != len(places) or len(titles) != len(places):
        raise ValueError(f"factor_map needs a group and a title an item: {len(places)} items, {len(labels)} groups")
    names, counts = np.unique(labels[labels != ""], return_counts=True)
    largest = [str(name) for name in names[np.argsort(-counts, kind="stable")][:n_groups]]
    sizes = 10 + 60 * np.sqrt(popularity / max(float(popularity.max()), 1.0))
    with styled():
        figure = new_figure(7.2, 5.4)
        axes = figure.add_subplot()
        others = ~np.isin(labels, largest)
        axes.scatter(places[others, 0], places[others, 1], s=sizes[others], color=FAINT, lw=0, label="other")
        for colour, name in zip(PALETTE, largest):
            rows = labels == name
            x, y = places[rows].T
            axes.scatter(x, y, s=sizes[rows], color=colour, alpha=0.75, edgecolors="white", lw=0.4, label=name)
        axes.set(xticks=[], yticks=[], xlabel="first direction", ylabel="second direction")
        key_above(axes, axes.get_legend_handles_labels()[0])
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())  # the labels need final limits
        top = np.argsort(-popularity, kind="stable")[:n_titles]
        place_labels(axes, places[top, 0], places[top, 1], [short(str(titles[item]), 26) for item in top])
    return figure


def principal_plane(factors: NDArray[Any]) -> Float64:
    """The rows of ``factors`` on their first two principal components, (n, 2) float64, signs fixed."""
    centred = np.asarray(factors, dtype=np.float64)
    if centred.ndim != 2 or centred.shape[1] < 2 or len(centred) < 2 or not np.isfinite(centred).all():
        raise ValueError(f"a map needs finite factors (n >= 2, n_factors >= 2); found shape {centred.shape}")
    centred = centred - centred.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2]
    signs = np.sign(directions[np.arange(2), np.abs(directions).argmax(axis=1)])
    places: Float64 = centred @ (directions * np.where(signs == 0, 1, signs)[:, None]).T
    return places


def _finite(values: Sequence[float] | NDArray[Any], n: int, what: str) -> Float64:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,) or not np.isfinite(array).all():
        raise ValueError(f"{what} needs {n} finite values, one a name; found shape {array.shape}")
    return array
