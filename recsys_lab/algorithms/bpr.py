"""Matrix factorization that learns from pairs: what a user chose goes before what the user did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.kernels import in_lines
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.pair_kernels import (
    below,
    difference,
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

Negatives: TypeAlias = Literal["uniform", "popularity"]
DRAWS = 1024  # made at a time, before the steps they lead to


@dataclass(kw_only=True, eq=False)
class BPR(Algorithm):
    """Bayesian personalised ranking by stochastic gradient ascent (Rendle et al., UAI 2009, figure 4, section 4.3.1).

    One step draws an interaction (u, i) and an item j, and raises ln σ(x_ui − x_uj), where x_ui = p_u·q_i + b_i; when
    the user has j too, nothing is learnt. An epoch has as many draws as there are interactions. It runs on one thread:
    the same seed gives the same factors, bit by bit. A user without training rows gets the items by their bias.
    """

    stored: ClassVar[Layout] = {"user_factors_": "float32 users f", "item_factors_": "float32 items f"}

    n_factors: int = 64
    n_epochs: int = 80
    learning_rate: float = 0.02
    regularization: float = 0.005  # of factors and biases
    negatives: Negatives = "uniform"  # over items, as in the paper; "popularity": in proportion to interactions
    random_state: int = 0

    def fit(self, train: Interactions) -> Self:
        """Learn ``user_factors_`` (n_users, n_factors + 1) and ``item_factors_`` (n_items, n_factors + 1) float32.

        The last column of the item factors is the bias; of the user factors it is 1.
        """
        require_positive(self, "n_factors", "n_epochs", "learning_rate")
        require(self.regularization >= 0, f"regularization must not be negative; found {self.regularization}")
        require_choice("negatives", self.negatives, get_args(Negatives))
        users, items = first_factors(train, self.n_factors, self.random_state)
        known = users_of_rows(train), train.matrix.indptr, train.matrix.indices, who_has_what(train.matrix)
        vectors = in_lines(users[:, :-1]), in_lines(items[:, :-1]), items[:, -1].copy()
        state = np.array([child_seed(self.random_state, "bpr/steps") | 1], dtype=np.uint64)
        for _ in range(self.n_epochs):
            epoch(*known, *vectors, self.learning_rate, self.regularization, self.negatives == "popularity", state)
        require_sound(*vectors)
        put_back(*vectors, users, items)
        self.user_factors_, self.item_factors_ = users, items
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """x_ui for all items."""
        scores: Float32 = self.user_factors_[users] @ self.item_factors_.T
        return scores


def require_positive(model: Algorithm, *names: str) -> None:
    """Raise ValueError unless these hyper-parameters are above 0."""
    for name in names:
        value = getattr(model, name)
        require(value > 0, f"{name} must be above 0; found {value}")


@njit()
def _draw(row_users, indptr, indices, bits, n_items, popular, state, drawn):  # type: ignore[no-untyped-def]
    """Fill ``drawn`` (n, 3) with user, item and other item; those whose user has the other are left out. How many."""
    n_rows, kept = len(indices), 0
    for _ in range(len(drawn)):
        row = below(state, n_rows)
        user, other = row_users[row], indices[below(state, n_rows)] if popular else below(state, n_items)
        drawn[kept, 0], drawn[kept, 1], drawn[kept, 2] = user, indices[row], other
        kept += 1 - has(bits, indptr, indices, n_items, user, other)
    return kept


@njit()
def epoch(row_users, indptr, indices, bits, users, items, biases, rate, ridge, popular, state):  # type: ignore[no-untyped-def]
    """As many draws as there are rows; ``users``, ``items``, ``biases`` and ``state`` are changed in place."""
    rate = np.float32(rate)
    keep = np.float32(1) - rate * np.float32(ridge)
    drawn = np.empty((min(DRAWS, len(indices)), 3), dtype=np.int64)
    for first in range(0, len(indices), DRAWS):
        room = drawn[: min(DRAWS, len(indices) - first)]
        for draw in range(_draw(row_users, indptr, indices, bits, len(items), popular, state, room)):
            u, i, j = drawn[draw, 0], drawn[draw, 1], drawn[draw, 2]
            p, q, r = users[u], items[i], items[j]
            push = rate / (np.float32(1) + np.exp(difference(p, q, r) + (biases[i] - biases[j])))
            step(p, q, r, biases, i, j, push, keep)
