"""Matrix factorization of all user-item pairs by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.als_kernels import gram_matrix, solve_rows_cg, solve_rows_exactly, spread
from recsys_lab.algorithms.base import Algorithm, require, require_columns
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.data.interactions import Float32, Int32, Interactions

Solver: TypeAlias = Literal["cg", "cholesky"]


@dataclass(kw_only=True, eq=False)
class IALS(Algorithm):
    """Implicit alternating least squares (Hu, Koren and Volinsky, ICDM 2008; loss of Rendle et al., RecSys 2022).

    Minimises  Σ_{observed (u,i)} c_ui (1 − x_u·y_i)² + w Σ_{all (u,i)} (x_u·y_i)² + Σ_u λ_u |x_u|² + Σ_i λ_i |y_i|²,
    with c_ui = 1 + confidence · rating, λ_u = regularization · (Σ_i c_ui + w · n_items)^exponent, likewise for items.
    What is stored in the history counts as observed, whatever its rating. With exponent 0 it is the loss of the first
    paper (confidence a of what was observed, λ) for w = 1 / (a − 1) and regularization = λ w / (1 + w). A user's
    factors are solved exactly from the history at scoring time, so new users are served without a refit, and only item
    factors are kept.
    """

    n_factors: int = 64
    n_epochs: int = 16  # one epoch solves all users, then all items
    unobserved_weight: float = 0.3  # w: how much a pair that was not observed says
    regularization: float = 0.01
    regularization_exponent: float = 1.0  # 0: the same for all; 1: grows with the number of interactions
    confidence: float = 0.0  # how much more a higher rating says; 0: all observed pairs say the same
    solver: Solver = "cg"  # "cg": a few warm-started conjugate-gradient steps; "cholesky": exact, slower
    n_cg_steps: int = 3  # of each row in each epoch
    init_scale: float = 0.1  # standard deviation of the first factors, times sqrt(n_factors)
    random_state: int = 0

    serves_new_users: ClassVar[bool] = True

    def fit(self, train: Interactions) -> Self:
        """Learn ``item_factors_`` (n_items, n_factors) float32."""
        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(self.n_epochs >= 1, f"n_epochs must be at least 1; found {self.n_epochs}")
        require(self.n_cg_steps >= 1, f"n_cg_steps must be at least 1; found {self.n_cg_steps}")
        for name in ("unobserved_weight", "confidence"):
            require(getattr(self, name) >= 0, f"{name} must not be negative; found {getattr(self, name)}")
        require(self.regularization > 0, f"regularization must be positive; found {self.regularization}")
        require_choice("solver", self.solver, get_args(Solver))
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
        require_columns(histories, len(self.item_factors_))
        factors = np.zeros((histories.shape[0], self.n_factors), dtype=np.float32)
        self._solve(histories, self.item_factors_, factors, exactly=True)
        scores: Float32 = factors @ self.item_factors_.T
        return scores

    def _solve(self, rows: sparse.csr_matrix, fixed: Float32, out: Float32, exactly: bool = False) -> None:
        """Solve ``out`` (n_rows, n_factors) in place, given the factors of the other side."""
        weights = self._confidences(rows)
        load = np.add.reduceat(np.append(weights, 0), rows.indptr[:-1]) * (np.diff(rows.indptr) > 0)
        ridge = self.regularization * (load + self.unobserved_weight * rows.shape[1]) ** self.regularization_exponent
        gram = np.float32(self.unobserved_weight) * gram_matrix(fixed)
        entries = rows.indices, np.sqrt(weights), weights
        system = rows.indptr, entries, fixed, gram, ridge.astype(np.float32), spread(np.diff(rows.indptr)), out
        if exactly or self.solver == "cholesky":
            solve_rows_exactly(*system)
        else:
            solve_rows_cg(*system, self.n_cg_steps)

    def _confidences(self, rows: sparse.csr_matrix) -> Float32:
        """c_ui of what is stored, (n,) float32."""
        if not self.confidence:
            return np.ones(rows.nnz, dtype=np.float32)
        weights: Float32 = 1 + np.float32(self.confidence) * rows.data.astype(np.float32)
        least = weights.min(initial=1)
        require(
            least > 0, f"1 + confidence · rating must be positive; found {least}; set confidence=0 for such ratings"
        )
        return weights
