"""Similarities between the rows of a sparse matrix, block by block, without a dense n × n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms import kernels
from recsys_lab.data.interactions import Float32, Float64, Int32, Int64

Similarity: TypeAlias = Literal["cosine", "pearson", "jaccard"]
KINDS = {"cosine": kernels.COSINE, "jaccard": kernels.JACCARD, "pearson": kernels.PEARSON}
BLOCK_BYTES = 64 * 2**20  # buffers of one block of rows stay below this

Parts: TypeAlias = tuple[Int64, Int32, Float32]


def parts(matrix: sparse.csr_matrix) -> Parts:
    """The arrays of a CSR matrix in the types of the kernels: indptr int64, indices int32, data float32."""
    data: Float32 = matrix.data.astype(np.float32, copy=False)
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False), data


def history_parts(histories: sparse.csr_matrix, n_items: int) -> Parts:
    """``parts`` of histories; ValueError unless they have one column for each of the items the model was fitted on."""
    if histories.shape[1] != n_items:
        raise ValueError(f"histories have {histories.shape[1]} columns; the model was fitted on {n_items} items")
    return parts(histories)


@dataclass(frozen=True, eq=False)
class Vectors:
    """Rows ready to be compared with one another: ``values`` (n, m) CSR, its transpose and the norms of the rows."""

    similarity: Similarity
    shrinkage: float
    epsilon: float
    values: sparse.csr_matrix  # (n, m) float32: weighted, centred or set to 1, as the similarity asks
    transposed: sparse.csr_matrix  # (m, n), rows sorted
    norms: Float64  # (n,): lengths (cosine), counts (jaccard); not used by pearson

    @property
    def measure(self) -> tuple[int, float, float]:
        return KINDS[self.similarity], float(self.shrinkage), float(self.epsilon)

    def __len__(self) -> int:
        return int(self.values.shape[0])


def vectors(
    matrix: sparse.csr_matrix, similarity: Similarity, *, shrinkage: float = 0.0, epsilon: float = 1e-6
) -> Vectors:
    """The rows of ``matrix`` prepared for one similarity; what is stored counts, a 0 too.

    cosine    dot / (|i| |j| + shrinkage + epsilon)
    jaccard   shared / (n_i + n_j - shared + shrinkage + epsilon), on the sets of stored entries
    pearson   over the shared columns only, each row less the mean of ALL its stored entries:
              sum c_i c_j / (sqrt(sum c_i²) sqrt(sum c_j²) + shrinkage); 0 where that is 0 / 0
    """
    values = prepared(matrix, similarity)
    epsilon = 0.0 if similarity == "pearson" else epsilon
    return Vectors(similarity, shrinkage, epsilon, values, values.T.tocsr(), _norms(values, similarity))


def prepared(matrix: sparse.csr_matrix, similarity: Similarity) -> sparse.csr_matrix:
    """A copy whose entries are as the similarity takes them: 1 (jaccard), less the row's mean (pearson), or as is."""
    if similarity == "jaccard":
        data: Float32 = np.ones(matrix.nnz, dtype=np.float32)
    elif similarity == "pearson":
        data = (matrix.data - np.repeat(row_means(matrix), np.diff(matrix.indptr))).astype(np.float32)
    else:
        data = matrix.data.astype(np.float32)
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _norms(values: sparse.csr_matrix, similarity: Similarity) -> Float64:
    if similarity == "jaccard":
        counts: Float64 = np.diff(values.indptr).astype(np.float64)
        return counts
    lengths: Float64 = np.sqrt(row_sums(values, values.data.astype(np.float64) ** 2))
    return lengths


