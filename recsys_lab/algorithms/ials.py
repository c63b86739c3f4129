"""Matrix factorization of all user-item pairs by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.als_kernels import gram_matrix, solve_rows_cg, solve_rows_in_blocks, spread
from recsys_lab.algorithms.base import Algorithm, require, require_columns
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout
from recsys_lab.data.interactions import Float32, Int32, Int64, Interactions

System: TypeAlias = tuple[Any, tuple[Int32, Float32, Float32], Float32, Int64]
Solver: TypeAlias = Literal["cg", "cholesky", "subspace"]


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

    stored: ClassVar[Layout] = {
        "item_factors_": "float32 items n_factors",
        "item_gram_": "float32 n_factors n_factors",
    }

    n_factors: int = 64
    n_epochs: int = 16  # one epoch solves all users, then all items
    unobserved_weight: float = 0.3  # w: how much a pair that was not observed says
    regularization: float = 0.01
    regularization_exponent: float = 1.0  # 0: the same for all; 1: grows with the number of interactions
    confidence: float = 0.0  # how much more a higher rating says; 0: all observed pairs say the same
    # "cg": a few conjugate-gradient steps from the last factors; "cholesky": exact; "subspace": exact block by block
    solver: Solver = "cg"
    n_cg_steps: int = 3  # "cg": of each row in each epoch
    subspace_size: int = 32  # "subspace": factors of a block; with n_factors it is "cholesky"
    init_scale: float = 0.1  # standard deviation of the first factors, times sqrt(n_factors)
    random_state: int = 0

    serves_new_users: ClassVar[bool] = True

    def fit(self, train: Interactions) -> Self:
        """Learn ``item_factors_`` (n_items, n_factors) float32; ``item_gram_`` is their Gram matrix."""
        for name in ("n_factors", "n_epochs", "n_cg_steps", "subspace_size"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1; found {getattr(self, name)}")
        for name in ("unobserved_weight", "confidence"):
            require(getattr(self, name) >= 0, f"{name} must not be negative; found {getattr(self, name)}")
        require(self.regularization > 0, f"regularization must be positive; found {self.regularization}")
        require_choice("solver", self.solver, get_args(Solver))
        by_user = train.matrix
        sides = self._system(by_user), self._system(by_user.T.tocsr())
        rng = np.random.default_rng(self.random_state)
        scale = self.init_scale / np.sqrt(self.n_factors)
        users = (rng.standard_normal((train.n_users, self.n_factors)) * scale).astype(np.float32)
        items = (rng.standard_normal((train.n_items, self.n_factors)) * scale).astype(np.float32)
        for _ in range(self.n_epochs):
            self._solve(sides[0], items, users)
            self._solve(sides[1], users, items)
        self.item_factors_, self.item_gram_ = items, gram_matrix(items)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The inner products of the item factors and the user's factors, solved exactly from the history."""
        require_columns(histories, len(self.item_factors_))
        factors = np.zeros((histories.shape[0], self.n_factors), dtype=np.float32)
        indptr, entries, ridge, order = self._system(histories)
        gram = np.float32(self.unobserved_weight) * self.item_gram_
        solve_rows_in_blocks(indptr, entries, self.item_factors_, gram, ridge, order, factors, self.n_factors)
        scores: Float32 = factors @ self.item_factors_.T
        return scores

    def _system(self, rows: sparse.csr_matrix) -> System:
        """What the systems of all rows have that no epoch changes: pointers, entries, ridge and order."""
        weights, lengths = self._confidences(rows), np.diff(rows.indptr)
        load = (
            np.add.reduceat(np.append(weights, 0), rows.indptr[:-1]) * (lengths > 0)
            if self.confidence
            else lengths.astype(np.float32)
        )
        ridge = self.regularization * (load + self.unobserved_weight * rows.shape[1]) ** self.regularization_exponent
        entries = rows.indices, weights, weights  # an observed pair is pulled to 1
        return rows.indptr, entries, ridge.astype(np.float32), spread(lengths)

    def _solve(self, system: System, fixed: Float32, out: Float32) -> None:
        """Solve ``out`` (n_rows, n_factors) in place, given the factors of the other side."""
        indptr, entries, ridge, order = system
        gram = np.float32(self.unobserved_weight) * gram_matrix(fixed)
        if self.solver == "cg":
            solve_rows_cg(indptr, entries, fixed, gram, ridge, order, out, self.n_cg_steps)
            return
        size = self.subspace_size if self.solver == "subspace" else self.n_factors
        solve_rows_in_blocks(indptr, entries, fixed, gram, ridge, order, out, size)

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
