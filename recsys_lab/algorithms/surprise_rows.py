"""Training rows as Surprise numbers them: users and items by first appearance, in the order of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys_lab.algorithms.base import require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.data.interactions import Float64, Int32, Int64, Interactions


class Csr(NamedTuple):
    """Entries grouped by owner: those of owner ``o`` stand at ``pointers[o]:pointers[o + 1]``, in row order."""

    pointers: Int64  # (n_owners + 1,)
    codes: Int32  # (n,) inner number of the other side
    values: Float64  # (n,) ratings

    @staticmethod
    def stored(plain: Mapping[str, Any]) -> Layout:
        """The sizes are those of whoever keeps it."""
        return {"pointers": "pointers owners n", "codes": "codes others n", "values": "float64 n"}


@dataclass(frozen=True, eq=False)
class Rows:
    """Training rows under inner numbers, which stochastic training and the order of equal neighbours depend on."""

    users: Int32  # (n,) inner
    items: Int32  # (n,) inner
    ratings: Float64  # (n,)
    user_codes: Int32  # (n_inner_users,) catalogue code of each inner number
    item_codes: Int32  # (n_inner_items,)
    n_catalogue_users: int
    n_catalogue_items: int

    @classmethod
    def of(cls, train: Interactions) -> Rows:
        """The rows of ``train`` in canonical order, or in the file's where that is meant. ValueError without rows."""
        import pandas as pd

        require(len(train) > 0, "fit needs training rows; found none")
        rows = train.canonical()
        users, user_codes = pd.factorize(rows.users)
        items, item_codes = pd.factorize(rows.items)
        return cls(
            users.astype(np.int32),
            items.astype(np.int32),
            rows.ratings.astype(np.float64),
            user_codes.astype(np.int32),
            item_codes.astype(np.int32),
            train.n_users,
            train.n_items,
        )

    @property
    def n_users(self) -> int:
        """Users with training rows."""
        return len(self.user_codes)

    @property
    def n_items(self) -> int:
        """Items with training rows."""
        return len(self.item_codes)

    @cached_property
    def by_user(self) -> Csr:
        """Items and ratings of each user."""
        return grouped(self.users, self.items, self.ratings, self.n_users)

    @cached_property
    def by_item(self) -> Csr:
        """Users and ratings of each item."""
        return grouped(self.items, self.users, self.ratings, self.n_items)

    @cached_property
    def mean(self) -> float:
        """Mean of all ratings."""
        return float(np.mean(self.by_user.values))

    @cached_property
    def inner_users(self) -> Int32:
        """Inner number of each catalogue user, (n_catalogue_users + 1,); -1 where unknown and in the last place."""
        return _inverse(self.user_codes, self.n_catalogue_users)

    @cached_property
    def inner_items(self) -> Int32:
        """Inner number of each catalogue item, (n_catalogue_items + 1,); -1 where unknown and in the last place."""
        return _inverse(self.item_codes, self.n_catalogue_items)

    def spread_users(self, values: NDArray[Any], unknown: float) -> NDArray[Any]:
        """Values of inner users by catalogue code; ``unknown`` for others and in the last place (code -1)."""
        return _spread(values, self.user_codes, self.n_catalogue_users, unknown)

    def spread_items(self, values: NDArray[Any], unknown: float) -> NDArray[Any]:
        """Values of inner items by catalogue code; ``unknown`` for others and in the last place (code -1)."""
        return _spread(values, self.item_codes, self.n_catalogue_items, unknown)


def means(entries: Csr) -> Float64:
    """Mean rating of each owner, (n_owners,)."""
    counts = np.diff(entries.pointers)
    sums: Float64 = np.add.reduceat(entries.values, entries.pointers[:-1])
    return sums / counts


def deviations(entries: Csr, centres: Float64) -> Float64:
    """Standard deviation (divided by n) of each owner's ratings, (n_owners,)."""
    counts = np.diff(entries.pointers)
    squares = np.square(entries.values - np.repeat(centres, counts))
    return np.sqrt(np.add.reduceat(squares, entries.pointers[:-1]) / counts)


def grouped(owners: Int32, others: Int32, ratings: Float64, n_owners: int) -> Csr:
    """Entries of owners 0 ... n_owners - 1, grouped by owner in row order."""
    order = np.argsort(owners, kind="stable")
    pointers = np.zeros(n_owners + 1, dtype=np.int64)
    np.cumsum(np.bincount(owners, minlength=n_owners), out=pointers[1:])
    return Csr(pointers, others[order], ratings[order])


def _inverse(codes: Int32, size: int) -> Int32:
    inner = np.full(size + 1, -1, dtype=np.int32)
    inner[codes] = np.arange(len(codes), dtype=np.int32)
    return inner


def _spread(values: NDArray[Any], codes: Int32, size: int, unknown: float) -> NDArray[Any]:
    out = np.full((size + 1, *values.shape[1:]), unknown, dtype=values.dtype)
    out[codes] = values
    return out
