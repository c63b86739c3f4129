"""Figures of a data set and of a split: the long tail, activity, ratings, time, and which rows went where."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from recsys_lab.data.interactions import Interactions
from recsys_lab.plots.style import BLUE, FAINT, INK, MUTED, ORANGE, VERMILION, Plot, new_figure, plain_ticks, styled

PART_COLOURS = {"train": BLUE, "validation": ORANGE, "test": VERMILION}


class Parts(Protocol):
    """What ``split_timeline`` needs of a split."""

    @property
    def train(self) -> Interactions: ...
    @property
    def validation(self) -> Interactions | None: ...
    @property
    def test(self) -> Interactions: ...


def popularity_curve(data: Interactions, head: float = 0.2) -> Plot:
    """Rows of each item, from the most to the least popular: the long tail.

    The first ``head`` of the items that have rows are shaded, with the share of all rows that they hold.
    """
    counts = np.sort(data.item_popularity[data.item_popularity > 0])[::-1]
    _need(len(counts) > 0, "popularity_curve needs at least one row")
    ranks = np.arange(1, len(counts) + 1)
    n_head = max(1, round(head * len(counts)))
    with styled():
        figure = new_figure()
        axes = figure.add_subplot()
        axes.fill_between(ranks, counts, color=FAINT, lw=0)
        axes.fill_between(ranks[:n_head], counts[:n_head], color=BLUE, alpha=0.25, lw=0)
        axes.plot(ranks, counts, color=BLUE)
        axes.set(
            xlabel="items, most popular first", ylabel="rows of the item", xlim=(1, max(len(counts), 2)), ylim=(0, None)
        )
        axes.set_title("A few items hold most of the rows" if _share(counts, n_head) > 0.5 else "Popularity of items")
        _note(axes, f"the top {head:.0%} of the items\nhold {_share(counts, n_head):.0%} of the rows", 0.97, 0.93)
        plain_ticks(axes.xaxis)
        plain_ticks(axes.yaxis)
    return figure


def user_activity(data: Interactions) -> Plot:
    """How many users have how many rows, on a log axis, with the median."""
    counts = data.user_activity[data.user_activity > 0]
    _need(len(counts) > 0, "user_activity needs at least one row")
    low, high = int(counts.min()), int(counts.max())
    edges = np.unique(np.round(np.geomspace(low, high + 1, 28)).astype(np.int64))
    if len(edges) < 2:
        edges = np.array([low, low + 1])
    with styled():
        figure = new_figure()
        axes = figure.add_subplot()
        heights, _ = np.histogram(counts, edges)
        axes.bar(edges[:-1], heights, np.diff(edges), align="edge", color=BLUE, edgecolor="white", linewidth=0.6)
        axes.set_xscale("log")
        axes.set(xlabel="rows of the user (log)", ylabel="users")
        axes.set_title("Activity of users")
        median = float(np.median(counts))
        axes.axvline(median, color=INK, lw=1, ls=(0, (3, 3)))
        _note(axes, f"half of the users have {median:,.0f} rows or fewer\nthe most active has {high:,}", 0.97, 0.93)
        axes.set_xticks([tick for tick in _round_numbers(low, high) if low <= tick <= high])
        axes.xaxis.set_minor_locator(NullLocator())
        plain_ticks(axes.xaxis)
    return figure


def rating_histogram(data: Interactions) -> Plot:
    """How often each rating was given; more than 20 different values are put into bins."""
    _need(len(data) > 0, "rating_histogram needs at least one row")
    values, counts = np.unique(data.ratings.astype(np.float64), return_counts=True)
    with styled():
        figure = new_figure(5.4, 3.4)
        axes = figure.add_subplot()
        if len(values) <= 20:
            share = counts / counts.sum()
            width = 0.8 * float(np.diff(values).min()) if len(values) > 1 else 0.5
            bars = axes.bar(values, share, width, color=BLUE)
            axes.bar_label(bars, [f"{part:.0%}" for part in share], padding=2, color=MUTED, fontsize=8.5)
            axes.set_xticks(values, [f"{value:g}" for value in values])
            axes.set_ylim(0, share.max() * 1.12)
            if len(values) == 1:
                axes.set_xlim(values[0] - 1.5, values[0] + 1.5)
        else:
            weights = np.full(len(data), 1 / len(data))
            axes.hist(data.ratings, bins=40, weights=weights, color=BLUE, edgecolor="white", linewidth=0.6)
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.set(xlabel="rating", ylabel="share of the rows")
        axes.set_title(f"Ratings, mean {data.ratings.mean(dtype=np.float64):.2f}")
    return figure


def timeline(data: Interactions, n_bins: int = 60) -> Plot:
    """Rows over time, and below them how many users were seen for the first time."""
    times = _times(data, "timeline")
    edges = np.linspace(times.min(), times.max() + 1, n_bins + 1)
    first = np.full(data.n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, data.users, times)
    panels = {"rows": times, "new users": first[data.user_activity > 0]}
    with styled():
        figure = new_figure(7.2, 3.8)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
        for axes, (name, values), colour in zip((upper, lower), panels.items(), (BLUE, VERMILION)):
            heights, _ = np.histogram(values, edges)
            axes.stairs(heights, _dates(edges), fill=True, color=colour, alpha=0.85)
            axes.set_ylabel(name)
            plain_ticks(axes.yaxis)
        upper.set_title("Rows over time")
    return figure


def split_timeline(split: Parts, n_users: int = 40, n_bins: int = 60) -> Plot:
    """What lies where: the parts of a split over time, for all rows (above) and for some users (below, a line each).

    The users are spread evenly over the order of first appearance, those with test rows first.
    """
    parts = {name: part for name in PART_COLOURS if (part := getattr(split, name)) is not None and len(part)}
    times = {name: _times(part, "split_timeline") for name, part in parts.items()}
    _need(bool(parts), "split_timeline needs at least one row")
    every = np.concatenate(list(times.values()))
    edges = np.linspace(every.min(), every.max() + 1, n_bins + 1)
    shown = _spread_users(split, n_users)
    lines = pd.Series(np.arange(len(shown)), index=shown)
    with styled():
        figure = new_figure(7.2, 5.2)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2.2])
        base = np.zeros(n_bins)
        for name, part in parts.items():
            colour = PART_COLOURS[name]
            heights = np.histogram(times[name], edges)[0]
            upper.stairs(base + heights, _dates(edges), baseline=base, fill=True, color=colour, alpha=0.9, label=name)
            base = base + heights
            keep = np.isin(part.users, shown)
            lower.scatter(
                _dates(times[name][keep]),
                lines.loc[part.users[keep]] + (0.18 if name == "train" else -0.18),
                s=9,
                color=colour,
                marker="|" if name == "train" else "o",
                linewidths=1.0 if name == "train" else 0,
                zorder=2 if name == "train" else 3,
            )
        upper.set_ylabel("rows")
        plain_ticks(upper.yaxis)
        upper.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(parts), handlelength=1.0, borderaxespad=0.2)
        upper.set_title("What lies where")
        lower.set(ylabel=f"{len(shown)} users, first seen below", yticks=[], ylim=(-1, len(shown)))
    return figure


def _spread_users(split: Parts, n_users: int) -> NDArray[Any]:
    """Codes of up to ``n_users`` users (those of the test part, if there are enough), by their first time."""
    rows = pd.concat(
        pd.DataFrame({"user": part.users, "time": part.timestamps}) for part in (split.train, split.test) if len(part)
    )
    first = rows.groupby("user")["time"].min().sort_values(kind="stable")
    tested = first[first.index.isin(np.unique(split.test.users))]
    pool = tested if len(tested) >= n_users else first
    picks = np.unique(np.linspace(0, len(pool) - 1, min(n_users, len(pool))).round().astype(int))
    return np.asarray(pool.index.to_numpy()[picks])


def _times(data: Interactions, what: str) -> NDArray[np.int64]:
    if data.timestamps is None or not len(data):
        raise ValueError(f"{what} needs rows with timestamps; found {data!r}")
    return data.timestamps


def _dates(seconds: NDArray[Any]) -> NDArray[np.datetime64]:
    return np.asarray(seconds).astype(np.int64).astype("datetime64[s]")


def _round_numbers(low: int, high: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... from below ``low`` to above ``high``."""
    first, last = int(np.log10(max(low, 1))), int(np.log10(max(high, 1))) + 1
    return [digit * 10**power for power in range(first, last + 1) for digit in (1, 2, 5)]


def _share(counts: NDArray[np.int64], n_head: int) -> float:
    return float(counts[:n_head].sum() / counts.sum())


def _note(axes: Any, text: str, x: float, y: float) -> None:
    axes.text(x, y, text, transform=axes.transAxes, ha="right", va="top", color=INK, linespacing=1.4)


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
