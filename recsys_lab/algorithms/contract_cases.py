"""Small data sets that every algorithm must be able to handle: the input of its contract tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.catalogue import CATALOGUE, algorithm_class
from recsys_lab.data.interactions import Catalogue, Float64, Int32, Interactions
from recsys_lab.data.synthetic import generate


@lru_cache(maxsize=1)
def contract_data() -> Interactions:
    """60 users, 50 items, 1200 rows with ratings, times, genres and a known truth."""
    return generate(60, 50, 1200, seed=7)


def installed() -> list[str]:
    """The names of the catalogue whose extras are here; an ImportError where one without an extra is not."""
    names = []
    for name, entry in CATALOGUE.items():
        try:
            algorithm_class(name)
            names.append(name)
        except ImportError:
            if not entry.extra:
                raise
    return names


def cut(catalogue: Catalogue, n_users: int, n_items: int) -> Catalogue:
    """The first users and items of a catalogue."""
    features = catalogue.item_features
    return replace(
        catalogue,
        user_ids=catalogue.user_ids[:n_users],
        item_ids=catalogue.item_ids[:n_items],
        items=catalogue.items.iloc[:n_items],
        item_features=None if features is None else features[:n_items],
    )


def rows_of(pairs: Sequence[tuple[int, int, float]], n_users: int, n_items: int) -> Interactions:
    """Interactions (user, item, rating) at one second intervals, in the catalogue of ``contract_data`` cut to size."""
    users, items, ratings = (np.array(column) for column in zip(*pairs))
    catalogue = cut(contract_data().catalogue, n_users, n_items)
    return Interactions(users, items, ratings.astype(np.float32), np.arange(len(users)) + 10**9, catalogue)


def checkerboard() -> tuple[Interactions, Int32]:
    """20 users and 20 items; evens love evens, odds love odds and rate some of the others low; one loved item withheld.

    Returns the training rows and the withheld item of each user. Features and genres say which items are even.
    """
    pairs, withheld = [], []
    for user in range(20):
        own = [item for item in range(20) if item % 2 == user % 2]
        hidden = own[(user // 2) % 10]
        others = [item for item in range(20) if item % 2 != user % 2]
        pairs += [(user, item, 5.0) for item in own if item != hidden]
        pairs += [(user, others[(user // 2 + step) % 10], 1.0) for step in range(3)]
        withheld.append(hidden)
    data = rows_of(pairs, 20, 20)
    even = (np.arange(20) % 2).astype(int)
    features = sparse.csr_matrix(np.eye(2, dtype=np.float32)[even])
    items = data.catalogue.items.assign(genres=np.array(["even", "odd"])[even])
    catalogue = replace(data.catalogue, items=items, item_features=features, feature_names=["even", "odd"])
    return replace(data, catalogue=catalogue), np.array(withheld, dtype=np.int32)


def circles() -> tuple[Interactions, Int32]:
    """A checkerboard in time: 20 users, evens walk round the circle of even items and odds round that of odd ones.

    Each visits three items of the other circle, then six of the own one in its order. Returns the rows and the next
    item of each user, which four items of the own circle might be but for the order.
    """
    pairs, following = [], []
    for user in range(20):
        own, others = (np.arange(parity, 20, 2) for parity in (user % 2, 1 - user % 2))
        start = user // 2
        pairs += [(user, int(others[(start + step) % 10]), 1.0) for step in range(3)]
        pairs += [(user, int(own[(start + step) % 10]), 5.0) for step in range(6)]
        following.append(own[(start + 6) % 10])
    return rows_of(pairs, 20, 20), np.array(following, dtype=np.int32)


def additive() -> tuple[Interactions, Float64]:
    """20 users and 20 items whose ratings are a part of the user + a part of the item; six of each user are missing.

    Returns the training rows and the whole table (20, 20), between 1 and 5. Each item has 14 rows.
    """
    of_user = 1.0 + 2.0 * ((np.arange(20) * 7) % 20) / 19
    of_item = 2.0 * ((np.arange(20) * 3 + 5) % 20) / 19
    table = of_user[:, None] + of_item
    pairs = [
        (user, item, float(table[user, item]))
        for user in range(20)
        for item in range(20)
        if (user * 3 + item) % 20 >= 6
    ]
    return rows_of(pairs, 20, 20), table
