"""Canary rows: planted, for a while, in everything that holds rows of the test part, so that its use shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys_lab.checks.reachable import reachable_rows
from recsys_lab.data.interactions import Int64, Interactions

if TYPE_CHECKING:
    from recsys_lab.algorithms.base import Algorithm
    from recsys_lab.splits import Split

N_ITEMS, MOST_USERS = 5, 200  # up to 1000 canary rows: a few items that nearly everyone suddenly has


@contextmanager
def planted(algorithm: Algorithm, split: Split, others: Sequence[Interactions] = ()) -> Iterator[int]:
    """New pairs stand in the test part, and in whatever else holds rows of it, until the block ends; yields how many.

    Those are ``others`` (the whole data set, say) and all Interactions that ``algorithm`` can reach: through its
    class, its module, closures, caches and ``catalogue.info``. What stands in ``catalogue.info`` with one number a
    user or an item is disturbed too. The training rows stay as they are. Not for use in several threads.
    """
    info = split.train.catalogue.info
    pairs = np.unique(_pairs(split.test))
    holders = {id(one): one for one in (split.test, *others, *reachable_rows(algorithm, type(algorithm), info))}
    kept = {id(split.train), id(split.history), id(split.validation)}
    with ExitStack() as stack:
        n_rows = 0
        for one in holders.values():
            if id(one) not in kept and _holds(one, split, pairs):
                n_rows += stack.enter_context(_with_rows(one, split))
        stack.enter_context(_with_noise(info, {split.train.n_users, split.train.n_items}))
        yield n_rows


def _holds(one: Interactions, split: Split, pairs: Int64) -> bool:
    """Whether rows of the test part are among these."""
    return one.n_items == split.test.n_items and bool(np.isin(_pairs(one), pairs).any())


@contextmanager
def _with_rows(part: Interactions, split: Split) -> Iterator[int]:
    users, items = _canaries(part, split)
    state = dict(part.__dict__)  # columns, and what was computed from them
    changed = {
        "users": np.concatenate([part.users, users]),
        "items": np.concatenate([part.items, items]),
        "ratings": np.concatenate([part.ratings, np.full(len(users), part.ratings.max(initial=1), np.float32)]),
        "timestamps": None,
        "catalogue": part.catalogue,
        "file_order": part.file_order,
    }
    if part.timestamps is not None:
        late = np.full(len(users), part.timestamps.max(initial=0) + 1, dtype=np.int64)
        changed["timestamps"] = np.concatenate([part.timestamps, late])
    part.__dict__.clear()
    part.__dict__.update(changed)
    try:
        yield len(users)
    finally:
        part.__dict__.clear()
        part.__dict__.update(state)


def _canaries(part: Interactions, split: Split) -> tuple[Any, Any]:
    """New pairs of test users and items that are known to train, the least popular ones."""
    tested = np.flatnonzero(split.test.user_activity[: part.n_users] > 0)
    chosen = tested[np.linspace(0, len(tested) - 1, min(MOST_USERS, len(tested))).astype(np.int64)]
    popularity = split.train.item_popularity
    known = np.flatnonzero(popularity > 0) if (popularity > 0).any() else np.arange(len(popularity))
    rare = known[np.argsort(popularity[known], kind="stable")[:N_ITEMS]]
    pairs = np.repeat(chosen, len(rare)) * part.n_items + np.tile(rare, len(chosen))
    new = pairs[~np.isin(pairs, np.concatenate([_pairs(part), _pairs(split.train)]))]
    users, items = np.divmod(new, part.n_items)
    return users.astype(np.int32), items.astype(np.int32)


@contextmanager
def _with_noise(info: dict[str, Any], sizes: set[int]) -> Iterator[None]:
    """Columns of numbers in ``catalogue.info``, one a user or an item, are turned round and raised."""
    state = dict(info)
    for name, value in state.items():
        numbers = isinstance(value, np.ndarray | pd.Series | list | tuple) and len(value) in sizes
        if numbers and np.issubdtype(np.asarray(value).dtype, np.number):
            values = np.asarray(value)[::-1] + 1
            info[name] = pd.Series(values, index=value.index) if isinstance(value, pd.Series) else values
    try:
        yield
    finally:
        info.clear()
        info.update(state)


def _pairs(part: Interactions) -> Int64:
    pairs: Int64 = part.users.astype(np.int64) * max(part.n_items, 1) + part.items
    return pairs
