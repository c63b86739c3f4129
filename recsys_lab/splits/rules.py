"""The rules: one function a strategy. Each takes rows and a share, and says which rows are held out.

``test`` in a Cut is a mask over the rows, or row numbers where the order of the rows is meant (row_order: file).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_lab.data.interactions import Bool, Float64, Int64, Interactions
from recsys_lab.seeds import child_rng, child_seed
from recsys_lab.splits.rows import canonical_rows, group_positions, sort_in_groups, user_row_numbers, user_time_keys

Options = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Cut:
    """Rows kept and rows held out; ``ambiguous`` is the share of users whose last rows a hash had to choose."""

    kept: NDArray[Any]
    held: NDArray[Any]
    ambiguous: float | None = None


def temporal_user(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """The last ceil(share · n) rows of each user (or so many, when share is a number of rows >= 1)."""
    n_rows = data.user_activity
    # the small number keeps 0.1 · 30 = 3.0000000000000004 at 3
    wanted = np.full(len(n_rows), share) if share >= 1 else np.ceil(share * n_rows - 1e-9)
    return _last_rows(data, _leaving(wanted, n_rows, options["min_train"]), child_seed(seed, f"split/{stage}"))


def leave_last_one_out(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """The last row of each user with more than ``min_train`` rows. The share plays no part."""
    return temporal_user(data, 1.0, seed, stage, options)


def random_user(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """A random share of each user's rows: round((1 - share) · n) stay, half to even, at least ``min_train``.

    row_order "file": the rows and their order of microsoft/recommenders' benchmark (a stratified split by user): each
    user's rows, in the order of the file, under numpy's old permutation with the same ``seed``; the first ones stay.
    """
    n_rows = data.user_activity
    wanted = np.full(len(n_rows), share) if share >= 1 else n_rows - np.rint((1.0 - share) * n_rows)
    n_held = _leaving(wanted, n_rows, options["min_train"])
    if options.get("row_order") == "file":
        of_user = np.split(np.argsort(data.users, kind="stable"), np.cumsum(n_rows)[:-1])
        shuffled = [rows[np.random.RandomState(seed).permutation(len(rows))] for rows in of_user]
        kept = [rows[: len(rows) - n] for rows, n in zip(shuffled, n_held, strict=True)]
        held = [rows[len(rows) - n :] for rows, n in zip(shuffled, n_held, strict=True)]
        return Cut(np.concatenate(kept), np.concatenate(held))
    return _masks(_first_of_users(data, None, n_held, child_seed(seed, f"split/{stage}")))


def random_rows(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """A random share of all rows: the round((1 - share) · n) rows with the smallest numbers stay.

    row_order "file": the permutation of sklearn's train_test_split(test_size=share, random_state=seed).
    """
    n = len(data)
    if options["row_order"] == "file":
        permutation = np.random.RandomState(seed).permutation(n)
        n_test = int(np.ceil(share * n))
        return Cut(permutation[n_test:], permutation[:n_test])
    order = data.canonical_order[np.argsort(_numbers(n, seed, stage), kind="stable")]
    return _hold(n, order[int(np.rint((1.0 - share) * n)) :])


def stratified_item(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """A share of each item's rows: one uniform number a row, the round((1 - share) · n) smallest stay, half to even."""
    canonical = data.canonical_order
    items = data.items[canonical]
    order = sort_in_groups(items, _numbers(len(data), seed, stage))
    n_kept = np.rint((1.0 - share) * data.item_popularity)
    held = group_positions(items[order], data.n_items) >= n_kept[items[order]]
    return _hold(len(data), canonical[order[held]])


