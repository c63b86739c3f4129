"""The right answers: the relevant test items of each test user, and where they stand in the lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from recsys_lab.compiled import njit
from recsys_lab.data.interactions import Float64, Int32, Int64, Interactions


@dataclass(frozen=True, eq=False)
class Relevant:
    """The relevant test items of every user with a test row, in the layout of a CSR matrix."""

    users: Int32  # (n,) every user with a test row, sorted
    starts: Int64  # (n + 1,)
    items: Int32  # sorted within a user, each once
    grades: Float64  # the test rating of each; the highest where a pair occurs twice

    @property
    def n_relevant(self) -> Int64:
        """Relevant items of each user, (n,)."""
        return np.diff(self.starts)

    def matrix(self, first: int, last: int, n_items: int) -> sparse.csr_matrix:
        """Rows ``first`` to ``last`` (not included) as CSR (last - first, n_items) of ones."""
        starts = self.starts[first : last + 1]
        items = self.items[starts[0] : starts[-1]]
        return sparse.csr_matrix((np.ones(len(items), np.float32), items, starts - starts[0]), (last - first, n_items))

    def ideal_gains(self, k: int) -> Float64:
        """The k highest grades of each user, falling, 0 where there are fewer, (n, k)."""
        rows = np.repeat(np.arange(len(self.users)), self.n_relevant)
        order = np.lexsort((-self.grades, rows))
        places = np.arange(len(rows)) - self.starts[rows]
        kept = places < k
        ideal = np.zeros((len(self.users), k))
        ideal[rows[kept], places[kept]] = np.maximum(self.grades[order[kept]], 0.0)
        return ideal


def relevant_items(test: Interactions, threshold: float | None) -> Relevant:
    """Test items with a rating of at least ``threshold`` (None: any row), each once. Users with none of them stay."""
    present = test.user_activity > 0
    users = np.flatnonzero(present).astype(np.int32)
    row_of = np.cumsum(present) - 1
    chosen = np.ones(len(test), dtype=np.bool_) if threshold is None else test.ratings >= np.float32(threshold)
    pairs = row_of[test.users[chosen]] * test.n_items + test.items[chosen]  # one int64 a pair sorts fastest
    grades = test.ratings[chosen].astype(np.float64)
    if (np.diff(pairs) < 0).any():  # a part in canonical order is sorted already
        order = np.argsort(pairs)
        pairs, grades = pairs[order], grades[order]
    first = np.flatnonzero(np.diff(pairs, prepend=-1))  # where a pair comes the first time
    rows, items = np.divmod(pairs[first], max(test.n_items, 1))
    starts = np.zeros(len(users) + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=len(users)), out=starts[1:])
    highest = np.maximum.reduceat(grades, first) if len(first) else grades
    return Relevant(users, starts, items.astype(np.int32), highest)


def sorted_rows(matrix: sparse.csr_matrix, users: Int32) -> tuple[Int64, Int32]:
    """Starts (n + 1,) and sorted columns of the rows ``users`` of a CSR matrix, as ``find`` takes them."""
    rows = matrix[users]
    rows.sort_indices()
    return rows.indptr.astype(np.int64), rows.indices.astype(np.int32, copy=False)


def find_in_rows(items: Int32, users: Int32, matrix: sparse.csr_matrix) -> Any:
    """Whether each listed item (n, k) is stored in its user's row of ``matrix``, (n, k) bool; no row is copied."""
    if not matrix.has_sorted_indices:
        starts, listed = sorted_rows(matrix, users)
        return find(items, starts, listed) >= 0
    first, last = matrix.indptr[users].astype(np.int64), matrix.indptr[users + 1].astype(np.int64)
    return _find(items, first, last, matrix.indices.astype(np.int32, copy=False)) >= 0


@njit()
def _find(items, first, last, sorted_items):  # type: ignore[no-untyped-def]
    n, k = items.shape
    positions = np.full((n, k), -1, dtype=np.int64)
    for row in range(n):
        own = sorted_items[first[row] : last[row]]
        for column in range(k if own.size else 0):
            item = items[row, column]
            if item < 0:
                break
            low, left = 0, own.size
            while left > 1:  # no branch on what is compared: it cannot be foreseen
                half = left // 2
                low += half * (own[low + half] <= item)
                left -= half
            if own[low] == item:
                positions[row, column] = first[row] + low
    return positions


def find(items: Int32, starts: Int64, sorted_items: Int32) -> Any:
    """Where each listed item (n, k) stands among its user's ``sorted_items``: int64 (n, k), -1 = not there."""
    return _find(items, starts[:-1], starts[1:], sorted_items)
