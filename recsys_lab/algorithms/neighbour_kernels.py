"""Compiled loops that find and use the most similar rows of a sparse matrix.

Matrices come in as the three arrays of CSR: ``ptr`` int64, ``idx`` int32, ``val``. Rows are dealt round-robin to
``n_chunks`` private buffers; each row is computed by one thread in one order, so results do not depend on threads.
"""

from __future__ import annotations

import numpy as np

from recsys_lab.algorithms.selection import largest_positive
from recsys_lab.algorithms.top_k import _sift_down, _tie_hash, _worse
from recsys_lab.compiled import njit, prange

COSINE, SETS, PEARSON = 0, 1, 2
LINE = 16  # float32 in a cache line


@njit(inline="always")
def _ratio(kind, dot, left, right, shrinkage, epsilon, own):  # type: ignore[no-untyped-def]
    """The similarity from its sums. A new one is one more branch here; ``left`` belongs to the row asked about."""
    if kind == SETS:
        denominator = left + right + own * dot + shrinkage + epsilon
    else:
        denominator = left * right + shrinkage + epsilon
    return dot / denominator if denominator > 0.0 else 0.0


@njit()
def _compare(entries, q_norm, columns, norms, measure, sums, touched, seen):  # type: ignore[no-untyped-def]
    """Leave the similarity of one row to every row in ``sums[0]``, which must be all 0; return how many to look at.

    ``entries`` = (idx, val) of the row; ``columns`` = (ptr, idx, val) of the transposed matrix, the rows that hold each
    column; ``measure`` = (kind, shrinkage, epsilon, weight of the dot product in the denominator of sets). Similarities
    <= 0 become 0. For Pearson ``sums[1]`` and ``sums[2]`` gather the squares of both sides over the shared columns. The
    count is -1 when so many rows are touched that a pass over all is cheaper than the list ``touched``.
    """
    q_idx, q_val = entries
    t_ptr, t_idx, t_val = columns
    kind, shrinkage, epsilon, own = measure
    dots = sums[0]
    work = 0
    for p in range(q_idx.size):
        work += t_ptr[q_idx[p] + 1] - t_ptr[q_idx[p]]
    dense = work >= dots.size // 2
    count = 0
    for p in range(q_idx.size):
        value = q_val[p]
        first, last = t_ptr[q_idx[p]], t_ptr[q_idx[p] + 1]
        rows, values = t_idx[first:last].view(np.uint32), t_val[first:last]  # unsigned: no test for negative ones
        for t in range(rows.size):
            dots[rows[t]] += value * values[t]
        if kind == PEARSON:
            for t in range(first, last):
                sums[1, t_idx[t]] += value * value
                sums[2, t_idx[t]] += t_val[t] * t_val[t]
        if not dense:
            for t in range(first, last):
                if not seen[t_idx[t]]:
                    seen[t_idx[t]] = True
                    touched[count] = t_idx[t]
                    count += 1
    for t in range(dots.size if dense else count):
        row = t if dense else touched[t]
        seen[row] = False
        dot = dots[row]
        left, right = q_norm, norms[row]
        if kind == PEARSON:
            left, right = np.sqrt(sums[1, row]), np.sqrt(sums[2, row])
            sums[1, row] = 0.0
            sums[2, row] = 0.0
            if dot <= 1e-6 * left * right:  # float32 may leave a trace where the true sum is 0
                dot = 0.0
        dots[row] = _ratio(kind, dot, left, right, shrinkage, epsilon, own) if dot > 0.0 else 0.0
    return -1 if dense else count


@njit()
def _clear(dots, touched, count):  # type: ignore[no-untyped-def]
    if count < 0:
        dots[:] = 0.0
    for t in range(count):
        dots[touched[t]] = 0.0


@njit()
def _keep_largest(scores, codes, asker, places, rows, found):  # type: ignore[no-untyped-def]
    """The codes and scores of the k largest into ``rows`` and ``found`` (k,)."""
    for t in range(largest_positive(scores, codes, asker, places)):
        rows[t], found[t] = codes[places[t]], scores[places[t]]


