"""Matrix factorization: PureSVD and FunkSVD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.surprise_factors import SVD
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.data.interactions import Float32, Int32, Interactions


@dataclass(kw_only=True, eq=False)
class PureSVD(Algorithm):
    """Truncated SVD of the rating matrix with missing = 0 (Cremonesi et al., RecSys 2010, eq. 5): score = history V Vᵀ.

    Randomised SVD (Halko et al., SIAM Review 2011) with power iterations; the largest loading of each factor is
    positive, so signs repeat. At most min(n_users, n_items) factors exist; more asked for are not an error.
    """

    stored: ClassVar[Layout] = {"item_factors_": "float32 items f", "singular_values_": "float32 f"}

    serves_new_users: ClassVar[bool] = True

    n_factors: int = 50  # singular vectors kept
    n_iterations: int = 7  # power iterations: more are nearer to the exact SVD
    uses_ratings: bool = True  # False: every stored rating counts as 1
    random_state: int = 42  # seed of the random projection

    def fit(self, train: Interactions) -> Self:
        from sklearn.utils.extmath import randomized_svd  # here: serving the factors needs no scikit-learn

        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(self.n_iterations >= 0, f"n_iterations must be 0 or more; found {self.n_iterations}")
        matrix = train.canonical().matrix
        matrix = matrix if self.uses_ratings else ones_like(matrix)
        _, strengths, factors = randomized_svd(
            matrix,
            n_components=min(self.n_factors, *matrix.shape),
            n_iter=self.n_iterations,
            random_state=self.random_state,
            flip_sign=False,
        )
        largest = np.abs(factors).argmax(axis=1)
        signs = np.where(factors[np.arange(len(factors)), largest] < 0, -1.0, 1.0)
        self.item_factors_ = np.ascontiguousarray((factors * signs[:, None]).T, dtype=np.float32)  # (n_items, f)
        self.singular_values_ = strengths.astype(np.float32)  # (f,)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The history projected on the factors and back, (b, n_items) float32."""
        rows = histories if self.uses_ratings else ones_like(histories)
        scores: Float32 = np.asarray(rows @ self.item_factors_ @ self.item_factors_.T, dtype=np.float32)
        return scores


@dataclass(kw_only=True, eq=False)
class FunkSVD(SVD):
    """Surprise's SVD without mean and biases: r = p_u·q_i by stochastic gradient descent (Funk, 2006)."""

    biased: bool = False  # True: the same as SVD
