"""Filters on the graph of items: GF-CF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import svds

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.similarity import history_parts
from recsys_lab.algorithms.sparse_rows import item_scores
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.data.interactions import Float32, Float64, Int32, Interactions

DENSE = 2000  # users or items up to which a dense eigensolver is faster than Lanczos


@dataclass(kw_only=True, eq=False)
class GFCF(Algorithm):
    """Graph filters without training (Shen et al., CIKM 2021, eq. 13): score = h (R̃ᵀR̃ + w D^-½ V Vᵀ D^½).

    R̃ = user degrees^-½ R item degrees^-½, D the item degrees, V the n_factors right singular vectors of R̃: a linear
    filter plus an ideal low-pass filter. Every stored rating counts as 1. R̃ᵀR̃ is never built: a history goes through
    R̃ᵀ and R̃ in turn. The SVD is exact (Lanczos, ARPACK): singular values fall slowly here, and a randomised SVD of
    seven power iterations gives other lists. Memory: the rows of training and n_items × n_factors × 4 bytes; while it
    fits, 2 n_factors numbers a user or item, of whichever there are fewer.
    """

    stored: ClassVar[Layout] = {
        "of_items_": "float64 items",
        "filter_": "csr float32 users items",
        "transposed_": "csr float32 items users",
        "item_factors_": "float32 items f",
    }

    serves_new_users: ClassVar[bool] = True

    n_factors: int = 256  # singular vectors of the low-pass filter, at most as many as R̃ has
    low_pass_weight: float = 0.3  # w; 0: the linear filter alone

    def fit(self, train: Interactions) -> Self:
        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(
            np.isfinite(self.low_pass_weight) and self.low_pass_weight >= 0,
            f"low_pass_weight must be 0 or more; found {self.low_pass_weight}",
        )
        adjacency = ones_like(train.canonical().matrix)
        of_users = _inverse_roots(np.diff(adjacency.indptr))
        self.of_items_ = _inverse_roots(np.bincount(adjacency.indices, minlength=train.n_items))  # (n_items,)
        data = np.repeat(of_users, np.diff(adjacency.indptr)) * self.of_items_[adjacency.indices]
        self.filter_ = sparse.csr_matrix(
            (data.astype(np.float32), adjacency.indices, adjacency.indptr), shape=adjacency.shape
        )  # R̃ (n_users, n_items)
        self.transposed_ = self.filter_.T.tocsr()
        self.item_factors_ = right_singular_vectors(self.filter_, self.n_factors)  # V (n_items, f)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The filtered history, (b, n_items) float32."""
        n_items = len(self.of_items_)
        history_parts(histories, n_items)  # refuses those of another catalogue
        rows = ones_like(histories)
        through_users = rows @ self.transposed_
        scores = item_scores(through_users, self.filter_)
        if self.low_pass_weight > 0:
            scaled = rows.copy()
            scaled.data = self.of_items_[rows.indices].astype(np.float32)
            roots = np.divide(1.0, self.of_items_, out=np.zeros(n_items), where=self.of_items_ > 0)
            back = (self.item_factors_ * (self.low_pass_weight * roots)[:, None]).astype(np.float32)
            scores += np.asarray(scaled @ self.item_factors_, dtype=np.float32) @ back.T
        return scores


def right_singular_vectors(matrix: sparse.csr_matrix, k: int) -> Float32:
    """The k right singular vectors (n_columns, <= k) float32 of largest singular value; signs are arbitrary.

    Vectors whose singular value is below a thousandth of the largest are left out: they are not determined.
    """
    smaller = min(matrix.shape)
    if smaller <= max(DENSE, 2 * k):
        wide = matrix.shape[0] < matrix.shape[1]
        gram = (matrix @ matrix.T if wide else matrix.T @ matrix).toarray().astype(np.float64)
        squares, vectors = linalg.eigh(gram, subset_by_index=[max(0, smaller - k), smaller - 1])
        strengths = np.sqrt(np.maximum(squares, 0.0))
    else:
        wide = False
        start = np.random.default_rng(0).random(smaller)  # ARPACK draws one of its own otherwise, a new one each time
        _, strengths, rows = svds(matrix.astype(np.float64), k=k, v0=start, tol=1e-4, return_singular_vectors="vh")
        vectors = rows.T
    kept = strengths > 1e-3 * strengths.max(initial=0.0)
    found = vectors[:, kept]
    if wide:
        found = (matrix.T @ found) / strengths[kept]
    return np.ascontiguousarray(found, dtype=np.float32)


def _inverse_roots(degrees: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Float64:
    """degrees^-½ float64, 0 where the degree is 0."""
    roots: Float64 = np.zeros(len(degrees))
    roots[degrees > 0] = degrees[degrees > 0] ** -0.5
    return roots
