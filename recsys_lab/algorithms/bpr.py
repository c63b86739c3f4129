"""Matrix factorization that learns from pairs: what a user chose goes before what the user did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
from numba import njit
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.data.interactions import Float32, Int32, Interactions
from recsys_lab.seeds import child_seed

Negatives: TypeAlias = Literal["uniform", "popularity"]
RUNAWAY = 1e15  # a product of two such numbers is still finite in float32


@dataclass(kw_only=True, eq=False)
class BPR(Algorithm):
    """Bayesian personalised ranking by stochastic gradient ascent (Rendle et al., UAI 2009, figure 4, section 4.3.1).

    One step draws an interaction (u, i) and an item j, and raises ln σ(x_ui − x_uj), where x_ui = p_u·q_i + b_i; when
    the user has j too, nothing is learnt. An epoch has as many draws as there are interactions. It runs on one thread:
    the same seed gives the same factors, bit by bit. A user without training rows gets the items by their bias.
    """

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
        by_user = train.matrix
        rows = users_of_rows(train), by_user.indptr, by_user.indices
        state = np.array([child_seed(self.random_state, "bpr/steps") | 1], dtype=np.uint64)
        for _ in range(self.n_epochs):
            epoch(*rows, users, items, self.learning_rate, self.regularization, self.negatives == "popularity", state)
        require_sound(users, items)
        self.user_factors_, self.item_factors_ = users, items
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """x_ui for all items."""
        scores: Float32 = self.user_factors_[users] @ self.item_factors_.T
        return scores


def first_factors(train: Interactions, n_factors: int, random_state: int) -> tuple[Float32, Float32]:
    """Factors of users and items, uniform within ± 0.5 / n_factors, and a last column: 1 for users, 0 for items."""
    rng = np.random.default_rng(random_state)
    users, items = (
        ((rng.random((size, n_factors + 1)) - 0.5) / n_factors).astype(np.float32)
        for size in (train.n_users, train.n_items)
    )
    users[train.user_activity == 0] = 0
    users[:, -1], items[:, -1] = 1, 0
    return users, items


def users_of_rows(train: Interactions) -> Int32:
    """The user of each stored entry of the matrix of ``train``."""
    return np.repeat(np.arange(train.n_users, dtype=np.int32), np.diff(train.matrix.indptr))


def require_positive(model: Algorithm, *names: str) -> None:
    """Raise ValueError unless these hyper-parameters are above 0."""
    for name in names:
        value = getattr(model, name)
        require(value > 0, f"{name} must be above 0; found {value}")


def require_sound(*factors: Float32) -> None:
    """Raise ValueError when training ran away."""
    require(
        all(bool((np.abs(values) < RUNAWAY).all()) for values in factors),
        "training diverged: factors are not finite; try a lower learning_rate or more regularization",
    )


@njit(cache=True)
def next_random(state: Any) -> Any:
    """64 random bits: xorshift64* (Vigna, ACM TOMS 2016). ``state`` (1,) uint64 moves on."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(0x2545F4914F6CDD1D)


@njit(cache=True)
def below(state: Any, n: int) -> Any:
    """An integer 0 ... n - 1 from the upper 32 bits (n < 2**32; the bias is below n / 2**32)."""
    return np.int64(((next_random(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True)
def contains(items: Any, item: int) -> Any:
    """Whether the sorted ``items`` hold ``item``."""
    position = np.searchsorted(items, item)
    return position < len(items) and items[position] == item


@njit(cache=True, fastmath={"reassoc", "contract"})
def difference(p: Any, q: Any, r: Any) -> Any:
    """p·(q − r)."""
    total = np.float32(0)
    for f in range(len(p)):
        total += p[f] * (q[f] - r[f])
    return total


@njit(cache=True, fastmath={"reassoc", "contract"})
def step(p: Any, q: Any, r: Any, rate: float, push: float, ridge: float) -> None:
    """Move the user p towards the item q and away from r by ``push``; the last column of p stays 1."""
    last = len(p) - 1
    for f in range(last):
        pf, qf, rf = p[f], q[f], r[f]
        p[f] += rate * (push * (qf - rf) - ridge * pf)
        q[f] += rate * (push * pf - ridge * qf)
        r[f] += rate * (-push * pf - ridge * rf)
    q[last] += rate * (push - ridge * q[last])
    r[last] += rate * (-push - ridge * r[last])


@njit(cache=True)
def epoch(row_users, indptr, indices, users, items, rate, ridge, popular, state):  # type: ignore[no-untyped-def]
    """As many draws as there are rows; ``users``, ``items`` and ``state`` are changed in place."""
    n_rows, n_items = len(indices), len(items)
    rate, ridge = np.float32(rate), np.float32(ridge)
    for _ in range(n_rows):
        row = below(state, n_rows)
        u, i = row_users[row], indices[row]
        j = indices[below(state, n_rows)] if popular else below(state, n_items)
        if contains(indices[indptr[u] : indptr[u + 1]], j):
            continue
        push = np.float32(1) / (np.float32(1) + np.exp(difference(users[u], items[i], items[j])))
        step(users[u], items[i], items[j], rate, push, ridge)
