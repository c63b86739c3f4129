"""Numbers for rows: hashes under external ids, and seeded numbers that do not depend on the order of the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys_lab.data.interactions import Bool, Catalogue, Int32, Int64, Interactions

UInt64 = NDArray[np.uint64]


def mix(values: NDArray[Any]) -> UInt64:
    """A well-mixed 64-bit number for each integer, (n,) uint64 (splitmix64: Steele, Lea and Flood, OOPSLA 2014)."""
    x = np.atleast_1d(values).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class RowHasher:
    """Hashes the rows of parts that share a catalogue; ids count as text, so 7 and "7" are one id."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._users = mix(_id_hashes(catalogue.user_ids))
        self._items = _id_hashes(catalogue.item_ids)

    def rows(self, part: Interactions) -> UInt64:
        """One number a row from its external ids, its rating (float64) and its time, (n,) uint64."""
        hashed = mix(self._users[part.users] ^ self._items[part.items])
        ratings = part.ratings.astype(np.float64) + 0.0  # + 0.0: -0.0 and 0.0 are one rating
        hashed = mix(hashed ^ ratings.view(np.uint64))
        times = np.uint64(2**64 - 1) if part.timestamps is None else part.timestamps.view(np.uint64)
        return mix(hashed ^ times)

    def parts(self, parts: Mapping[str, Interactions | None]) -> str:
        """Sha256 of which rows are in which part. The order of rows counts only in parts with ``file_order``."""
        digest = hashlib.sha256()
        for name, part in parts.items():
            if part is None:
                continue
            hashes = self.rows(part)
            order = "in order" if part.file_order else "as a set"
            digest.update(f"{name}, {len(part)} rows, {order}\n".encode())
            digest.update((hashes if part.file_order else np.sort(hashes)).astype("<u8").tobytes())
        return digest.hexdigest()


def _id_hashes(ids: pd.Index[Any]) -> UInt64:
    names = np.empty(len(ids), dtype=object)
    names[:] = [str(value) for value in ids]
    hashes: UInt64 = pd.util.hash_array(names, categorize=False)
    return hashes


def group_positions(sorted_codes: Int32, n_groups: int) -> Int64:
    """Position of each row within its group, (n,) int64, for codes that are sorted."""
    counts = np.bincount(sorted_codes, minlength=n_groups)
    starts = np.cumsum(counts) - counts
    positions: Int64 = np.arange(len(sorted_codes), dtype=np.int64) - starts[sorted_codes]
    return positions


def user_time_keys(data: Interactions) -> Int64:
    """One int64 a row that sorts by user, then time, (n,). Without times it is the user."""
    users = data.users.astype(np.int64)
    if data.timestamps is None or not len(data):
        return users
    first, last = int(data.timestamps.min()), int(data.timestamps.max())
    if data.n_users * (last - first + 1) < 2**62:
        keys: Int64 = users * (last - first + 1) + (data.timestamps - first)
        return keys
    values, ranks = np.unique(data.timestamps, return_inverse=True)
    keys = users * len(values) + ranks
    return keys


def sort_in_groups(groups: Int32, numbers: NDArray[Any]) -> Int64:
    """Row numbers sorted by group, then number, (n,) int64; equal rows keep their order.

    The same as ``np.lexsort((numbers, groups))``, but the second sort is of distinct integers: several times faster.
    """
    order = np.argsort(numbers, kind="stable")
    keys = groups[order].astype(np.int64) * max(len(order), 1) + np.arange(len(order))
    sorted_rows: Int64 = order[np.argsort(keys)]
    return sorted_rows


def canonical_rows(data: Interactions, mask: Bool | None) -> Int64:
    """The rows in ``mask`` (all, if None) in canonical order, (n,) int64."""
    if mask is None:
        return data.canonical_order
    rows = np.flatnonzero(mask)
    return rows[data.select(rows).canonical_order]


def user_row_numbers(data: Interactions, rows: Int64, seed: int) -> UInt64:
    """A seeded number for each of ``rows`` (in canonical order), (n,) uint64, from the user's own rows only.

    It is drawn from the seed, the position of the row among the user's ``rows``, and what stays the same when users
    are renamed: how many rows the user has, the first and the last time. Where all rows of a user have one time, or
    there are no times, that is too little to tell users apart, and the user's code is mixed in.
    """
    users = data.users[rows]
    return mix(_user_salts(data, seed)[users] ^ mix(group_positions(users, data.n_users)))


def _user_salts(data: Interactions, seed: int) -> UInt64:
    counts = data.user_activity
    first, last = np.zeros((2, data.n_users), dtype=np.int64)
    if data.timestamps is not None and len(data):
        first[:], last[:] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        np.minimum.at(first, data.users, data.timestamps)
        np.maximum.at(last, data.users, data.timestamps)
    alike = first >= last
    codes = np.where(alike, np.arange(data.n_users, dtype=np.int64) + 1, 0)
    salts = mix(np.full(data.n_users, seed, dtype=np.int64))
    for column in (counts, first, last, codes):
        salts = mix(salts ^ column.view(np.uint64))
    return salts
