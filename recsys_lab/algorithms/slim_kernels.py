"""Coordinate descent for the elastic nets of SLIM, one per item.

All of them minimise ½ wᵀGw - gᵀw + l1 |w|₁ + ½ l2 |w|₂², where G holds dot products of items and g those with the item
scored. Each item is solved by one thread from w = 0, so results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from recsys_lab.compiled import njit, prange

MAX_SWEEPS = 20_000  # over the coordinates of one working set
MAX_ROUNDS = 100  # of growing the working set
FIRST = 64  # size of the first working set


@njit(parallel=True)
def mirror(gram):  # type: ignore[no-untyped-def]
    """Copy the upper triangle of (n, n) to the lower one, in place."""
    for row in prange(gram.shape[0]):
        for column in range(row):
            gram[row, column] = gram[column, row]


@njit()
def _shrunk(value, l1, denominator, non_negative):  # type: ignore[no-untyped-def]
    """The best value of one coordinate."""
    if denominator <= 0.0:
        return 0.0
    if value > l1:
        return (value - l1) / denominator
    if value < -l1 and not non_negative:
        return (value + l1) / denominator
    return 0.0


@njit()
def _descend(gram, target, weights, l1, l2, tolerance, non_negative):  # type: ignore[no-untyped-def]
    """Improve ``weights`` (a,) in place, in turn, until none moves by more than tolerance × the largest weight."""
    size = weights.size
    product = np.zeros(size, dtype=np.float64)  # G w
    for i in range(size):
        if weights[i] != 0.0:
            for j in range(size):
                product[j] += weights[i] * gram[i, j]
    for _ in range(MAX_SWEEPS):
        largest, moved = 0.0, 0.0
        for i in range(size):
            own = gram[i, i]
            new = _shrunk(target[i] - product[i] + own * weights[i], l1, own + l2, non_negative)
            step = new - weights[i]
            if step != 0.0:
                row = gram[i]
                for j in range(size):
                    product[j] += step * row[j]
                weights[i] = new
                moved = max(moved, abs(step))
            largest = max(largest, abs(new))
        if moved <= tolerance * largest:
            break


@njit()
def _violations(gram, item, places, weights, l1, l2, tolerance, non_negative):  # type: ignore[no-untyped-def]
    """How far each coordinate (n,) outside the working set would move, 0 where it is within the tolerance."""
    n = gram.shape[0]
    left = np.empty(n, dtype=np.float64)
    for j in range(n):
        left[j] = gram[item, j]
    largest = 0.0
    for place in range(places.size):
        weight = weights[place]
        largest = max(largest, abs(weight))
        row = gram[places[place]]
        for j in range(n):
            left[j] -= weight * row[j]
    for place in range(places.size):
        left[places[place]] = 0.0
    left[item] = 0.0
    for j in range(n):
        step = abs(_shrunk(left[j], l1, gram[j, j] + l2, non_negative))
        left[j] = step if step > tolerance * largest else 0.0
    return left


@njit()
def _keep_largest(places, weights, items, values):  # type: ignore[no-untyped-def]
    """Write the entries of largest absolute weight to ``items`` and ``values`` (k,), zeros left out."""
    order = np.argsort(-np.abs(weights), kind="mergesort")
    for rank in range(min(items.size, order.size)):
        if weights[order[rank]] == 0.0:
            return
        items[rank], values[rank] = places[order[rank]], weights[order[rank]]


@njit(parallel=True)
def solve_on_gram(gram, penalties, tolerance, non_negative, k, n_chunks):  # type: ignore[no-untyped-def]
    """The k largest weights of every item, all others being candidates: (n, k) int32 with -1 = none, (n, k) float32.

    ``gram`` (n, n) float32, both triangles; ``penalties`` = (l1, l2). A working set of items with weight is solved, the
    items that would enter are added, and so on until none would.
    """
    n = gram.shape[0]
    l1, l2 = penalties
    items = np.full((n, k), -1, dtype=np.int32)
    values = np.zeros((n, k), dtype=np.float32)
    for chunk in prange(n_chunks):
        for item in range(chunk, n, n_chunks):
            places = np.empty(0, dtype=np.int64)
            weights = np.empty(0, dtype=np.float64)
            for _ in range(MAX_ROUNDS):
                outside = _violations(gram, item, places, weights, l1, l2, tolerance, non_negative)
                entering = np.flatnonzero(outside)
                if entering.size == 0:
                    break
                room = max(FIRST, places.size)
                if entering.size > room:
                    least = np.partition(outside[entering], entering.size - room)[entering.size - room]
                    entering = np.flatnonzero(outside >= least)
                stay = np.flatnonzero(weights)
                places = np.concatenate((places[stay], entering))
                weights = np.concatenate((weights[stay], np.zeros(entering.size)))
                local = np.empty((places.size, places.size), dtype=np.float64)
                target = np.empty(places.size, dtype=np.float64)
                for i in range(places.size):
                    target[i] = gram[item, places[i]]
                    for j in range(places.size):
                        local[i, j] = gram[places[i], places[j]]
                _descend(local, target, weights, l1, l2, tolerance, non_negative)
            _keep_largest(places, weights, items[item], values[item])
    return items, values


@njit()
def _gram_of(places, by_item, counts, starts):  # type: ignore[no-untyped-def]
    """Dot products (a, a) float64 of the items ``places``; ``counts``, ``starts`` (n_users,): scratch of zeros."""
    ptr, idx, val = by_item
    total = 0
    for place in places:
        total += ptr[place + 1] - ptr[place]
    users = np.empty(total, dtype=np.int32)
    n_touched, filled = 0, 0
    for place in places:
        for p in range(ptr[place], ptr[place + 1]):
            if counts[idx[p]] == 0:
                users[n_touched] = idx[p]
                n_touched += 1
            counts[idx[p]] += 1
    for t in range(n_touched):
        starts[users[t]] = filled
        filled += counts[users[t]]
        counts[users[t]] = 0
    rows = np.empty(total, dtype=np.int32)  # the items of each user, by their number in ``places``
    values = np.empty(total, dtype=np.float64)
    for row in range(places.size):
        for p in range(ptr[places[row]], ptr[places[row] + 1]):
            spot = starts[idx[p]] + counts[idx[p]]
            counts[idx[p]] += 1
            rows[spot], values[spot] = row, val[p]
    gram = np.zeros((places.size, places.size), dtype=np.float64)
    for t in range(n_touched):
        first, last = starts[users[t]], starts[users[t]] + counts[users[t]]
        counts[users[t]] = 0
        for p in range(first, last):
            for q in range(first, p + 1):
                gram[rows[p], rows[q]] += values[p] * values[q]
    for i in range(places.size):
        for j in range(i):
            gram[j, i] = gram[i, j]
    return gram


@njit(parallel=True)
def solve_on_candidates(by_item, n_users, candidates, penalties, tolerance, non_negative, k, n_chunks):  # type: ignore[no-untyped-def]
    """As ``solve_on_gram``, with weights only for the candidates of each item: (ptr, idx) of a CSR (n, n).

    ``by_item`` = (ptr, idx, val) of the items' rows. Dot products are computed for each item's candidates alone, so
    memory is n_candidates² and a few numbers a user for each thread.
    """
    ptr, idx = candidates
    n = ptr.size - 1
    l1, l2 = penalties
    items = np.full((n, k), -1, dtype=np.int32)
    values = np.zeros((n, k), dtype=np.float32)
    for chunk in prange(n_chunks):
        counts = np.zeros(n_users, dtype=np.int64)
        starts = np.zeros(n_users, dtype=np.int64)
        for item in range(chunk, n, n_chunks):
            size = ptr[item + 1] - ptr[item]
            if size == 0:
                continue
            places = np.empty(size + 1, dtype=np.int64)
            places[:size] = idx[ptr[item] : ptr[item + 1]]
            places[size] = item
            gram = _gram_of(places, by_item, counts, starts)
            local = np.ascontiguousarray(gram[:size, :size])
            weights = np.zeros(size, dtype=np.float64)
            _descend(local, gram[size, :size].copy(), weights, l1, l2, tolerance, non_negative)
            _keep_largest(places[:size], weights, items[item], values[item])
    return items, values
