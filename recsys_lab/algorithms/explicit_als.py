"""Matrix factorization of ratings, with biases, by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.als_kernels import solve_rows_in_blocks, spread
from recsys_lab.algorithms.base import RatingPredictor, require, require_columns
from recsys_lab.algorithms.layout import Layout
from recsys_lab.data.interactions import Float32, Int32, Interactions


@dataclass(kw_only=True, eq=False)
class ExplicitALS(RatingPredictor):
    """Ratings as mean + b_u + b_i + x_u·y_i (Zhou et al., AAIM 2008, with the biases of Koren et al., Computer 2009).

    Minimises the squared error on the ratings that are there + Σ_u λ_u (b_u² + |x_u|²) + Σ_i λ_i (b_i² + |y_i|²), with
    λ_u = regularization · n_u^exponent and likewise for items. A user's vector and bias are one exact least-squares
    problem, and so are an item's. ``score`` solves it from the history, so new users are served without a refit.
    """

    stored: ClassVar[Layout] = {"mean_": "number", "users_": "float32 users+1 f", "items_": "float32 items+1 f"}

    serves_new_users: ClassVar[bool] = True

    n_factors: int = 16
    n_epochs: int = 15  # one epoch solves all items, then all users
    regularization: float = 0.1
    regularization_exponent: float = 1.0  # 0: the same for all; 1: grows with the number of ratings
    init_scale: float = 0.1  # standard deviation of the first user factors, times sqrt(n_factors)
    random_state: int = 0

    def fit(self, train: Interactions) -> Self:
        """Learn ``users_`` (n_users + 1, n_factors + 1), ``items_`` (n_items + 1, n_factors + 1) float32 and ``mean_``.

        The last column is the bias; the last row, all 0, is for the unknown.
        """
        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(self.n_epochs >= 1, f"n_epochs must be at least 1; found {self.n_epochs}")
        require(self.regularization > 0, f"regularization must be above 0; found {self.regularization}")
        by_user = train.canonical().matrix
        by_item = by_user.T.tocsr()
        self.mean_ = float(by_user.data.mean(dtype=np.float64)) if by_user.nnz else 0.0
        scale = self.init_scale / np.sqrt(self.n_factors)
        users = np.zeros((train.n_users, self.n_factors + 1), dtype=np.float32)
        users[:, :-1] = np.random.default_rng(self.random_state).standard_normal(users[:, :-1].shape) * scale
        for _ in range(self.n_epochs):
            items = self._solve(by_item, users)
            users = self._solve(by_user, items)
        self.users_, self.items_ = (np.pad(vectors, ((0, 1), (0, 0))) for vectors in (users, items))
        return self

    def predict(self, users: Int32, items: Int32) -> Float32:
        """Ratings (n,) float32, not clipped to the scale; an unknown user or item adds nothing."""
        x = self.users_[np.asarray(users, dtype=np.int32)]
        y = self.items_[np.asarray(items, dtype=np.int32)]
        ratings: Float32 = np.einsum("pf,pf->p", x[:, :-1], y[:, :-1]) + x[:, -1] + y[:, -1] + np.float32(self.mean_)
        return ratings

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The ratings of all items, (b, n_items) float32, by users solved from their histories."""
        items = self.items_[:-1]
        require_columns(histories, len(items))
        solved = self._solve(histories, items)
        scores: Float32 = solved[:, :-1] @ items[:, :-1].T
        scores += solved[:, -1:] + items[:, -1] + np.float32(self.mean_)
        return scores

    def _solve(self, rows: sparse.csr_matrix, fixed: Float32) -> Float32:
        """Vectors and biases (n_rows, n_factors + 1) float32, given those of the other side."""
        counts = np.diff(rows.indptr)
        features = fixed.copy()
        features[:, -1] = 1  # what the own bias is multiplied by
        targets = rows.data.astype(np.float32) - np.float32(self.mean_) - fixed[rows.indices, -1]
        ridge = self.regularization * np.maximum(counts, 1) ** self.regularization_exponent
        gram = np.zeros((features.shape[1], features.shape[1]), dtype=np.float32)
        entries = rows.indices, np.ones(rows.nnz, dtype=np.float32), targets
        out = np.zeros((rows.shape[0], features.shape[1]), dtype=np.float32)
        ridges, order, size = ridge.astype(np.float32), spread(counts), features.shape[1]
        solve_rows_in_blocks(rows.indptr, entries, features, gram, ridges, order, out, size)
        return out
