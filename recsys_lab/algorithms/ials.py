"""Matrix factorization of all user-item pairs by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.als_kernels import gram_matrix, solve_rows_cg, solve_rows_exactly, spread
from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.data.interactions import Float32, Int32, Interactions


@dataclass(kw_only=True, eq=False)
class IALS(Algorithm):
    """Implicit alternating least squares (Hu, Koren and Volinsky, ICDM 2008; loss of Rendle et al., RecSys 2022).

    Minimises  Σ_{observed (u,i)} (1 − x_u·y_i)² + w Σ_{all (u,i)} (x_u·y_i)² + Σ_u λ_u |x_u|² + Σ_i λ_i |y_i|²,
    with λ_u = regularization · (n_u + w · n_items)^exponent and likewise for items.
    What is stored in the history counts as observed, whatever its rating. A user's factors are solved exactly from the
    history at scoring time, so new users are served without a refit, and only item factors are kept.
    """

    n_factors: int = 64
    n_epochs: int = 16  # one epoch solves all users, then all items
    unobserved_weight: float = 0.1  # w: how much a pair that was not observed says
    regularization: float = 0.003
    regularization_exponent: float = 1.0  # 0: the same for all; 1: grows with the number of interactions
    solver: str = "cg"  # "cg": a few warm-started conjugate-gradient steps; "cholesky": exact, slower
    n_cg_steps: int = 3  # of each row in each epoch
    init_scale: float = 0.1  # standard deviation of the first factors, times sqrt(n_factors)
    random_state: int = 0

    serves_new_users: ClassVar[bool] = True

    def fit(self, train: Interactions) -> Self:
        """Learn ``item_factors_`` (n_items, n_factors) float32."""
        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(self.n_epochs >= 1, f"n_epochs must be at least 1; found {self.n_epochs}")
        require(self.n_cg_steps >= 1, f"n_cg_steps must be at least 1; found {self.n_cg_steps}")
        require(self.unobserved_weight >= 0, f"unobserved_weight must not be negative; found {self.unobserved_weight}")
        require(self.regularization > 0, f"regularization must be positive; found {self.regularization}")
        require(self.solver in ("cg", "cholesky"), f"solver must be 'cg' or 'cholesky'; found {self.solver!r}")
        by_user = train.matrix
        by_item = by_user.T.tocsr()
        rng = np.random.default_rng(self.random_state)
        scale = self.init_scale / np.sqrt(self.n_factors)
        users = (rng.standard_normal((train.n_users, self.n_factors)) * scale).astype(np.float32)
        items = (rng.standard_normal((train.n_items, self.n_factors)) * scale).astype(np.float32)
        for _ in range(self.n_epochs):
            self._solve(by_user, items, users)
            self._solve(by_item, users, items)
        self.item_factors_ = items
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The inner products of the item factors and the user's factors, solved exactly from the history."""
        factors = np.zeros((histories.shape[0], self.n_factors), dtype=np.float32)
        self._solve(histories, self.item_factors_, factors, exactly=True)
        scores: Float32 = factors @ self.item_factors_.T
        return scores

    def _solve(self, rows: sparse.csr_matrix, fixed: Float32, out: Float32, exactly: bool = False) -> None:
        """Solve ``out`` (n_rows, n_factors) in place, given the factors of the other side."""
        counts = np.diff(rows.indptr)
        load = counts + self.unobserved_weight * rows.shape[1]
        ridge = (self.regularization * load**self.regularization_exponent).astype(np.float32)
        gram = np.float32(self.unobserved_weight) * gram_matrix(fixed)
        order = spread(counts)
        if exactly or self.solver == "cholesky":
            solve_rows_exactly(rows.indptr, rows.indices, fixed, gram, ridge, order, out)
        else:
            solve_rows_cg(rows.indptr, rows.indices, fixed, gram, ridge, order, out, self.n_cg_steps)