@njit(parallel=True)
def nearest_rows(queries, q_norms, own, columns, norms, measure, floor, k, n_chunks):  # type: ignore[no-untyped-def]
    """The k most similar rows of each query, in no order: (b, k) int32 with -1 = none, (b, k) float32.

    ``queries`` = (ptr, idx, val); ``own`` (b,) is the row a query must not meet, itself, or -1. Only similarities
    above 0, and not below ``floor[row]`` where ``floor`` is not empty, count. Ties: by the hash of (query, row).
    """
    q_ptr, q_idx, q_val = queries
    n_rows, n = q_ptr.size - 1, norms.size
    rows = np.full((n_rows, k), -1, dtype=np.int32)
    found = np.zeros((n_rows, k), dtype=np.float32)
    for chunk in prange(n_chunks):
        sums = np.zeros((3 if measure[0] == PEARSON else 1, n), dtype=np.float64)
        touched = np.empty(n, dtype=np.int32)
        seen = np.zeros(n, dtype=np.bool_)
        scores = np.empty(n, dtype=np.float32)
        places = np.empty(k, dtype=np.int64)
        everyone = np.arange(n).astype(np.int32)
        for query in range(chunk, n_rows, n_chunks):
            entries = (q_idx[q_ptr[query] : q_ptr[query + 1]], q_val[q_ptr[query] : q_ptr[query + 1]])
            count = _compare(entries, q_norms[query], columns, norms, measure, sums, touched, seen)
            dots = sums[0]
            codes = everyone if count < 0 else touched[:count]
            for t in range(codes.size):
                row = codes[t]
                scores[t] = dots[row]
                if row == own[query] or (floor.size and scores[t] < floor[row]):
                    scores[t] = 0.0
            _keep_largest(scores[: codes.size], codes, own[query], places, rows[query], found[query])
            _clear(dots, touched, count)
    return rows, found


@njit(parallel=True, error_model="numpy")
def nearest_in_gram(gram, left, norms, measure, k, n_chunks):  # type: ignore[no-untyped-def]
    """``nearest_rows`` of all n rows among themselves, from the upper triangle of their dot products (n, n) float32.

    Not for Pearson, which needs more than dot products. Blocks of ``LINE`` rows: what lies below the diagonal is read
    from the columns above it, whole cache lines at a time.
    """
    n = left.size
    kind, shrinkage, epsilon, own = measure
    rows = np.full((n, k), -1, dtype=np.int32)
    found = np.zeros((n, k), dtype=np.float32)
    for chunk in prange(n_chunks):
        dots = np.zeros((LINE, n), dtype=np.float32)
        places = np.empty(k, dtype=np.int64)
        everyone = np.arange(n).astype(np.int32)
        for first in range(chunk * LINE, n, n_chunks * LINE):
            last = min(n, first + LINE)
            for other in range(last):
                for row in range(max(first, other), last):
                    dots[row - first, other] = gram[other, row]
            for row in range(first, last):
                scores = dots[row - first]
                scores[row:] = gram[row, row:]
                scores[row] = 0.0
                for other in range(n):
                    dot = np.float64(scores[other])
                    similarity = _ratio(kind, dot, left[row], norms[other], shrinkage, epsilon, own)
                    scores[other] = similarity if dot > 0.0 else 0.0
                _keep_largest(scores, everyone, row, places, rows[row], found[row])
    return rows, found


@njit(parallel=True)
def predict_pairs(groups, rows, wanted, matrix, columns, left, norms, measure, ratings, means, k, n_chunks):  # type: ignore[no-untyped-def]
    """mean_r + sum s (rating - mean of the neighbour) / sum s, over the k rows most like r that hold the column.

    ``groups`` (g + 1,) cuts ``wanted`` (columns asked for) into one run for each of ``rows`` (g,). ``ratings`` are the
    raw values in the order of ``columns``. Returns (n,) float64; the mean alone where no such row is similar.
    """
    ptr, idx, val = matrix
    t_ptr, t_idx, _ = columns
    predicted = np.empty(wanted.size, dtype=np.float64)
    for chunk in prange(n_chunks):
        sums = np.zeros((3 if measure[0] == PEARSON else 1, norms.size), dtype=np.float64)
        touched = np.empty(norms.size, dtype=np.int32)
        seen = np.zeros(norms.size, dtype=np.bool_)
        best = np.empty(k, dtype=np.float64)
        hashes = np.empty(k, dtype=np.uint64)
        places = np.empty(k, dtype=np.int64)
        for group in range(chunk, rows.size, n_chunks):
            row = rows[group]
            entries = (idx[ptr[row] : ptr[row + 1]], val[ptr[row] : ptr[row + 1]])
            count = _compare(entries, left[row], columns, norms, measure, sums, touched, seen)
            dots = sums[0]
            for pair in range(groups[group], groups[group + 1]):
                size = 0
                for t in range(t_ptr[wanted[pair]], t_ptr[wanted[pair] + 1]):
                    score = dots[t_idx[t]]
                    if score <= 0.0 or t_idx[t] == row:
                        continue
                    tie = _tie_hash(np.uint64(0), row, t_idx[t])
                    if size < k:
                        best[size], hashes[size], places[size] = score, tie, t
                        size += 1
                        if size == k:
                            for root in range(k // 2 - 1, -1, -1):
                                _sift_down(best, hashes, places, root, k)
                    elif _worse(best[0], hashes[0], score, tie):
                        best[0], hashes[0], places[0] = score, tie, t
                        _sift_down(best, hashes, places, 0, k)
                above, below = 0.0, 0.0
                for place in range(size):
                    above += best[place] * (ratings[places[place]] - means[t_idx[places[place]]])
                    below += best[place]
                predicted[pair] = means[row] + (above / below if below > 0.0 else 0.0)
            _clear(dots, touched, count)
    return predicted
