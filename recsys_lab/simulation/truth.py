"""The true value of a recommender: what its lists are worth to the people who get them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.data.interactions import Float64, Int32, Interactions
from recsys_lab.data.synthetic import Truth
from recsys_lab.metrics.ranking import ndcg_graded

LIKED, NEXT = "liked", "next"


def true_values(algorithm: Algorithm, data: Interactions, truth: Truth, *, k: int, liked_from: float) -> pd.DataFrame:
    """What a fitted algorithm's lists are worth to each user, (n_users) rows, two columns in [0, 1].

    The moment is the last of ``data``: everyone is served then, with all their rows as history, and may get any item
    of the catalogue that they have not had, also one that nobody ever saw. The value is a graded nDCG@k whose gains are
    expectations under the truth, so it has no noise of test rows and no choice of what was observed:

    - "liked": the gain of an item is P(the user rates it ``liked_from`` or higher | they take it). It is what a
      recommender is for: everyone takes what they are given, however unknown it was, and likes it or not.
    - "next": the gain is P(the item is the user's next choice if nothing is recommended). It is what test rows are
      drawn from, popularity and all: the thing that offline protocols measure.

    The ideal list has the k highest gains among the items not had. A list that is too short has gain 0 in the rest.
    """
    users = np.arange(data.n_users, dtype=np.int32)
    lists = algorithm.recommend(users, data.matrix, k)
    gains = true_gains(data, truth, liked_from)
    return pd.DataFrame({name: _graded(lists.items, values, k) for name, values in gains.items()})


def true_gains(data: Interactions, truth: Truth, liked_from: float) -> dict[str, Float64]:
    """Gains (n_users, n_items) of both truths at the last moment of ``data``; 0 for what the user has had."""
    assert data.timestamps is not None
    users = np.arange(data.n_users, dtype=np.int32)
    now = np.full(len(users), truth.moment(data.timestamps).max())
    had = (data.users, data.items)
    liked = truth.rating_at_least(users, liked_from, now).astype(np.float64)
    weights = truth.log_weights(users, now).astype(np.float64)
    weights[had] = -np.inf
    chosen = np.exp(weights - weights.max(axis=1, keepdims=True))
    chosen /= chosen.sum(axis=1, keepdims=True)
    liked[had] = 0.0
    return {LIKED: liked, NEXT: chosen}


def _graded(items: Int32, gains: Float64, k: int) -> Float64:
    found = np.where(items >= 0, np.take_along_axis(gains, np.maximum(items, 0), axis=1), 0.0)
    ideal = -np.sort(-gains, axis=1)[:, :k]
    return ndcg_graded(found, ideal)