def row_sums(matrix: sparse.csr_matrix, data: NDArray[Any]) -> Float64:
    """Sums of ``data`` (one value a stored entry) over each row, (n_rows,) float64."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    sums: Float64 = np.bincount(rows, weights=data, minlength=matrix.shape[0]).astype(np.float64)
    return sums


def row_means(matrix: sparse.csr_matrix) -> Float64:
    """Mean of the stored entries of each row, zeros included, (n_rows,) float64; NaN for an empty row."""
    counts = np.diff(matrix.indptr)
    means: Float64 = np.where(counts > 0, row_sums(matrix, matrix.data) / np.maximum(counts, 1), np.nan)
    return means


def neighbour_matrix(
    space: Vectors,
    k: int,
    *,
    rows: Int32 | None = None,
    queries: sparse.csr_matrix | None = None,
    own: Int32 | None = None,
    floor: Float32 | None = None,
) -> sparse.csr_matrix:
    """The k rows most similar to each query: CSR float32 (b, n) of their similarities, indices sorted.

    Without ``queries`` the rows themselves (or those numbered in ``rows``) are asked about their neighbours, each
    itself left out. ``own`` (b,) names the row that a query must not meet (-1: none). Only similarities above 0 count,
    and where ``floor`` (n,) is given, none below it. Ties are ordered by a hash of the two codes. Memory beside the
    result: ``BLOCK_BYTES``, and n numbers a thread.
    """
    if queries is None:
        values, norms, own = space.values, space.norms, np.arange(len(space), dtype=np.int32)
        if rows is not None:
            values, norms, own = values[rows], norms[rows], own[rows]
    else:
        history_parts(queries, space.values.shape[1])
        values = prepared(queries, space.similarity)
        norms = _norms(values, space.similarity)
        own = np.full(queries.shape[0], -1, dtype=np.int32) if own is None else np.asarray(own, dtype=np.int32)
    floor = np.zeros(0, dtype=np.float32) if floor is None else floor
    k = max(1, min(k, len(space)))
    step = max(1, BLOCK_BYTES // (8 * k))
    ptr, idx, val = parts(values)
    columns = parts(space.transposed)
    blocks = [sparse.csr_matrix((0, len(space)), dtype=np.float32)]
    for start in range(0, len(norms), step):
        stop = min(len(norms), start + step)
        cut = slice(ptr[start], ptr[stop])
        block = (ptr[start : stop + 1] - ptr[start], idx[cut], val[cut])
        best, found = kernels.nearest_rows(
            block, norms[start:stop], own[start:stop], columns, space.norms, space.measure, floor, k, get_num_threads()
        )
        kept = best >= 0
        indptr = np.zeros(stop - start + 1, dtype=np.int64)
        np.cumsum(kept.sum(axis=1), out=indptr[1:])
        blocks.append(sparse.csr_matrix((found[kept], best[kept], indptr), shape=(stop - start, len(space))))
    matrix = blocks[-1] if len(blocks) <= 2 else sparse.vstack(blocks, format="csr")
    matrix.sort_indices()
    return matrix


def predict_ratings(
    space: Vectors, ratings: sparse.csr_matrix, rows: Int32, columns: Int32, n_neighbors: int
) -> Float32:
    """Ratings (n,) float32 of the pairs (rows[i], columns[i]) from the n_neighbors rows most like it with that column:

    mean_r + sum s (rating - mean_s) / sum s (Resnick et al., CSCW 1994, with positive similarities only). It is the
    mean of the row where no such row is similar, and NaN for a row or column without ratings (or a code of -1).
    ``ratings`` are the raw values with the structure of ``space.values``.
    """
    predicted = np.full(len(rows), np.nan, dtype=np.float32)
    known_row, known_column = np.diff(ratings.indptr) > 0, np.diff(space.transposed.indptr) > 0
    asked = (rows >= 0) & (columns >= 0)
    asked[asked] = known_row[rows[asked]] & known_column[columns[asked]]
    order = np.flatnonzero(asked)
    order = order[np.argsort(rows[order], kind="stable")]
    if not order.size:
        return predicted
    starts = np.flatnonzero(np.r_[True, np.diff(rows[order]) != 0])
    groups = np.r_[starts, order.size].astype(np.int64)
    predicted[order] = kernels.predict_pairs(
        groups,
        rows[order[starts]].astype(np.int32),
        columns[order].astype(np.int32),
        parts(space.values),
        parts(space.transposed),
        space.norms,
        space.measure,
        ratings.T.tocsr().data.astype(np.float64),
        row_means(ratings),
        max(1, min(n_neighbors, len(space))),
        get_num_threads(),
    )
    return predicted
