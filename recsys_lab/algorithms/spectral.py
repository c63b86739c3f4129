"""Filters on the graph of items: GF-CF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from recsys_lab.algorithms import kernels
from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.similarity import history_parts, parts
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.data.interactions import Float32, Float64, Int32, Interactions


@dataclass(kw_only=True, eq=False)
class GFCF(Algorithm):
    """Graph filters without training (Shen et al., CIKM 2021, eq. 13): score = h (R̃ᵀR̃ + w D^-½ V Vᵀ D^½).

    R̃ = user degrees^-½ R item degrees^-½, D the item degrees, V the n_factors right singular vectors of R̃: a linear
    filter plus an ideal low-pass filter. Every stored rating counts as 1. R̃ᵀR̃ is never built: a history goes through
    R̃ᵀ and R̃ in turn. The SVD is randomised (Halko et al., SIAM Review 2011) with power iterations. Memory: the rows
    of training and n_items × n_factors × 4 bytes.
    """

    serves_new_users: ClassVar[bool] = True

    n_factors: int = 256  # singular vectors of the low-pass filter, at most min(n_users, n_items)
    low_pass_weight: float = 0.3  # w; 0: the linear filter alone
    n_iterations: int = 7  # power iterations: more are nearer to the exact SVD
    random_state: int = 42  # seed of the random projection

    def fit(self, train: Interactions) -> Self:
        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(self.n_iterations >= 0, f"n_iterations must be 0 or more; found {self.n_iterations}")
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
        _, _, vectors = randomized_svd(
            self.filter_,
            n_components=min(self.n_factors, *adjacency.shape),
            n_iter=self.n_iterations,
            random_state=self.random_state,
            flip_sign=False,  # V Vᵀ has no sign
        )
        self.item_factors_ = np.ascontiguousarray(vectors.T, dtype=np.float32)  # V (n_items, f)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The filtered history, (b, n_items) float32."""
        n_items = len(self.of_items_)
        history_parts(histories, n_items)  # refuses those of another catalogue
        rows = ones_like(histories)
        through_users = rows @ self.transposed_
        scores: Float32 = kernels.sparse_product(*parts(through_users), *parts(self.filter_), n_items)
        if self.low_pass_weight > 0:
            scaled = rows.copy()
            scaled.data = self.of_items_[rows.indices].astype(np.float32)
            roots = np.divide(1.0, self.of_items_, out=np.zeros(n_items), where=self.of_items_ > 0)
            back = (self.item_factors_ * (self.low_pass_weight * roots)[:, None]).astype(np.float32)
            scores += np.asarray(scaled @ self.item_factors_, dtype=np.float32) @ back.T
        return scores


def _inverse_roots(degrees: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Float64:
    """degrees^-½ float64, 0 where the degree is 0."""
    roots: Float64 = np.zeros(len(degrees))
    roots[degrees > 0] = degrees[degrees > 0] ** -0.5
    return roots
