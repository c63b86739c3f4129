"""Other test rows that the same people might have had: the rest of their rows, and so every fitted model, stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from recsys_lab.compiled import njit
from recsys_lab.data.interactions import Bool, Float64, Int32, Int64, Interactions
from recsys_lab.data.synthetic import Truth
from recsys_lab.splits import Split

FIRST_SWEEPS = 30  # before the first draw: it must not remember the rows that were seen
SWEEPS = 5  # between two draws


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of a generated data set in the order in which they were chosen, by user."""

    begins: Int64  # (n_users + 1,) where the rows of each user begin
    items: Int32  # (n,)
    visits: Int64  # (n,) the visit in which the row was chosen
    hidden: Bool  # (n,) test rows, which are drawn again
    weights: Float64  # (n_visits, n_items) weights of choice at the time of each visit, highest 1


def rows_of(data: Interactions, split: Split, truth: Truth) -> Rows:
    """The rows of ``data``, as generated and not filtered, and which of them are test rows of ``split``."""
    n_users, visits = data.n_users, truth.visits
    owner = np.repeat(np.arange(n_users, dtype=np.int32), np.diff(visits.first))
    weights = truth.log_weights(owner, visits.when).astype(np.float64)
    weights = np.exp(np.maximum(weights - weights.max(axis=1, keepdims=True), -600.0))
    begins = np.concatenate([[0], np.cumsum(visits.rows_per_user)])
    of_row = np.repeat(np.arange(len(owner)), visits.n_rows)
    hidden = np.isin(_pairs(data), _pairs(split.test))
    return Rows(begins, data.items, of_row, hidden, weights)


def redraws(
    data: Interactions, split: Split, truth: Truth, n: int, rng: np.random.Generator, threshold: float | None = None
) -> Iterator[Interactions]:
    """``n`` test parts as the truth might have made them, given all other rows and the times of the test rows.

    Items come from their distribution given everything that is kept: rows are chosen one by one without replacement
    (``data.synthetic.sampling``), so for hidden rows h the probability is ∝ ∏ w(item) / (weights not taken yet) over
    all rows from the first hidden one on, visible later rows too. It is sampled by Metropolis steps, one hidden row at
    a time, that propose by the weights and accept by the ratio of the later denominators; the chain starts at the rows
    that happened, which are a draw from it. With a ``threshold`` the ratings are 5 where the user, by the truth, would
    rate the item so high and 1 where not; without, all are 5. Row order is that of ``data``.
    """
    rows = rows_of(data, split, truth)
    test = data.select(rows.hidden)
    when = truth.visits.when[rows.visits[rows.hidden]]
    liked = None if threshold is None else truth.rating_at_least(test.users, threshold, when)
    items = rows.items.copy()
    sums = np.cumsum(rows.weights, axis=1)
    for draw in range(n):
        sweeps = SWEEPS if draw else FIRST_SWEEPS
        _sweep(rows.begins, items, rows.visits, rows.hidden, rows.weights, sums, sweeps, rng)
        drawn = items[rows.hidden]
        ratings = np.full(len(drawn), 5.0, dtype=np.float32)
        if liked is not None:
            ratings[rng.random(len(drawn)) >= liked[np.arange(len(drawn)), drawn]] = 1.0
        yield replace(test, items=drawn, ratings=ratings)


def _pairs(data: Interactions) -> Int64:
    pairs: Int64 = data.users.astype(np.int64) * data.n_items + data.items
    return pairs


@njit()
def _sweep(begins, items, visits, hidden, weights, sums, n_sweeps, rng):  # type: ignore[no-untyped-def]
    """Draw every hidden item anew ``n_sweeps`` times, in place."""
    n_items = weights.shape[1]
    for user in range(len(begins) - 1):
        first, last = begins[user], begins[user + 1]
        taken = np.zeros(n_items, dtype=np.bool_)
        left = np.empty(last - first)  # the weight that is not taken yet when the row is chosen
        for row in range(first, last):
            own = weights[visits[row]]
            left[row - first] = own.sum()
            for before in range(first, row):
                left[row - first] -= own[items[before]]
            taken[items[row]] = True
        for _ in range(n_sweeps):
            for row in range(first, last):
                if hidden[row]:
                    old = items[row]
                    new = _propose(sums[visits[row]], taken, old, rng)
                    if new != old:
                        _step(row, first, last, old, new, items, visits, weights, left, taken, rng)


@njit()
def _propose(sums, taken, old, rng):  # type: ignore[no-untyped-def]
    """An item by its weight among those that no other row has; the present one is among them."""
    for _ in range(10_000):
        item = np.searchsorted(sums, rng.random() * sums[-1], side="right")
        if item < len(sums) and (item == old or not taken[item]):
            return item
    return old


@njit()
def _step(row, first, last, old, new, items, visits, weights, left, taken, rng):  # type: ignore[no-untyped-def]
    ratio = 1.0
    for later in range(row + 1, last):
        own = weights[visits[later]]
        ratio *= left[later - first] / (left[later - first] + own[old] - own[new])
    if rng.random() < ratio:
        for later in range(row + 1, last):
            own = weights[visits[later]]
            left[later - first] += own[old] - own[new]
        taken[old], taken[new] = False, True
        items[row] = new
