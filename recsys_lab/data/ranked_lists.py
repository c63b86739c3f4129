"""Ranked lists: the only input of a ranking metric, validated once, here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys_lab.compiled import njit
from recsys_lab.data.interactions import Bool, Float32, Int32, Int64

SHORT = 128  # k up to which every item of a list is compared with every other


@dataclass(frozen=True, eq=False)
class RankedLists:
    """The recommended items of some users, best first.

    ``users`` (n,) int32 codes (-1 for a user who is not in the catalogue, any number of times);
    ``items`` (n, k) int32, -1 = none, fills stand at the end; ``scores`` (n, k) float32, never rising, -inf in fills.
    """

    users: Int32  # (n,)
    items: Int32  # (n, k)
    scores: Float32  # (n, k)
    tied_at_cutoff: Bool | None = None  # (n,) an item left out has the score of the last one listed; None = not known

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", np.ascontiguousarray(self.users, dtype=np.int32))
        object.__setattr__(self, "items", np.ascontiguousarray(self.items, dtype=np.int32))
        object.__setattr__(self, "scores", np.ascontiguousarray(self.scores, dtype=np.float32))
        n = len(self.users)
        if self.items.ndim != 2 or len(self.items) != n or self.scores.shape != self.items.shape:
            raise ValueError(
                f"{n} users need items and scores of one shape ({n}, k); "
                f"found {self.items.shape} and {self.scores.shape}"
            )
        if n > 1:
            self._check_users()
        if self.k > SHORT or not _sound(self.items, self.scores):  # what is not sound is named by the checks
            self._check_items()
            self._check_scores()

    def _check_users(self) -> None:
        known = self.users[self.users >= 0]
        values, counts = np.unique(known, return_counts=True)
        if (counts > 1).any():
            raise ValueError(f"user {values[counts > 1][0]} has more than one list; give one list a user")

    def _check_items(self) -> None:
        filled = self.items >= 0
        if self.items.size and self.items.min() < -1:
            raise ValueError(f"items are codes, or -1 for none; found {self.items.min()}")
        gaps = filled[:, 1:] & ~filled[:, :-1]
        if gaps.any():
            row = int(np.argmax(gaps.any(axis=1)))
            raise ValueError(
                f"user {self.users[row]}: -1 (none) stands before an item; fills belong at the end of a list"
            )
        ordered = np.sort(self.items, axis=1)
        twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
        if twice.any():
            row, column = np.argwhere(twice)[0]
            raise ValueError(
                f"user {self.users[row]}: item {ordered[row, column]} is listed twice; list each item once"
            )

    def _check_scores(self) -> None:
        filled = self.items >= 0
        wrong = filled & ~np.isfinite(self.scores)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"user {self.users[row]}, item {self.items[row, column]}: the score is {self.scores[row, column]}; "
                "listed items need finite scores (-inf masks an item and is never listed)"
            )
        rising = filled[:, 1:] & (self.scores[:, 1:] > self.scores[:, :-1])
        if rising.any():
            row = int(np.argmax(rising.any(axis=1)))
            raise ValueError(f"user {self.users[row]}: scores rise along the list; list the best item first")

    @property
    def k(self) -> int:
        return int(self.items.shape[1])

    @property
    def lengths(self) -> Int64:
        """Items in each list, (n,) int64."""
        lengths: Int64 = np.count_nonzero(self.items >= 0, axis=1).astype(np.int64)
        return lengths

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        return f"RankedLists({len(self):,} users, k = {self.k})"


@njit()
def _sound(items: Any, scores: Any) -> bool:
    """Whether items (n, k) are codes, different in a row, fills at its end, and scores finite and never rising."""
    n, k = items.shape
    for row in range(n):
        for place in range(k):
            item = items[row, place]
            if item < -1:
                return False
            if item == -1:
                continue
            if not np.isfinite(scores[row, place]):
                return False
            if place and (items[row, place - 1] < 0 or scores[row, place] > scores[row, place - 1]):
                return False
            for before in range(place):
                if items[row, before] == item:
                    return False
    return True
