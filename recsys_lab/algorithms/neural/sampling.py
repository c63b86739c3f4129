"""Rows held out for validation, and items a user did not choose, drawn for all rows at once. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms.top_k import top_k
from recsys_lab.data.interactions import Float32, Float64, Int32, Int64, Interactions

MAX_TRIES = 20  # a user who chose nearly everything keeps a wrong negative in the end
MAX_VALIDATION_USERS = 2_000  # scored after each epoch
DEPTH = 10  # length of the validation lists


class NegativeSampler:
    """Draws items that a user did not choose, uniformly among the items that anyone chose."""

    def __init__(self, rows: Interactions) -> None:
        self.n_items = rows.n_items
        self.pool = np.flatnonzero(rows.item_popularity).astype(np.int32)
        self.pairs = np.unique(rows.users.astype(np.int64) * rows.n_items + rows.items)  # sorted

    def draw(self, users: Int32, rng: np.random.Generator) -> Int32:
        """One item for each of ``users`` (n,), int32 (n,)."""
        items = self.pool[rng.integers(len(self.pool), size=len(users))]
        wrong = np.flatnonzero(self._chosen(users, items))
        for _ in range(MAX_TRIES):
            if not wrong.size:
                break
            items[wrong] = self.pool[rng.integers(len(self.pool), size=len(wrong))]
            wrong = wrong[self._chosen(users[wrong], items[wrong])]
        return items

    def _chosen(self, users: Int32, items: Int32) -> NDArray[np.bool_]:
        wanted = users.astype(np.int64) * self.n_items + items
        places = np.searchsorted(self.pairs, wanted)
        found: NDArray[np.bool_] = self.pairs[np.minimum(places, len(self.pairs) - 1)] == wanted
        return found


def batches(n: int, size: int, rng: np.random.Generator) -> list[Int64]:
    """0 ... n - 1 in random order, cut into parts of ``size``."""
    order = rng.permutation(n)
    return [order[start : start + size] for start in range(0, n, size)]


def hold_out(
    rows: Interactions, share: float, rng: np.random.Generator, *, latest: bool = False
) -> tuple[Interactions, Interactions]:
    """(kept, held out): ``share`` of each user's rows, rounded down by chance, but never all of them.

    Random rows, or with ``latest`` the last ones in time. The held-out part is empty when there are too few rows.
    """
    counts = rows.user_activity
    wanted = np.floor(share * counts + rng.random(rows.n_users)).astype(np.int64)
    wanted = np.clip(wanted, 0, np.maximum(counts - 1, 0))
    lots = rng.random(len(rows))
    times = rows.timestamps if latest and rows.timestamps is not None else np.zeros(len(rows), dtype=np.int64)
    if latest and rows.timestamps is None:
        lots = np.arange(len(rows), dtype=np.float64)
    order = np.lexsort((lots, times, rows.users))
    place_from_end = np.cumsum(counts)[rows.users[order]] - 1 - np.arange(len(rows))
    held = np.zeros(len(rows), dtype=np.bool_)
    held[order] = place_from_end < wanted[rows.users[order]]
    return rows.select(~held), rows.select(held)


@dataclass(frozen=True, eq=False)
class Validation:
    """Held-out rows as a question: are they among the first items that a model lists?"""

    users: Int32  # (m,) users with held-out rows, at most MAX_VALIDATION_USERS
    histories: sparse.csr_matrix  # (m, n_items), the kept rows
    held: sparse.csr_matrix  # (m, n_items)

    @classmethod
    def of(cls, kept: Interactions, held: Interactions, rng: np.random.Generator) -> Validation:
        """The question that ``held`` asks of a model trained on ``kept``."""
        users = np.flatnonzero((held.user_activity > 0) & (kept.user_activity > 0)).astype(np.int32)
        if len(users) > MAX_VALIDATION_USERS:
            users = np.sort(rng.choice(users, MAX_VALIDATION_USERS, replace=False))
        return cls(users, kept.matrix[users], held.matrix[users])

    def gain(self, score: Any) -> float:
        """Mean over users of the discounted hits among the first 10, 1 at best; ``score(users, histories)``."""
        found: list[Float64] = []
        discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
        for start in range(0, len(self.users), 512):
            part = slice(start, start + 512)
            scores: Float32 = score(self.users[part], self.histories[part])
            lists = top_k(scores, DEPTH, users=self.users[part], exclude=self.histories[part]).items
            held = self.held[part]
            marks = held.indices + np.repeat(np.arange(held.shape[0]), np.diff(held.indptr)) * held.shape[1]
            places = lists + np.arange(len(lists))[:, None] * held.shape[1]
            hits = np.isin(places, marks) & (lists >= 0)
            best = np.cumsum(discounts)[np.minimum(np.diff(held.indptr), DEPTH) - 1]
            found.append((hits * discounts).sum(axis=1) / best)
        return float(np.concatenate(found).mean()) if found else float("nan")