def k_fold(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """Fold ``fold`` of ``n_folds`` disjoint test parts; the first n mod n_folds are one row longer.

    row_order "file": the rows, and their order, of Surprise's KFold(n_folds, random_state=seed, shuffle=True).
    """
    if stage != "test":
        return random_rows(data, share, seed, stage, options)
    n, n_folds = len(data), options["n_folds"]
    if options["row_order"] == "file":
        order = np.arange(n)
        np.random.RandomState(seed).shuffle(order)
    else:
        order = data.canonical_order[np.argsort(_numbers(n, seed, stage), kind="stable")]
    ends = np.cumsum(np.full(n_folds, n // n_folds) + (np.arange(n_folds) < n % n_folds))
    stop = int(ends[options["fold"]])
    start = stop - (n // n_folds + (options["fold"] < n % n_folds))
    if options["row_order"] == "file":
        return Cut(np.concatenate([order[:start], order[stop:]]), order[start:stop])
    return _hold(n, order[start:stop])


def cold_items(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """All rows of a random share of the items: the round((1 - share) · n) items with the smallest numbers stay.

    A share >= 1 is the number of items that are held out.
    """
    return _masks(_of_whole(data.item_popularity, share, seed, stage)[data.items])


def cold_users(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """All rows of a random share of the users: the round((1 - share) · n) users with the smallest numbers stay.

    A share >= 1 is the number of users that are held out. ``known_rows`` parts what is known of them from what is not.
    """
    return _masks(_of_whole(data.user_activity, share, seed, stage)[data.users])


def known_rows(held: Interactions, seed: int, options: Options) -> Cut:
    """Of held-out users: ``kept`` is the share ``given`` of each one's rows, at least one row, and known when served.

    ``order`` "time": the first rows; "random": by chance; None: the first rows where there are times, else by chance.
    A user's part depends on the user's own rows and the seed only.
    """
    if options["order"] == "time" and held.timestamps is None:
        raise ValueError("order 'time' needs timestamps and the data have none; use order='random'")
    by_chance = options["order"] == "random" or held.timestamps is None
    rule = random_user if by_chance else temporal_user
    return rule(held, 1.0 - options["given"], seed, "given", {"min_train": 1})


def _of_whole(n_rows: Int64, share: float, seed: int, stage: str) -> Bool:
    """Which codes are held out with all their rows, of those that have any; one uniform number each, in code order."""
    present = np.flatnonzero(n_rows)
    order = present[np.argsort(_numbers(len(present), seed, stage), kind="stable")]
    held = np.zeros(len(n_rows), dtype=bool)
    n_kept = len(present) - int(share) if share >= 1 else int(np.rint((1.0 - share) * len(present)))
    held[order[max(n_kept, 0) :]] = True
    return held


def _numbers(n: int, seed: int, stage: str) -> Float64:
    """n uniform numbers, one a row in canonical order (or one an item or user); validation has a stream of its own."""
    rng = np.random.default_rng(seed) if stage == "test" else child_rng(seed, f"split/{stage}")
    return rng.random(n)


def _leaving(wanted: NDArray[Any], n_rows: Int64, min_train: int) -> Int64:
    """Rows to hold out of each user so that ``min_train`` are left, (n_users,)."""
    n_held: Int64 = np.clip(np.minimum(wanted, n_rows - min_train), 0, None).astype(np.int64)
    return n_held


def _masks(held: Bool) -> Cut:
    return Cut(~held, held)


def _hold(n: int, rows: NDArray[Any]) -> Cut:
    held = np.zeros(n, dtype=bool)
    held[rows] = True
    return _masks(held)


def _first_of_users(data: Interactions, among: Bool | None, n_held: Int64, seed: int) -> Bool:
    """Mask over ``data``: of each user's rows in ``among`` the ``n_held`` (n_users,) with the smallest numbers."""
    rows = canonical_rows(data, among)
    users = data.users[rows]
    order = sort_in_groups(users, user_row_numbers(data, rows, seed))
    first = group_positions(users[order], data.n_users) < n_held[users[order]]
    held = np.zeros(len(data), dtype=bool)
    held[rows[order[first]]] = True
    return held


def _last_rows(data: Interactions, n_held: Int64, seed: int) -> Cut:
    """The ``n_held`` (n_users,) last rows of each user. Sorts one integer a row and hashes only where times tie."""
    keys = user_time_keys(data)
    ends = np.cumsum(data.user_activity)
    tested = n_held > 0
    boundary = np.full(data.n_users, np.iinfo(np.int64).max)  # key of the earliest held-out row of each user
    boundary[tested] = np.sort(keys)[(ends - n_held)[tested]]
    of_user = boundary[data.users]
    held = keys > of_user
    at_boundary = keys == of_user
    n_open = n_held - np.bincount(data.users[held], minlength=data.n_users)  # held-out rows that tie at the boundary
    unsure = np.bincount(data.users[at_boundary], minlength=data.n_users) > n_open
    held |= at_boundary & ~unsure[data.users]
    among = at_boundary & unsure[data.users]
    if among.any():
        held |= _first_of_users(data, among, n_open, seed)
    return Cut(~held, held, float((unsure & tested).sum() / max(int(tested.sum()), 1)))
