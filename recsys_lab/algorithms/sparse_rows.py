"""Rows of sparse matrices: keep the largest entries, divide by the sum, score by an item-item matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms import kernels
from recsys_lab.algorithms.selection import largest_positive
from recsys_lab.algorithms.similarity import history_parts, parts, row_sums
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.compiled import njit, prange
from recsys_lab.data.interactions import Float32


def largest_of_rows(matrix: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """The k largest entries of each row of (n, m) CSR as float32 CSR, indices sorted; ties by a hash of the codes.

    Entries of 0 or less are dropped too. Memory beside the result: n × k × 4 bytes at most.
    """
    ptr, idx, val = parts(matrix)
    longest = int(np.diff(ptr).max()) if len(ptr) > 1 else 0
    places = _largest(ptr, idx, val, max(1, min(k, longest)))
    kept = places >= 0
    indptr = np.zeros(len(ptr), dtype=np.int64)
    np.cumsum(kept.sum(axis=1), out=indptr[1:])
    chosen = places[kept]
    found = sparse.csr_matrix((val[chosen], idx[chosen], indptr), shape=matrix.shape)
    found.sort_indices()
    return found


def largest_of_columns(matrix: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """The k largest entries of each column, as ``largest_of_rows`` has them of each row."""
    return largest_of_rows(matrix.T.tocsr(), k).T.tocsr()


def divided_by_sums(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Every row divided by its sum, float32 CSR; a row whose sum is 0 becomes 0."""
    sums = row_sums(matrix, matrix.data)
    factors = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums != 0)
    data = (matrix.data * np.repeat(factors, np.diff(matrix.indptr))).astype(np.float32)
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def item_scores(
    histories: sparse.csr_matrix,
    weights: sparse.csr_matrix,
    *,
    uses_ratings: bool = True,
    values: NDArray[Any] | None = None,
) -> Float32:
    """history × weights, (b, n_items) float32; 0 where no item of the history has a weight.

    ``weights`` (items of the history, items scored) CSR. An entry of a history counts its rating, 1 without
    ``uses_ratings``, or its number in ``values`` (nnz,). ValueError for histories of another number of items.
    """
    rows = histories if uses_ratings else ones_like(histories)
    pointers, items, ratings = history_parts(rows, weights.shape[0])
    numbers = ratings if values is None else np.asarray(values, dtype=np.float32)
    product: Float32 = kernels.sparse_product(pointers, items, numbers, *parts(weights), weights.shape[1])
    return product


@njit(parallel=True)
def _largest(ptr, idx, val, k):  # type: ignore[no-untyped-def]
    """Places (n, k) int64 of the k largest positive entries of each row, -1 where there are fewer."""
    n = ptr.size - 1
    places = np.full((n, k), -1, dtype=np.int64)
    for row in prange(n):
        first = ptr[row]
        scores = np.empty(ptr[row + 1] - first, dtype=np.float32)
        for t in range(scores.size):
            scores[t] = val[first + t] if val[first + t] > 0.0 else 0.0
        size = largest_positive(scores, idx[first : ptr[row + 1]], row, places[row])
        places[row, :size] += first
    return places
