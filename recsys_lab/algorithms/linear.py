"""Linear models of items on items: EASE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numba import get_num_threads
from scipy import sparse
from scipy.linalg import lapack

from recsys_lab.algorithms import kernels
from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.similarity import history_parts, parts
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.data.interactions import Float32, Int32, Interactions

TILE = 64  # columns a thread works on at a time: 64 × n_items × 4 bytes stay in its cache
WIDE, FEW = 4096, 8  # columns at a time for fewer users than this, who share nothing that a cache could keep


@dataclass(kw_only=True, eq=False)
class EASE(Algorithm):
    """Embarrassingly shallow autoencoder (Steck, WWW 2019, eq. 8): B = -P / diag(P), diag(B) = 0, P = (XᵀX + λI)⁻¹.

    score = history × B. Needs n_items² × 4 bytes, once: the Gram matrix is factorised and inverted in place in
    float32 (Cholesky, LAPACK potrf and potri). The inverse of a Gram matrix with λ far below 1 is not exact in float32.
    """

    stored: ClassVar[Layout] = {"weights_": "float32 items items"}

    serves_new_users: ClassVar[bool] = True

    regularization: float = 500.0  # λ, added to the diagonal of the Gram matrix
    uses_ratings: bool = False  # False: every stored rating counts as 1, as in the paper
    max_memory_gb: float = 4.0  # fit refuses to start when the item-item matrix needs more

    def fit(self, train: Interactions) -> Self:
        require(
            np.isfinite(self.regularization) and self.regularization > 0,
            f"regularization must be a finite number above 0; found {self.regularization}",
        )
        self._require_memory(train.n_items)
        matrix = train.canonical().matrix
        rows = matrix if self.uses_ratings else ones_like(matrix)
        gram = kernels.gram_upper(*parts(rows.T.tocsr()), *parts(rows), get_num_threads())  # (n_items, n_items)
        gram[np.diag_indices_from(gram)] += np.float32(self.regularization)
        # the upper triangle in C order is the lower one of the Fortran view: LAPACK works in place
        factor, failed = lapack.spotrf(gram.T, lower=1, clean=0, overwrite_a=1)
        if not failed:
            inverse, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
        if failed:
            raise ValueError(
                f"the Gram matrix plus regularization={self.regularization} is not positive definite in float32; "
                "choose a larger regularization"
            )
        weights = inverse.T
        kernels.ease_weights(weights, weights.diagonal().copy(), TILE)
        self.weights_ = weights  # (n_items of the history, n_items scored) float32
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """history × B, (b, n_items) float32."""
        rows = histories if self.uses_ratings else ones_like(histories)
        n_items = len(self.weights_)
        tile = WIDE if histories.shape[0] < FEW else max(TILE, 2**20 // n_items)
        product: Float32 = kernels.dense_product(*history_parts(rows, n_items), self.weights_, tile)
        return product

    def _require_memory(self, n_items: int) -> None:
        needed = n_items**2 * 4 / 2**30
        if needed > self.max_memory_gb:
            raise MemoryError(
                f"EASE keeps an item-item matrix: {n_items} items need {needed:.1f} GB and max_memory_gb is "
                f"{self.max_memory_gb}; raise it, filter the items (k-core), or use ItemKNN, which stays sparse"
            )
