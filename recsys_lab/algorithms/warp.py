"""Matrix factorization that learns from mistakes at the top of the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.bpr import require_positive
from recsys_lab.algorithms.kernels import in_lines
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.pair_kernels import (
    below,
    dot,
    first_factors,
    has,
    put_back,
    require_sound,
    step,
    users_of_rows,
    who_has_what,
)
from recsys_lab.compiled import njit
from recsys_lab.data.interactions import Float32, Int32, Interactions
from recsys_lab.seeds import child_seed


@dataclass(kw_only=True, eq=False)
class WARP(Algorithm):
    """Weighted approximate-rank pairwise loss (WSABIE: Weston, Bengio and Usunier, IJCAI 2011, algorithm 1).

    One step draws an interaction (u, i), then items j that the user does not have until x_uj > x_ui − 1. With N draws
    the rank of i is about (n_items − 1) / N, and the step has weight L(rank) / L(n_items − 1), L(r) = Σ_{s≤r} 1/s.
    x_ui = p_u·q_i + b_i. Vectors longer than ``max_norm`` are scaled back to it. An epoch has as many steps as there
    are interactions. It runs on one thread: the same seed gives the same factors, bit by bit. A user without training
    rows gets the items by their bias.
    """

    stored: ClassVar[Layout] = {"user_factors_": "float32 users f", "item_factors_": "float32 items f"}

    n_factors: int = 64
    n_epochs: int = 60
    learning_rate: float = 0.02
    regularization: float = 0.0  # of factors and biases, besides the limit of their length
    max_norm: float = 1.5  # longest user and item vector, without the bias
    max_trials: int = 50  # draws after which the item counts as high enough
    random_state: int = 0

    def fit(self, train: Interactions) -> Self:
        """Learn ``user_factors_`` (n_users, n_factors + 1) and ``item_factors_`` (n_items, n_factors + 1) float32.

        The last column of the item factors is the bias; of the user factors it is 1.
        """
        require_positive(self, "n_factors", "n_epochs", "learning_rate", "max_norm", "max_trials")
        require(self.regularization >= 0, f"regularization must not be negative; found {self.regularization}")
        users, items = first_factors(train, self.n_factors, self.random_state)
        known = users_of_rows(train), train.matrix.indptr, train.matrix.indices, who_has_what(train.matrix)
        vectors = in_lines(users[:, :-1]), in_lines(items[:, :-1]), items[:, -1].copy()
        losses = rank_losses(train.n_items)
        state = np.array([child_seed(self.random_state, "warp/steps") | 1], dtype=np.uint64)
        for _ in range(self.n_epochs):
            epoch(
                *known, *vectors, losses, self.learning_rate, self.regularization, self.max_norm,
                self.max_trials, state,
            )  # fmt: skip
        require_sound(*vectors)
        put_back(*vectors, users, items)
        self.user_factors_, self.item_factors_ = users, items
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """x_ui for all items."""
        scores: Float32 = self.user_factors_[users] @ self.item_factors_.T
        return scores


def rank_losses(n_items: int) -> Float32:
    """L(rank) / L(n_items − 1) for rank 0 ... n_items − 1, L(r) = 1 + 1/2 + ... + 1/r; (n_items,) float32."""
    losses = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, max(n_items, 2)))])
    scaled: Float32 = (losses / losses[-1]).astype(np.float32)
    return scaled


@njit()
def _shorten(vector: Any, max_norm: float) -> None:
    """Scale the vector back to ``max_norm`` where it is longer."""
    squared = dot(vector, vector)
    if squared > max_norm * max_norm:
        scale = np.float32(max_norm / np.sqrt(squared))
        for f in range(len(vector)):
            vector[f] *= scale


@njit()
def epoch(  # type: ignore[no-untyped-def]
    row_users, indptr, indices, bits, users, items, biases, losses, rate, ridge, max_norm, max_trials, state
):
    """As many steps as there are rows; ``users``, ``items``, ``biases`` and ``state`` are changed in place."""
    n_rows, n_items = len(indices), len(items)
    rate, max_norm = np.float32(rate), np.float32(max_norm)
    keep = np.float32(1) - rate * np.float32(ridge)
    for _ in range(n_rows):
        row = below(state, n_rows)
        u, i = row_users[row], indices[row]
        p, q = users[u], items[i]
        bound = dot(p, q) + biases[i] - np.float32(1)
        for trial in range(1, max_trials + 1):
            j = below(state, n_items)
            if has(bits, indptr, indices, n_items, u, j) or dot(p, items[j]) + biases[j] <= bound:
                continue
            step(p, q, items[j], biases, i, j, rate * losses[(n_items - 1) // trial], keep)
            _shorten(p, max_norm)
            _shorten(q, max_norm)
            _shorten(items[j], max_norm)
            break
