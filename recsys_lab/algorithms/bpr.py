"""Matrix factorization that learns from pairs: what a user chose goes before what the user did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.data.interactions import Float32, Int32, Interactions
from recsys_lab.seeds import child_seed


@dataclass(kw_only=True, eq=False)
class BPR(Algorithm):
    """Bayesian personalised ranking by stochastic gradient ascent (Rendle et al., UAI 2009, figure 4 and eq. for MF).

    One step takes an interaction (u, i) and an item j without one, and raises ln σ(x_ui − x_uj), where
    x_ui = p_u·q_i + b_i. An epoch has as many steps as there are interactions. One thread: the same seed gives the
    same factors, bit by bit.
    """

    n_factors: int = 64
    n_epochs: int = 50
    learning_rate: float = 0.05
    regularization: float = 0.005  # of factors and biases
    negatives: str = "uniform"  # "uniform" over items, as in the paper; "popularity": in proportion to interactions
    random_state: int = 0

    def fit(self, train: Interactions) -> Self:
        """Learn ``user_factors_`` (n_users, n_factors + 1) and ``item_factors_`` (n_items, n_factors + 1) float32.

        The last column of the item factors is the bias; of the user factors it is 1.
        """
        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(self.n_epochs >= 1, f"n_epochs must be at least 1; found {self.n_epochs}")
        require(self.learning_rate > 0, f"learning_rate must be positive; found {self.learning_rate}")
        require(self.regularization >= 0, f"regularization must not be negative; found {self.regularization}")
        known = ("uniform", "popularity")
        require(self.negatives in known, f"negatives must be one of {known}; found {self.negatives!r}")
        matrix = train.matrix
        rng = np.random.default_rng(self.random_state)
        users = ((rng.random((train.n_users, self.n_factors + 1)) - 0.5) / self.n_factors).astype(np.float32)
        items = ((rng.random((train.n_items, self.n_factors + 1)) - 0.5) / self.n_factors).astype(np.float32)
        users[:, -1], items[:, -1] = 1, 0
        row_users = np.repeat(np.arange(train.n_users, dtype=np.int32), np.diff(matrix.indptr))
        state = np.array([child_seed(self.random_state, "bpr/steps") | 1], dtype=np.uint64)
        popular = self.negatives == "popularity"
        for _ in range(self.n_epochs):
            _epoch(
                row_users, matrix.indptr, matrix.indices, users, items, self.learning_rate, self.regularization,
                popular, state,
            )  # fmt: skip
        self.user_factors_, self.item_factors_ = users, items
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """x_ui for all items."""
        scores: Float32 = self.user_factors_[users] @ self.item_factors_.T
        return scores


@njit(cache=True)
def _next(state: Any) -> Any:
    """Xorshift64* (Vigna, ACM TOMS 2016)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(0x2545F4914F6CDD1D)


@njit(cache=True)
def _below(state: Any, n: int) -> Any:
    """An integer 0 ... n - 1 from the upper 32 bits (n < 2**32; the bias is below n / 2**32)."""
    return np.int64(((_next(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True)
def _contains(items: Any, item: int) -> Any:
    position = np.searchsorted(items, item)
    return position < len(items) and items[position] == item


@njit(cache=True, fastmath={"reassoc", "contract"})
def _epoch(row_users, indptr, indices, users, items, rate, ridge, popular, state):  # type: ignore[no-untyped-def]
    n_rows, n_items, width = len(indices), len(items), items.shape[1]
    rate, ridge = np.float32(rate), np.float32(ridge)
    for _ in range(n_rows):
        row = _below(state, n_rows)
        u, i = row_users[row], indices[row]
        j = indices[_below(state, n_rows)] if popular else _below(state, n_items)
        if _contains(indices[indptr[u] : indptr[u + 1]], j):
            continue
        p, q, r = users[u], items[i], items[j]
        margin = np.float32(0)
        for f in range(width):
            margin += p[f] * (q[f] - r[f])
        push = np.float32(1) / (np.float32(1) + np.exp(margin))
        for f in range(width - 1):
            pf, qf, rf = p[f], q[f], r[f]
            p[f] += rate * (push * (qf - rf) - ridge * pf)
            q[f] += rate * (push * pf - ridge * qf)
            r[f] += rate * (-push * pf - ridge * rf)
        q[width - 1] += rate * (push - ridge * q[width - 1])
        r[width - 1] += rate * (-push - ridge * r[width - 1])
