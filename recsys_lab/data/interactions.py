"""The one data object of the project: who interacted with what, how much and when."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.data.order import order_rows

if TYPE_CHECKING:
    import pandas as pd

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The users and items that codes stand for, and what is known about the items.

    ``user_ids`` (n_users,) and ``item_ids`` (n_items,) are external ids, unique;
    code ``c`` means ``item_ids[c]``. ``items`` has one row an item in code order
    (title, genres, ...; it may have no columns). ``item_features`` is a CSR float32
    matrix (n_items, n_features) with the names of its columns in ``feature_names``.
    ``info`` says where the data come from (name, version, url, licence, raw_sha256, filters, ...).
    ``users`` has one row a user in code order (gender, age, occupation), None if nothing is known: for reports alone.
    """

    user_ids: pd.Index[Any]
    item_ids: pd.Index[Any]
    items: pd.DataFrame
    item_features: sparse.csr_matrix | None = None
    feature_names: Sequence[str] = ()
    info: dict[str, Any] = field(default_factory=dict)
    users: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        for name, ids in (("user_ids", self.user_ids), ("item_ids", self.item_ids)):
            if not ids.is_unique:
                raise ValueError(f"{name} must be unique; found twice: {ids[ids.duplicated()].tolist()[0]!r}")
        if len(self.items) != len(self.item_ids):
            raise ValueError(f"items must have one row an item: {len(self.items)} rows for {len(self.item_ids)} items")
        if self.users is not None and len(self.users) != len(self.user_ids):
            raise ValueError(f"users must have one row a user: {len(self.users)} rows for {len(self.user_ids)} users")
        if self.item_features is not None and self.item_features.shape != (len(self.item_ids), len(self.feature_names)):
            raise ValueError(
                f"item_features has shape {self.item_features.shape}, "
                f"but there are {len(self.item_ids)} items and {len(self.feature_names)} feature names"
            )

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    def user_id(self, code: int) -> Any:
        """The external id of a user code as a plain Python value, for messages."""
        return self.user_ids[[code]].tolist()[0]

    def item_id(self, code: int) -> Any:
        """The external id of an item code as a plain Python value, for messages."""
        return self.item_ids[[code]].tolist()[0]

    def titles(self, items: Int32) -> list[str]:
        """Titles of item codes; the external id where there is no title."""
        from recsys_lab.data.frames import titles_of

        return titles_of(self, items)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Rows (user, item, rating, time). Codes point into ``catalogue``; all arrays have length n.

    ``ratings`` are 1 for implicit feedback; ``timestamps`` are Unix seconds or None.
    The arrays are made read-only: nobody writes into an array it was given.
    """

    users: Int32  # (n,) codes into catalogue.user_ids
    items: Int32  # (n,) codes into catalogue.item_ids
    ratings: Float32  # (n,)
    timestamps: Int64 | None  # (n,) Unix seconds
    catalogue: Catalogue
    file_order: bool = False  # fits see the rows in this very order instead of the canonical one (row_order: file)

    def __post_init__(self) -> None:
        n = len(self.users)
        typed = {"users": np.int32, "items": np.int32, "ratings": np.float32, "timestamps": np.int64}
        for name, dtype in typed.items():
            values = getattr(self, name)
            if values is None and name == "timestamps":
                continue
            values = np.asarray(values)
            if values.shape != (n,):
                raise ValueError(f"{name} has shape {values.shape}; expected ({n},), the number of rows")
            if values.dtype != dtype:
                if name != "ratings" and values.size and values.dtype.kind not in "iu":
                    raise TypeError(f"{name} must be integers, found {values.dtype}")
                values = values.astype(dtype)
            values = values.view()
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        for name, codes, size in (("users", self.users, self.n_users), ("items", self.items, self.n_items)):
            if n and (codes.min() < 0 or codes.max() >= size):
                raise ValueError(f"{name} must be codes 0 ... {size - 1}; found {codes.min()} ... {codes.max()}")
        if n and not np.isfinite(self.ratings).all():
            raise ValueError(f"ratings must be finite; row {int(np.argmin(np.isfinite(self.ratings)))} is not")

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        name = self.catalogue.info.get("name", "unnamed")
        timed = "timed" if self.timestamps is not None else "untimed"
        return f"Interactions({name}: {len(self):,} rows, {self.n_users:,} users, {self.n_items:,} items, {timed})"

    @property
    def n_users(self) -> int:
        """Users of the catalogue, with or without rows here."""
        return self.catalogue.n_users

    @property
    def n_items(self) -> int:
        """Items of the catalogue, with or without rows here."""
        return self.catalogue.n_items

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """Ratings as CSR float32 (n_users, n_items), indices sorted. What is stored counts, a rating of 0 too.

        A pair that occurs in several rows is stored once, with the sum of its ratings.
        """
        shape = (self.n_users, self.n_items)
        order = np.argsort(self.users.astype(np.int64) * max(self.n_items, 1) + self.items, kind="stable")
        indptr = np.zeros(self.n_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.users, minlength=self.n_users), out=indptr[1:])
        matrix = sparse.csr_matrix((self.ratings[order], self.items[order], indptr), shape=shape)
        matrix.sum_duplicates()  # keeps stored zeros
        return matrix

    @cached_property
    def item_popularity(self) -> Int64:
        """Rows of each item, (n_items,) int64."""
        return np.bincount(self.items, minlength=self.n_items).astype(np.int64)

    @cached_property
    def user_activity(self) -> Int64:
        """Rows of each user, (n_users,) int64."""
        return np.bincount(self.users, minlength=self.n_users).astype(np.int64)

    @cached_property
    def canonical_order(self) -> Int64:
        """Row numbers in canonical order: by user, item, time, rating. It does not depend on the order in the file."""
        times = self.timestamps if self.timestamps is not None else np.zeros(len(self), dtype=np.int64)
        return order_rows(self.users.astype(np.int64) * self.n_items + self.items, times, self.ratings)

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 of the rows under their external ids (str), ratings (float64) and times; row order does not matter."""
        digest = hashlib.sha256()
        columns: list[NDArray[Any]] = []
        for ids, codes in ((self.catalogue.user_ids, self.users), (self.catalogue.item_ids, self.items)):
            present = np.unique(codes)
            names = np.asarray([str(value) for value in ids[present]], dtype=object)
            order = np.argsort(names, kind="stable")
            digest.update("\x1f".join(names[order]).encode() + b"\x1e")
            rank = np.zeros(len(ids), dtype=np.int64)
            rank[present[order]] = np.arange(len(present))
            columns.append(rank[codes])
        columns.append(self.ratings.astype(np.float64) + 0.0)  # + 0.0: -0.0 and 0.0 are one rating
        columns.append(self.timestamps if self.timestamps is not None else np.full(len(self), -1, dtype=np.int64))
        order = order_rows(columns[0] * len(self.catalogue.item_ids) + columns[1], columns[2], columns[3])
        for column in columns:
            digest.update(np.ascontiguousarray(column[order]).astype(column.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        user: str = "user_id",
        item: str = "item_id",
        rating: str | None = "rating",
        timestamp: str | None = "timestamp",
        items: pd.DataFrame | None = None,
        info: dict[str, Any] | None = None,
    ) -> Interactions:
        """Interactions from a clean frame; codes follow the sorted ids, rows keep the frame's order.

        ``rating`` or ``timestamp`` may be None (implicit feedback; no times). ``items`` is indexed by item id;
        items in it without interactions join the catalogue. Use ``read_interactions`` for data that need checking.
        """
        from recsys_lab.data.frames import interactions_of

        return interactions_of(frame, user, item, rating, timestamp, items, info)

    def to_frame(self) -> pd.DataFrame:
        """Columns user_id, item_id, rating and, when there are times, timestamp; rows in their present order."""
        from recsys_lab.data.frames import frame_of

        return frame_of(self)

    def select(self, rows: NDArray[Any]) -> Interactions:
        """The given rows (numbers or a boolean mask), same catalogue, so codes keep their meaning."""
        times = None if self.timestamps is None else self.timestamps[rows]
        return replace(
            self, users=self.users[rows], items=self.items[rows], ratings=self.ratings[rows], timestamps=times
        )

    def canonical(self) -> Interactions:
        """The same rows in canonical order, or as they are when ``file_order`` says that their order is meant."""
        return self if self.file_order else self.select(self.canonical_order)
