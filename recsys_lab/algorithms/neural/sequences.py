"""Histories in the order of time. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.layout import Layout
from recsys_lab.data.interactions import Int32, Int64, Interactions


@dataclass(frozen=True, eq=False)
class Sequences:
    """The training items of each user in order: ``items[starts[u] : starts[u + 1]]``, int32, each item once."""

    stored: ClassVar[Layout] = {"starts": "pointers users n", "items": "codes items n", "n_items": "number"}

    starts: Int64  # (n_users + 1,)
    items: Int32
    n_items: int

    @classmethod
    def of(cls, rows: Interactions) -> Sequences:
        """By time, equal times by item; without times in the order of the file, when the rows are kept in it.

        An item that a user has several times stands where it was last. ValueError where no order is known.
        """
        times = rows.timestamps
        if times is None and not rows.file_order:
            raise ValueError(
                "SASRec learns from the order of a history, but these rows have no times; "
                "use data with times, or a split with row_order='file' where the file is in order"
            )
        place = np.arange(len(rows)) if times is None else times
        order = np.lexsort((rows.items, place, rows.users))
        users, items = rows.users[order], rows.items[order]
        keys = users.astype(np.int64) * rows.n_items + items
        _, last = np.unique(keys[::-1], return_index=True)
        kept = np.sort(len(keys) - 1 - last)
        starts = np.zeros(rows.n_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(users[kept], minlength=rows.n_users), out=starts[1:])
        return cls(starts, items[kept], rows.n_items)

    def order(self, users: Int32, histories: sparse.csr_matrix) -> list[Int32]:
        """The items of each history: those the user had in training in their order there, then the others as stored."""
        ordered = []
        for row, user in enumerate(users):
            given = histories.indices[histories.indptr[row] : histories.indptr[row + 1]]
            if user >= 0:
                trained = self.items[self.starts[user] : self.starts[user + 1]]
                given = np.concatenate([trained[np.isin(trained, given)], given[~np.isin(given, trained)]])
            ordered.append(given.astype(np.int32))
        return ordered


def last_of_each(histories: list[Int32], length: int) -> Int64:
    """The last ``length`` items of each history, numbered from 1, 0 in front: (n, length) int64."""
    rows = np.zeros((len(histories), length), dtype=np.int64)
    for row, items in zip(rows, histories):
        some = items[-length:]
        if len(some):
            row[-len(some) :] = some + 1
    return rows


def windows(sequences: Sequences, length: int) -> Int64:
    """All sequences cut into pieces of ``length`` + 1 items that overlap by one, latest first: every step is in one.

    (n, length + 1) int64, items numbered from 1, 0 in front. Sequences of one item have no step and are left out.
    """
    pieces = []
    for start, end in zip(sequences.starts, sequences.starts[1:]):
        while end - start > 1:
            pieces.append(sequences.items[max(start, end - length - 1) : end])
            end -= length
    return last_of_each(pieces, length + 1)
