"""Loops of Surprise's models in compiled form: similarities, nearest raters, SlopeOne."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_lab.compiled import njit, prange

COSINE, MSD, PEARSON = 0, 1, 2


@njit(parallel=True)
def similarities(pointers, codes, values, n_x, kind, min_support, shrinkage, n_chunks):
    """All similarities (n_x, n_x) float64, symmetric, 1 on the diagonal.

    Entries are grouped by the other side y, sorted by x. Pairs with fewer than ``min_support`` common y, or without
    any spread, get 0; ``shrinkage`` >= 0 multiplies by (n - 1) / (n - 1 + shrinkage), n common y (-1: not at all).
    """
    similarity = np.eye(n_x)
    n = len(codes)
    owners = np.empty(n, dtype=np.int64)  # y of each entry
    for y in range(len(pointers) - 1):
        owners[pointers[y] : pointers[y + 1]] = y
    starts = np.zeros(n_x + 1, dtype=np.int64)
    for entry in range(n):
        starts[codes[entry] + 1] += 1
    starts = np.cumsum(starts)
    filled = starts[:-1].copy()
    own = np.empty(n, dtype=np.int64)  # entries grouped by x, y ascending
    for entry in range(n):
        own[filled[codes[entry]]] = entry
        filled[codes[entry]] += 1
    for chunk in prange(n_chunks):
        sums = np.zeros((n_x, 6))  # of x·x', x², x'², x, x' (or (x - x')²), common y
        for x in range(chunk, n_x, n_chunks):
            sums[x:] = 0.0
            for position in range(starts[x], starts[x + 1]):
                entry = own[position]
                mine = values[entry]
                for other in range(entry + 1, pointers[owners[entry] + 1]):
                    row = sums[codes[other]]
                    theirs = values[other]
                    if kind == MSD:
                        row[0] += (mine - theirs) ** 2
                    else:
                        row[0] += mine * theirs
                        row[1] += mine * mine
                        row[2] += theirs * theirs
                        if kind == PEARSON:
                            row[3] += mine
                            row[4] += theirs
                    row[5] += 1.0
            for x2 in range(x + 1, n_x):
                if sums[x2, 5] >= min_support:
                    value = _similarity(sums[x2], kind)
                    if shrinkage >= 0.0:
                        value *= (sums[x2, 5] - 1.0) / (sums[x2, 5] - 1.0 + shrinkage)
                    similarity[x, x2] = value
                    similarity[x2, x] = value
    return similarity


@njit(inline="always")
def _similarity(sums, kind):
    if kind == MSD:
        return 1.0 / (sums[0] / sums[5] + 1.0)
    if kind == PEARSON:
        n = sums[5]
        below = np.sqrt((n * sums[1] - sums[3] ** 2) * (n * sums[2] - sums[4] ** 2))
        return (n * sums[0] - sums[3] * sums[4]) / below if below > 0.0 else 0.0
    below = np.sqrt(sums[1] * sums[2])
    return sums[0] / below if below > 0.0 else 0.0


@njit(inline="always")
def _sift(best: Any, places: Any, root: int, size: int) -> None:
    """Restore the heap below ``root``: smallest similarity on top; of equal ones that which came last."""
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        other = child + 1
        if other < size and (
            best[other] < best[child] or (best[other] == best[child] and places[other] > places[child])
        ):
            child = other
        if best[root] < best[child] or (best[root] == best[child] and places[root] > places[child]):
            return
        best[root], best[child] = best[child], best[root]
        places[root], places[child] = places[child], places[root]
        root = child


@njit()
def _from_neighbours(similar, start, stop, raters, values, n_neighbors, min_neighbors, best, places):
    """Weighted mean of ``values`` over the nearest raters of positive similarity; NaN when there are too few."""
    size = 0
    for position in range(start, stop):
        weight = similar[raters[position]]
        if not weight > 0.0:
            continue
        if size < n_neighbors:
            best[size], places[size] = weight, position
            size += 1
            if size == n_neighbors:
                for root in range(size // 2 - 1, -1, -1):
                    _sift(best, places, root, size)
        elif weight > best[0]:
            best[0], places[0] = weight, position
            _sift(best, places, 0, size)
    if size < min_neighbors:
        return np.nan
    total, weights = 0.0, 0.0
    for slot in range(size):
        total += best[slot] * values[places[slot]]
        weights += best[slot]
    return total / weights


@njit(parallel=True)
def neighbour_pairs(similarity, pointers, raters, values, xs, ys, base, spread, n_neighbors, min_neighbors, needed):
    """Estimates (n,) of pairs (x, y): ``base`` of the pair + ``spread[x]`` times the neighbours' weighted mean.

    Without enough neighbours the base alone, or NaN where they are ``needed``; -1 is an unknown x or y.
    """
    n = len(xs)
    out = base.copy()
    n_chunks = 64
    for chunk in prange(n_chunks):
        best = np.empty(n_neighbors)
        places = np.empty(n_neighbors, dtype=np.int64)
        for pair in range(chunk * n // n_chunks, (chunk + 1) * n // n_chunks):
            x, y = xs[pair], ys[pair]
            if x < 0 or y < 0 or np.isnan(out[pair]):
                continue
            part = _from_neighbours(
                similarity[x], pointers[y], pointers[y + 1], raters, values, n_neighbors, min_neighbors, best, places
            )
            if needed or not np.isnan(part):
                out[pair] += spread[x] * part
    return out


@njit(parallel=True)
def neighbour_rankings(
    similarity, pointers, rated, values, order, xs, ys, mean, x_base, y_base, spread, n_neighbors, min_neighbors, needed
):
    """Estimates (len(xs), len(ys)) float32 of all pairs, as ``neighbour_pairs`` makes them one by one.

    Entries are grouped by x; ``order`` (n_x,) holds all x in the order in which equally near ones are taken. Each x
    walks once through all that the others rated, the nearest first: a y takes the first ``n_neighbors`` it meets.
    """
    out = np.empty((len(xs), len(ys)), dtype=np.float32)
    n_chunks = min(64, len(xs))
    for chunk in prange(n_chunks):
        sums = np.empty((len(y_base) - 1, 3))  # of weighted values, of weights, raters
        for place in range(chunk, len(xs), n_chunks):
            x = xs[place]
            sums[:] = 0.0
            if x >= 0:
                near = order[similarity[x][order] > 0.0]
                for slot in np.argsort(-similarity[x][near], kind="mergesort"):
                    weight = similarity[x, near[slot]]
                    for position in range(pointers[near[slot]], pointers[near[slot] + 1]):
                        row = sums[rated[position]]
                        if row[2] < n_neighbors:
                            row[0] += weight * values[position]
                            row[1] += weight
                            row[2] += 1.0
            for column in range(len(ys)):
                y = ys[column]
                estimate = mean + x_base[x] + y_base[y]
                if x >= 0 and y >= 0:
                    if sums[y, 2] >= min_neighbors:
                        estimate += spread[x] * (sums[y, 0] / sums[y, 1])
                    elif needed:
                        estimate = np.nan
                out[place, column] = estimate
    return out


@njit(parallel=True)
def slope_deviations(user_pointers, items, ratings, item_pointers, users, item_ratings, n_chunks):
    """Mean of r_ui - r_uj over the users of both items, (n_items, n_items) float32; NaN where there are none."""
    n_items = len(item_pointers) - 1
    mean = np.full((n_items, n_items), np.float32(np.nan), dtype=np.float32)
    for chunk in prange(n_chunks):
        sums = np.zeros((n_items, 2))  # difference, users
        for i in range(chunk, n_items, n_chunks):
            sums[:] = 0.0
            for position in range(item_pointers[i], item_pointers[i + 1]):
                mine = item_ratings[position]
                user = users[position]
                for other in range(user_pointers[user], user_pointers[user + 1]):
                    row = sums[items[other]]
                    row[0] += mine - ratings[other]
                    row[1] += 1.0
            for j in range(n_items):
                if sums[j, 1] > 0.0:
                    mean[i, j] = sums[j, 0] / sums[j, 1]
    return mean


@njit(parallel=True)
def slope_pairs(deviation, pointers, items, user_means, xs, ys):
    """Estimates (n,) of pairs (user, item), NaN where one is -1: the user's mean + the mean deviation."""
    out = np.full(len(xs), np.nan)
    for pair in prange(len(xs)):
        user, item = xs[pair], ys[pair]
        if user < 0 or item < 0:
            continue
        total, count = 0.0, 0
        row = deviation[item]
        for position in range(pointers[user], pointers[user + 1]):
            value = row[items[position]]
            if value == value:  # not NaN
                total += value
                count += 1
        out[pair] = user_means[user] + (total / count if count else 0.0)
    return out
