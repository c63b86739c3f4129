"""What models that learn from pairs of items share: random draws, who has what, and the step of three vectors."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms.base import require
from recsys_lab.compiled import njit
from recsys_lab.data.interactions import Float32, Int32, Interactions

Bits: TypeAlias = NDArray[np.uint8]

RUNAWAY = 1e15  # a product of two such numbers is still finite in float32
MAX_BITS = 1 << 28  # of a table of who has what: 32 MB, about what a processor caches
_FAST = {"reassoc", "contract"}


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


def put_back(vectors: Float32, others: Float32, biases: Float32, users: Float32, items: Float32) -> None:
    """Write rows of ``kernels.in_lines``, of users and of items, and the biases of the items into ``first_factors``."""
    users[:, :-1], items[:, :-1] = vectors[:, : users.shape[1] - 1], others[:, : items.shape[1] - 1]
    items[:, -1] = biases


def users_of_rows(train: Interactions) -> Int32:
    """The user of each stored entry of the matrix of ``train``."""
    return np.repeat(np.arange(train.n_users, dtype=np.int32), np.diff(train.matrix.indptr))


def who_has_what(matrix: sparse.csr_matrix) -> Bits:
    """A bit for each pair of user and item, set where an entry is stored; empty when that takes over ``MAX_BITS``."""
    if matrix.shape[0] * matrix.shape[1] > MAX_BITS:
        return np.zeros(0, dtype=np.uint8)
    return _mark(matrix.indptr, matrix.indices, matrix.shape[1])  # type: ignore[no-any-return]


def require_sound(*factors: Float32) -> None:
    """Raise ValueError when training ran away."""
    require(
        all(bool((np.abs(values) < RUNAWAY).all()) for values in factors),
        "training diverged: factors are not finite; try a lower learning_rate or more regularization",
    )


@njit()
def _mark(indptr: Any, indices: Any, n_items: int) -> Any:
    bits = np.zeros((len(indptr) - 1) * n_items // 8 + 1, dtype=np.uint8)
    for user in range(len(indptr) - 1):
        for row in range(indptr[user], indptr[user + 1]):
            bit = user * n_items + indices[row]
            bits[bit >> 3] |= np.uint8(1 << (bit & 7))
    return bits


@njit()
def next_random(state: Any) -> Any:
    """64 random bits: xorshift64* (Vigna, ACM TOMS 2016). ``state`` (1,) uint64 moves on."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(0x2545F4914F6CDD1D)


@njit()
def below(state: Any, n: int) -> Any:
    """An integer 0 ... n - 1 from the upper 32 bits (n < 2**32; the bias is below n / 2**32)."""
    return np.int64(((next_random(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit()
def contains(items: Any, item: int) -> Any:
    """Whether the sorted ``items`` hold ``item``: a search in halves without branches to guess."""
    first, n = 0, len(items)
    if n == 0:
        return False
    while n > 1:
        half = n >> 1
        first += half * (items[first + half] <= item)
        n -= half
    return items[first] == item


@njit()
def has(bits: Any, indptr: Any, indices: Any, n_items: int, user: int, item: int) -> Any:
    """1 where the user has the item, else 0; looked up in ``bits`` of ``who_has_what``, or searched without them."""
    if len(bits) == 0:
        return np.int64(contains(indices[indptr[user] : indptr[user + 1]], item))
    bit = np.int64(user) * n_items + item
    return np.int64((bits[bit >> 3] >> (bit & 7)) & 1)


@njit(fastmath=_FAST)
def dot(p: Any, q: Any) -> Any:
    """p·q."""
    total = np.float32(0)
    for f in range(len(p)):
        total += p[f] * q[f]
    return total


@njit(fastmath=_FAST)
def difference(p: Any, q: Any, r: Any) -> Any:
    """p·(q − r)."""
    total = np.float32(0)
    for f in range(len(p)):
        total += p[f] * (q[f] - r[f])
    return total


@njit(fastmath=_FAST)
def step(p: Any, q: Any, r: Any, biases: Any, i: int, j: int, push: float, keep: float) -> None:
    """Move the user p towards the item q and away from r, whose biases are i and j, by ``push``; ``keep`` shrinks."""
    for f in range(len(p)):
        pf, qf, rf = p[f], q[f], r[f]
        p[f] = keep * pf + push * (qf - rf)
        q[f] = keep * qf + push * pf
        r[f] = keep * rf - push * pf
    biases[i] = keep * biases[i] + push
    biases[j] = keep * biases[j] - push
