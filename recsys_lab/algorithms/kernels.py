"""Compiled products of the neighbourhood and linear models, and vectors laid out for compiled loops.

Matrices come in as the three arrays of CSR: ``ptr`` int64, ``idx`` int32, ``val``. Each number is summed by one thread
in one order, so results do not depend on threads.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recsys_lab.compiled import njit, prange

Real = TypeVar("Real", np.float32, np.float64)
LINE = 64  # bytes of a cache line


def in_lines(vectors: NDArray[Real]) -> NDArray[Real]:
    """A copy of vectors (n, f) whose rows fill cache lines: columns of 0 follow, which linear steps leave at 0."""
    line = LINE // vectors.itemsize
    size, width = len(vectors), -(-vectors.shape[1] // line) * line
    room = np.zeros(size * width + line, dtype=vectors.dtype)
    first = -(room.ctypes.data // room.itemsize) % line
    rows = room[first : first + size * width].reshape(size, width)
    rows[:, : vectors.shape[1]] = vectors
    return rows


@njit(parallel=True)
def sparse_product(ptr, idx, val, w_ptr, w_idx, w_val, n_columns):  # type: ignore[no-untyped-def]
    """Sparse times sparse into a dense float32 (b, n_columns); every row is summed in one order."""
    product = np.zeros((ptr.size - 1, n_columns), dtype=np.float32)
    for row in prange(ptr.size - 1):
        out = product[row]
        for p in range(ptr[row], ptr[row + 1]):
            value = val[p]
            for t in range(w_ptr[idx[p]], w_ptr[idx[p] + 1]):
                out[w_idx[t]] += value * w_val[t]
    return product


@njit(parallel=True)
def dense_product(ptr, idx, val, weights, tile):  # type: ignore[no-untyped-def]
    """Sparse (b, m) times dense float32 (m, n) into float32 (b, n), in column tiles that stay in the cache."""
    n_rows, n = ptr.size - 1, weights.shape[1]
    product = np.zeros((n_rows, n), dtype=np.float32)
    n_tiles = (n + tile - 1) // tile
    for task in prange(n_tiles):
        first, last = task * tile, min(n, (task + 1) * tile)
        for row in range(n_rows):
            out = product[row, first:last]
            p, end = ptr[row], ptr[row + 1]
            while p + 4 <= end:  # four at a time, added in their order: the same bits, a quarter of the stores
                a, b = weights[idx[p], first:last], weights[idx[p + 1], first:last]
                c, d = weights[idx[p + 2], first:last], weights[idx[p + 3], first:last]
                for column in range(out.size):
                    two = (out[column] + val[p] * a[column]) + val[p + 1] * b[column]
                    out[column] = (two + val[p + 2] * c[column]) + val[p + 3] * d[column]
                p += 4
            while p < end:
                source = weights[idx[p], first:last]
                for column in range(out.size):
                    out[column] += val[p] * source[column]
                p += 1
    return product


@njit(parallel=True)
def gram_upper(ptr, idx, val, t_ptr, t_idx, t_val, n_chunks):  # type: ignore[no-untyped-def]
    """The upper triangle of XᵀX, float32 (n, n) C order, from X by columns (ptr, idx, val) and by rows (t_...).

    Both forms are sorted and hold the same entries. Below the diagonal stands 0.
    """
    n = ptr.size - 1
    gram = np.zeros((n, n), dtype=np.float32)
    codes = t_idx.view(np.uint32)  # without a sign there is no test for an index from the end
    place = np.empty(idx.size, dtype=np.int64)  # of each entry of X by columns in X by rows
    following = t_ptr.copy()
    for p in range(idx.size):
        place[p] = following[idx[p]]
        following[idx[p]] += 1
    for chunk in prange(n_chunks):
        for column in range(chunk, n, n_chunks):
            out = gram[column]
            for p in range(ptr[column], ptr[column + 1]):
                value = val[p]
                columns, values = codes[place[p] : t_ptr[idx[p] + 1]], t_val[place[p] : t_ptr[idx[p] + 1]]
                for t in range(columns.size):
                    out[columns[t]] += value * values[t]
    return gram


@njit(parallel=True)
def ease_weights(precision, diagonal, tile):  # type: ignore[no-untyped-def]
    """In place: the upper triangle of P becomes -P / diag(P) with 0 on the diagonal, both triangles filled."""
    n = precision.shape[0]
    n_tiles = (n + tile - 1) // tile
    for above in prange(n_tiles):
        for beside in range(above, n_tiles):
            for row in range(above * tile, min(n, (above + 1) * tile)):
                for column in range(max(row + 1, beside * tile), min(n, (beside + 1) * tile)):
                    value = precision[row, column]
                    precision[row, column] = -value / diagonal[column]
                    precision[column, row] = -value / diagonal[row]
        for row in range(above * tile, min(n, (above + 1) * tile)):
            precision[row, row] = 0.0
