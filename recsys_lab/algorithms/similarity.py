"""Similarities between the rows of a sparse matrix, block by block, without a dense n × n."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms import kernels, neighbour_kernels
from recsys_lab.algorithms.layout import Layout, Maybe
from recsys_lab.data.interactions import Float32, Float64, Int32, Int64

Similarity: TypeAlias = Literal[
    "cosine", "pearson", "jaccard", "adjusted_cosine", "asymmetric_cosine", "dice", "tversky"
]
SETS = ("jaccard", "dice", "tversky")  # they take the stored entries as sets
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
    """Rows ready to be compared with one another: ``values`` (n, m) CSR, its transpose, their share of denominators."""

    stored: ClassVar[Layout] = {
        "similarity": "text",
        "shrinkage": "number",
        "epsilon": "number",
        "values": "csr float32 n m",
        "transposed": "csr float32 m n",
        "left": "float64 n",
        "norms": "float64 n",
        "alpha": "number",
        "beta": "number",
        "column_means": Maybe("float64 m nan"),
    }

    similarity: Similarity
    shrinkage: float
    epsilon: float
    values: sparse.csr_matrix  # (n, m) float32: weighted, centred or set to 1, as the similarity asks
    transposed: sparse.csr_matrix  # (m, n), rows sorted
    left: Float64  # (n,): what a row adds to the denominator when it is asked about; not used by pearson
    norms: Float64  # (n,): and when it is found: lengths (cosine), counts (jaccard)
    alpha: float = 0.5
    beta: float = 0.5
    column_means: Float64 | None = None  # (m,) of adjusted_cosine, for queries

    @property
    def measure(self) -> tuple[int, float, float, float]:
        """Kind, shrinkage, epsilon and the weight of the dot product in the denominator, as the kernels take them."""
        kind = {"pearson": neighbour_kernels.PEARSON}.get(self.similarity, neighbour_kernels.COSINE)
        kind = neighbour_kernels.SETS if self.similarity in SETS else kind
        alpha, beta = _set_weights(self.similarity, self.alpha, self.beta)
        return kind, float(self.shrinkage), float(self.epsilon), 1.0 - alpha - beta

    @property
    def reversed(self) -> Vectors:
        """The same similarities asked about from the other side; differs where they are not symmetric."""
        return replace(self, left=self.norms, norms=self.left)

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def prepared_queries(self, queries: sparse.csr_matrix) -> tuple[sparse.csr_matrix, Float64]:
        """Rows to ask about (b, m) as the similarity takes them, and what they add to the denominators (b,)."""
        values = prepared(queries, self.similarity, self.column_means)
        return values, _denominators(values, self.similarity, self.alpha, self.beta)[0]


def vectors(
    matrix: sparse.csr_matrix,
    similarity: Similarity,
    *,
    shrinkage: float = 0.0,
    epsilon: float = 1e-6,
    alpha: float = 0.5,
    beta: float = 0.5,
) -> Vectors:
    """The rows of ``matrix`` prepared for the similarity of i, asked about, to j; what is stored counts, a 0 too.

    cosine             dot / (|i| |j| + shrinkage + epsilon)
    adjusted_cosine    the same, each entry less the mean of ALL stored entries of its column (Sarwar et al., WWW 2001)
    asymmetric_cosine  dot / (|i|^(2 alpha) |j|^(2 - 2 alpha) + shrinkage + epsilon); alpha = 0.5 is the cosine
                       (Aiolli, RecSys 2013)
    jaccard            shared / (n_i + n_j - shared + shrinkage + epsilon), on the sets of stored entries
    dice               shared / ((n_i + n_j) / 2 + shrinkage + epsilon)
    tversky            shared / (shared + alpha (n_i - shared) + beta (n_j - shared) + shrinkage + epsilon)
    pearson            over the shared columns only, each row less the mean of ALL its stored entries:
                       sum c_i c_j / (sqrt(sum c_i²) sqrt(sum c_j²) + shrinkage); 0 where that is 0 / 0
    """
    means = row_means(matrix.T.tocsr()) if similarity == "adjusted_cosine" else None
    values = prepared(matrix, similarity, means)
    epsilon = 0.0 if similarity == "pearson" else epsilon
    left, right = _denominators(values, similarity, alpha, beta)
    return Vectors(similarity, shrinkage, epsilon, values, values.T.tocsr(), left, right, alpha, beta, means)


def prepared(
    matrix: sparse.csr_matrix, similarity: Similarity, column_means: Float64 | None = None
) -> sparse.csr_matrix:
    """A copy whose entries are as the similarity takes them: 1 (sets), less a mean, or as they are.

    ``column_means`` (m,) are those of adjusted_cosine; an entry of a column without a mean (NaN) becomes 0.
    """
    if similarity in SETS:
        data: Float32 = np.ones(matrix.nnz, dtype=np.float32)
    elif similarity == "pearson":
        data = (matrix.data - np.repeat(row_means(matrix), np.diff(matrix.indptr))).astype(np.float32)
    elif similarity == "adjusted_cosine" and column_means is not None:
        data = np.nan_to_num(matrix.data - column_means[matrix.indices]).astype(np.float32)
    else:
        data = matrix.data.astype(np.float32)
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _denominators(
    values: sparse.csr_matrix, similarity: Similarity, alpha: float, beta: float
) -> tuple[Float64, Float64]:
    """What each row (n,) adds to a denominator, or multiplies it by, when asked about and when found."""
    if similarity in SETS:
        counts: Float64 = np.diff(values.indptr).astype(np.float64)
        alpha, beta = _set_weights(similarity, alpha, beta)
        return alpha * counts, beta * counts
    lengths: Float64 = np.sqrt(row_sums(values, values.data.astype(np.float64) ** 2))
    if similarity != "asymmetric_cosine":
        return lengths, lengths
    safe = np.where(lengths > 0, lengths, 1.0)  # a row of length 0 has no dot product above 0
    return safe ** (2 * alpha), safe ** (2 - 2 * alpha)


def _set_weights(similarity: Similarity, alpha: float, beta: float) -> tuple[float, float]:
    """The alpha and beta that make Tversky's index the similarity of sets asked for."""
    return {"jaccard": (1.0, 1.0), "dice": (0.5, 0.5)}.get(similarity, (alpha, beta))


