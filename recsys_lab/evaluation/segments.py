"""One metric in segments: who is served worse, and which items are found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys_lab.data.interactions import Bool, Float64, Int64
from recsys_lab.evaluation.relevance import find, relevant_items
from recsys_lab.evaluation.result import Evaluation
from recsys_lab.metrics.definitions import parse_metric
from recsys_lab.metrics.fairness import MIN_GROUP_SIZE, group_report

if TYPE_CHECKING:
    from recsys_lab.splits import Split

ACTIVITY_GROUPS = 4  # quarters of the users by the rows of their history
DECILES = 10  # of the items by popularity in train, equally many items each
MANY = 30  # a column of the users with more values than this names people, not groups

Groups = tuple[Int64, list[str]]  # codes into the names in their natural order; -1 is no group
Segment = tuple[str, str, Float64, Groups]  # by, metric, one value a user (or user and group), its group


def segment_report(
    evaluation: Evaluation, split: Split, metric: str, *, min_group_size: int = MIN_GROUP_SIZE
) -> pd.DataFrame:
    """The mean of a per-user metric in groups of users, and recall in groups of items; one row a group.

    ``by``: "activity" (quarters of the users by rows in their history), "user" (warm, cold), each column of
    ``catalogue.users`` ("gender", "age", ...); for rankings also "item popularity" (deciles of the items by rows in
    train, 1 the most popular tenth) and "item" (warm, cold: unknown to train), measured by each user's recall of the
    relevant items in the group, at the metric's cut-off. ``metric``: a column of ``evaluation.per_user``.

    Columns: by, group, metric, n (users), mean, low, high (95 % interval), used (n of at least ``min_group_size``),
    worst (of the used groups), gap (highest - lowest mean of the used ones) and ratio (lowest / highest): the same in
    all rows of one ``by``, NaN when fewer than two groups are used.
    Raises ValueError for a metric that has no value for each user.
    """
    if metric not in evaluation.metrics:
        raise ValueError(
            f"{metric!r} has no value for each user here; measured by user were {', '.join(evaluation.metrics)}"
        )
    card, k = parse_metric(metric)
    segments = [*_user_segments(evaluation, split, metric)]
    if evaluation.lists is not None:
        segments += _item_segments(evaluation, split, k or evaluation.lists.k)
    parts = []
    for by, measured, values, groups in segments:
        better = card.better if measured == metric else "higher"
        parts.append(_rows(by, measured, values, groups, better, min_group_size))
    return pd.concat(parts, ignore_index=True)


def _rows(by: str, metric: str, values: Float64, groups: Groups, better: str, min_group_size: int) -> pd.DataFrame:
    codes, names = groups
    labels = np.array([*names, None], dtype=object)[codes]  # the last answers for -1
    report = group_report(values, labels, min_group_size=min_group_size)
    table = report.table.loc[[name for name in names if name in report.table.index]].reset_index()
    used = table.loc[table["used"].astype(bool), "mean"]
    two = len(used) > 1
    worst = -1 if not two or better == "neither" else used.idxmin() if better == "higher" else used.idxmax()
    table.insert(0, "by", by)
    table.insert(2, "metric", metric)
    table["used"] = table["used"].astype(bool)
    table["worst"] = table.index == worst
    table["gap"], table["ratio"] = (report.gap, report.ratio) if two else (np.nan, np.nan)
    return table


def _user_segments(evaluation: Evaluation, split: Split, metric: str) -> Iterator[Segment]:
    values = evaluation.per_user[metric].to_numpy(dtype=np.float64)
    users = evaluation.per_user.index.to_numpy()
    rows = split.train.user_activity[users]
    if split.history is not split.train:
        rows = split.history.user_activity[users]
    yield "activity", metric, values, _quarters(rows)
    cold = evaluation.per_user["is_cold"].to_numpy(dtype=bool)
    yield "user", metric, values, _warm_or_cold(cold)
    people = split.train.catalogue.users
    if people is None:
        return
    for column in people.columns:
        known = people[column].iloc[users]
        if known.nunique() <= MANY:
            codes, names = pd.factorize(known, sort=True)
            yield str(column), metric, values, (codes.astype(np.int64), [str(name) for name in names])


def _item_segments(evaluation: Evaluation, split: Split, k: int) -> list[Segment]:
    """Each user's recall of the relevant items in a group of items: one value a user and group."""
    relevant = relevant_items(split.test, evaluation.protocol["relevance_threshold"])
    lists = evaluation.lists
    assert lists is not None
    if not np.array_equal(lists.users, relevant.users):
        raise ValueError("the lists are of other users than the test part; give the split of the evaluation")
    found = np.zeros(len(relevant.items))
    places = find(lists.items[:, :k], relevant.starts, relevant.items)
    found[places[places >= 0]] = 1.0
    owners = np.repeat(np.arange(len(relevant.users)), relevant.n_relevant)
    popularity = split.train.item_popularity
    segments = []
    for by, groups in (("item popularity", _deciles(popularity)), ("item", _warm_or_cold(popularity == 0))):
        codes, names = groups
        values, of_cell = _means(found, owners, codes[relevant.items], len(names))
        segments.append((by, f"recall@{k}", values, (of_cell, names)))
    return segments


def _means(found: Float64, owners: Int64, codes: Int64, n_groups: int) -> tuple[Float64, Int64]:
    """The mean of ``found`` in each (owner, group) that occurs, and its group; code -1 is in no group."""
    known = codes >= 0
    cells, of_pair = np.unique(owners[known] * n_groups + codes[known], return_inverse=True)
    counts = np.bincount(of_pair, minlength=len(cells))
    return np.bincount(of_pair, weights=found[known], minlength=len(cells)) / counts, cells % n_groups


def _quarters(rows: Int64) -> Groups:
    """Quarters of the users with rows, named by their bounds; users of equal activity share one, none is "0 rows"."""
    present = rows[rows > 0]
    shares = np.arange(1, ACTIVITY_GROUPS) / ACTIVITY_GROUPS
    bounds = np.unique(np.quantile(present, shares, method="lower")) if len(present) else present
    group = np.where(rows > 0, np.searchsorted(bounds, rows, side="left") + 1, 0)
    kept, codes = np.unique(group, return_inverse=True)
    ends = [(rows[group == number].min(), rows[group == number].max()) for number in kept]
    names = [f"{low:,} rows" if low == high else f"{low:,}-{high:,} rows" for low, high in ends]
    return codes.astype(np.int64), names


def _deciles(popularity: Int64) -> Groups:
    """Tenths of the items of train, from the most popular on; ties by code. Items unknown to train are in none."""
    known = np.flatnonzero(popularity > 0)
    order = known[np.argsort(-popularity[known], kind="stable")]
    codes = np.full(len(popularity), -1, dtype=np.int64)
    codes[order] = np.arange(len(order)) * DECILES // max(len(order), 1)
    return codes, ["1 (most popular)", *map(str, range(2, DECILES)), f"{DECILES} (least)"]


def _warm_or_cold(cold: Bool) -> Groups:
    return cold.astype(np.int64), ["warm", "cold"]
