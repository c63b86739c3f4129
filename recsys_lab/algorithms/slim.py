"""Sparse linear models of items on items: SLIM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numba import get_num_threads
from scipy import sparse

from recsys_lab.algorithms import kernels, slim_kernels
from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.similarity import neighbour_matrix, parts, vectors
from recsys_lab.algorithms.sparse_rows import item_scores
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.data.interactions import Float32, Int32, Interactions


@dataclass(kw_only=True, eq=False)
class SLIM(Algorithm):
    """Sparse linear method (Ning and Karypis, ICDM 2011, eq. 4): each item is an elastic net of the others.

    For item j, w minimises |x_j - Xw|² / (2 n_users) + regularization (l1_ratio |w|₁ + (1 - l1_ratio) |w|₂² / 2) with
    w_j = 0: scikit-learn's ElasticNet without intercept, n_users being those with rows. score = history × W. Solved by
    coordinate descent on dot products of items, items in parallel. With n_candidates = 0 these are one matrix of
    n_items² × 4 bytes; else they are computed for the candidates of one item at a time, without such a matrix.
    """

    stored: ClassVar[Layout] = {"weights_": "csr float32 items items"}

    serves_new_users: ClassVar[bool] = True

    n_neighbors: int = 100  # largest weights kept for each item scored
    regularization: float = 0.01  # alpha of the elastic net, on the scale of a mean over users
    l1_ratio: float = 0.1  # share of the penalty that is |w|: more makes weights sparser
    n_candidates: int = 0  # only so many items most like the one scored (cosine above 0) may get a weight; 0: all
    non_negative: bool = True  # no weight below 0, as in the paper
    uses_ratings: bool = False  # False: every stored rating counts as 1
    tolerance: float = 1e-4  # stop when no weight moves by more than this share of the largest
    max_memory_gb: float = 4.0  # fit refuses to start when the matrix of dot products needs more

    def fit(self, train: Interactions) -> Self:
        self._check()
        matrix = train.canonical().matrix
        rows = matrix if self.uses_ratings else ones_like(matrix)
        by_item = rows.T.tocsr()
        n_users = int((np.diff(rows.indptr) > 0).sum())
        scale = self.regularization * max(n_users, 1)
        penalties = (scale * self.l1_ratio, scale * (1.0 - self.l1_ratio))
        k = min(self.n_neighbors, train.n_items)
        rules = (penalties, self.tolerance, self.non_negative, k, get_num_threads())
        if self.n_candidates:
            near = neighbour_matrix(vectors(by_item, "cosine"), self.n_candidates)
            candidates = parts(near)[:2]
            items, values = slim_kernels.solve_on_candidates(parts(by_item), train.n_users, candidates, *rules)
        else:
            self._require_memory(train.n_items)
            gram = kernels.gram_upper(*parts(by_item), *parts(rows), get_num_threads())
            slim_kernels.mirror(gram)
            items, values = slim_kernels.solve_on_gram(gram, *rules)
        kept = items >= 0
        indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
        scored = sparse.csr_matrix((values[kept], items[kept], indptr), shape=(train.n_items, train.n_items))
        self.weights_ = scored.T.tocsr()  # (items of the history, items scored) float32
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """history × W, (b, n_items) float32; 0 where no item of the history has a weight."""
        return item_scores(histories, self.weights_, uses_ratings=self.uses_ratings)

    def _check(self) -> None:
        require(self.n_neighbors >= 1, f"n_neighbors must be at least 1; found {self.n_neighbors}")
        require(self.n_candidates >= 0, f"n_candidates must be 0 (all) or more; found {self.n_candidates}")
        for name in ("regularization", "tolerance"):
            value = getattr(self, name)
            require(np.isfinite(value) and value > 0, f"{name} must be a finite number above 0; found {value}")
        require(0 <= self.l1_ratio <= 1, f"l1_ratio must be between 0 and 1; found {self.l1_ratio}")

    def _require_memory(self, n_items: int) -> None:
        needed = n_items**2 * 4 / 2**30
        if needed > self.max_memory_gb:
            raise MemoryError(
                f"SLIM keeps a matrix of dot products while it fits: {n_items} items need {needed:.1f} GB and "
                f"max_memory_gb is {self.max_memory_gb}; raise it, or set n_candidates (say to 200), which needs none"
            )
