"""What comes next: transitions between items that follow one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, Learns, require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.sequential_kernels import event_weights, hashes
from recsys_lab.algorithms.similarity import history_parts, row_sums
from recsys_lab.algorithms.sparse_rows import item_scores
from recsys_lab.data.interactions import Float32, Int32, Int64, Interactions


@dataclass(kw_only=True, eq=False)
class Markov(Algorithm):
    """Item-to-item Markov chain: P(j | i) = c_ij / (c_i + shrinkage), c_ij counting how often j follows i.

    window = 1 counts the next item, as a first-order chain does (Shani et al., JMLR 2005); a larger one counts later
    items as 1 / distance, the sequential rules of Ludewig and Jannach (UMUAI 2018, section 3.1). The score is the mean
    of P(. | i) over the last n_last items of the user, the p-th last with weight decay ** p.

    Histories have no order. The order of a known user's items is that of training; items of the history that training
    does not have for this user are newer, together the last. So where no order is known, as for a new user, the score
    is the mean over all items of the history. Needs timestamps; rows of one user at one time are ordered by a hash.
    """

    stored: ClassVar[Layout] = {"probabilities_": "csr float32 items items", "places_": "csr int64 users items"}

    learns: ClassVar[Learns] = "order"
    serves_new_users: ClassVar[bool] = True

    n_last: int = 1  # last items of the user that predict the next
    decay: float = 0.8  # weight of an item relative to the one after it
    window: int = 1  # how many steps later an item still counts as a follower
    shrinkage: float = 0.0  # added to the number of transitions from an item: trusts rare items less

    def fit(self, train: Interactions) -> Self:
        require(self.n_last >= 1, f"n_last must be at least 1; found {self.n_last}")
        require(self.window >= 1, f"window must be at least 1; found {self.window}")
        require(0 < self.decay <= 1, f"decay must be above 0 and at most 1; found {self.decay}")
        require(self.shrinkage >= 0, f"shrinkage must be 0 or more; found {self.shrinkage}")
        if train.timestamps is None:
            raise ValueError("Markov needs timestamps and these data have none; use ItemKNN, which needs no order")
        rows = train.canonical()
        assert rows.timestamps is not None
        order = np.lexsort((hashes(rows.users, rows.items), rows.timestamps, rows.users))
        users, items = rows.users[order], rows.items[order]
        counts = _transitions(users, items, train.n_items, self.window)
        sums = row_sums(counts, counts.data) + self.shrinkage
        data = (counts.data / np.repeat(sums, np.diff(counts.indptr))).astype(np.float32)
        # P (n_items now, n_items next) float32
        self.probabilities_ = sparse.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)
        self.places_ = _places_from_the_end(users, items, train.n_users, train.n_items)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Mean probability to come next, (b, n_items) float32; 0 for what never followed."""
        ptr, idx, _ = history_parts(histories, self.probabilities_.shape[0])
        known = self.places_.indptr.astype(np.int64), self.places_.indices, self.places_.data
        weights = event_weights(np.asarray(users, dtype=np.int32), ptr, idx, *known, self.n_last, self.decay)
        return item_scores(histories, self.probabilities_, values=weights)


def _transitions(users: Int32, items: Int32, n_items: int, window: int) -> sparse.csr_matrix:
    """How often each item follows each, steps of d counting 1 / d, (n_items, n_items) float64; none to itself."""
    total = sparse.csr_matrix((n_items, n_items), dtype=np.float64)
    for distance in range(1, min(window, max(len(users) - 1, 0)) + 1):
        same = users[distance:] == users[:-distance]
        if not same.any():
            break
        follows = same & (items[distance:] != items[:-distance])
        pairs = items[:-distance][follows], items[distance:][follows]
        weights = np.full(int(follows.sum()), 1.0 / distance)
        total = total + sparse.coo_matrix((weights, pairs), shape=(n_items, n_items)).tocsr()
    total.sort_indices()
    return total


def _places_from_the_end(users: Int32, items: Int32, n_users: int, n_items: int) -> sparse.csr_matrix:
    """Places of each user's items counted from the last, which is 1: int64 CSR (n_users, n_items), indices sorted.

    An item that occurs again has its last place.
    """
    ends = np.cumsum(np.bincount(users, minlength=n_users))
    places: Int64 = ends[users] - np.arange(len(users))
    order = np.lexsort((places, items, users))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(users[order]) != 0) | (np.diff(items[order]) != 0)
    kept = order[first]
    found = sparse.csr_matrix((places[kept], (users[kept], items[kept])), shape=(n_users, n_items))
    found.sort_indices()
    return found