def row_sums(matrix: sparse.csr_matrix, data: NDArray[Any]) -> Float64:
    """Sums of ``data`` (one value a stored entry) over each row, (n_rows,) float64."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return np.bincount(rows, weights=data, minlength=matrix.shape[0]).astype(np.float64)


def row_means(matrix: sparse.csr_matrix) -> Float64:
    """Mean of the stored entries of each row, zeros included, (n_rows,) float64; NaN for an empty row."""
    counts = np.diff(matrix.indptr)
    return np.where(counts > 0, row_sums(matrix, matrix.data) / np.maximum(counts, 1), np.nan)


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
    result: ``BLOCK_BYTES``, and n numbers a thread (16 n where all dot products fit).
    """
    if queries is None:
        values, left, own = space.values, space.left, np.arange(len(space), dtype=np.int32)
        if rows is not None:
            values, left, own = values[rows], left[rows], own[rows]
    else:
        history_parts(queries, space.values.shape[1])
        values, left = space.prepared_queries(queries)
        own = np.full(queries.shape[0], -1, dtype=np.int32) if own is None else np.asarray(own, dtype=np.int32)
    floor = np.zeros(0, dtype=np.float32) if floor is None else floor
    k = max(1, min(k, len(space)))
    if queries is None and rows is None and floor.size == 0 and _fits_a_gram_matrix(space, k):
        gram = kernels.gram_upper(*parts(space.values), *parts(space.transposed), get_num_threads())
        best, found = neighbour_kernels.nearest_in_gram(gram, left, space.norms, space.measure, k, get_num_threads())
        return _sparse(best, found, len(space))
    step = max(1, BLOCK_BYTES // (8 * k))
    ptr, idx, val = parts(values)
    columns = parts(space.transposed)
    blocks = [sparse.csr_matrix((0, len(space)), dtype=np.float32)]
    for start in range(0, len(left), step):
        stop = min(len(left), start + step)
        cut = slice(ptr[start], ptr[stop])
        block = (ptr[start : stop + 1] - ptr[start], idx[cut], val[cut])
        best, found = neighbour_kernels.nearest_rows(
            block, left[start:stop], own[start:stop], columns, space.norms, space.measure, floor, k, get_num_threads()
        )
        blocks.append(_sparse(best, found, len(space)))
    return blocks[-1] if len(blocks) <= 2 else sparse.vstack(blocks, format="csr")


def _sparse(best: Int32, found: Float32, n: int) -> sparse.csr_matrix:
    """Neighbours (b, k), -1 = none, and their similarities as CSR (b, n), indices sorted."""
    kept = best >= 0
    indptr = np.zeros(len(best) + 1, dtype=np.int64)
    np.cumsum(np.count_nonzero(kept, axis=1), out=indptr[1:])
    matrix = sparse.csr_matrix((found[kept], best[kept], indptr), shape=(len(best), n))
    matrix.sort_indices()
    return matrix


def _fits_a_gram_matrix(space: Vectors, k: int) -> bool:
    """Whether ``BLOCK_BYTES`` hold all dot products, each exact in float32: below 2**24 units of 1, 1/2 or 1/4."""
    data, n = space.values.data, len(space)
    if space.similarity == "pearson" or n * max(4 * n, 8 * k) > BLOCK_BYTES:
        return False
    largest = row_sums(space.values, data.astype(np.float64) ** 2).max(initial=0.0)  # Cauchy-Schwarz: no sum is larger
    return any(largest * unit**2 < 2**24 and bool((data * unit % 1 == 0).all()) for unit in (1.0, 2.0, 4.0))


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
    predicted[order] = neighbour_kernels.predict_pairs(
        groups,
        rows[order[starts]].astype(np.int32),
        columns[order].astype(np.int32),
        parts(space.values),
        parts(space.transposed),
        space.left,
        space.norms,
        space.measure,
        ratings.T.tocsr().data.astype(np.float64),
        row_means(ratings),
        max(1, min(n_neighbors, len(space))),
        get_num_threads(),
    )
    return predicted
