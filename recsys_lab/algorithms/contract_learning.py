"""The part of the contract that says what was learnt: each value of ``Algorithm.learns`` has a test of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from recsys_lab.algorithms.base import Algorithm, RatingPredictor
from recsys_lab.algorithms.contract_base import Base, assert_equal_lists, recommend_all
from recsys_lab.algorithms.contract_cases import additive, checkerboard, circles, contract_data, rows_of
from recsys_lab.data.interactions import Float32, Interactions
from recsys_lab.data.synthetic import truth_of


class Learning(Base):
    """What the lists follow from is what the class says."""

    def test_it_learns_what_it_says(self, algorithm: Algorithm) -> None:
        assert algorithm.learns in PROMISES, f"learns is one of {', '.join(PROMISES)}; found {algorithm.learns!r}"
        PROMISES[algorithm.learns](algorithm)

    def test_other_ids_in_the_same_order_change_nothing(self, algorithm: Algorithm, train: Interactions) -> None:
        """The truth knows users and items by their ids, so whoever looks things up in it refuses others."""
        users = pd.Index([f"user {code:05d}" for code in range(train.n_users)])
        items = pd.Index([f"item {code:05d}" for code in range(train.n_items)])
        renamed = replace(train, catalogue=replace(train.catalogue, user_ids=users, item_ids=items))
        expected = recommend_all(algorithm.fit(train), train)
        looks_up = algorithm.learns == "truth"
        with pytest.raises(ValueError, match="is not of this data set") if looks_up else nullcontext():
            assert_equal_lists(recommend_all(clone(algorithm).fit(renamed), renamed), expected)


def finds_the_taste(algorithm: Algorithm) -> None:
    """The withheld item of a checkerboard stands first."""
    train, withheld = checkerboard()
    lists = recommend_all(algorithm.fit(train), train, k=1)
    assert (lists.items[:, 0] == withheld).mean() >= 0.9


def finds_what_comes_next(algorithm: Algorithm) -> None:
    """The next item of the circle stands first; told in another order, the same items lead elsewhere."""
    train, following = circles()
    lists = recommend_all(algorithm.fit(train), train, k=1)
    assert (lists.items[:, 0] == following).mean() >= 0.9
    assert train.timestamps is not None
    backwards = replace(train, timestamps=train.timestamps.max() + train.timestamps.min() - train.timestamps)
    lists = recommend_all(clone(algorithm).fit(backwards), backwards, k=1)
    assert (lists.items[:, 0] == following).mean() <= 0.5


def finds_the_levels(algorithm: Algorithm) -> None:
    """Where a rating is a user's part + an item's part, the missing ones are predicted and ordered."""
    assert isinstance(algorithm, RatingPredictor), "levels are those of ratings: it must predict them"
    train, table = additive()
    algorithm.fit(train)
    users, items = np.nonzero(train.matrix.toarray() == 0)
    wanted = table[users, items]
    predicted = algorithm.predict(users.astype(np.int32), items.astype(np.int32))
    mean = float(train.ratings.mean())
    assert np.abs(predicted - wanted).mean() <= 0.5 * np.abs(mean - wanted).mean()
    assert np.corrcoef(predicted, wanted)[0, 1] >= 0.95
    lists = recommend_all(algorithm, train, k=3)
    best = np.argsort(np.where(train.matrix.toarray() == 0, -table, np.inf), axis=1, kind="stable")[:, :3]
    assert (lists.items == best).mean() >= 0.9


def is_the_same_for_everyone(algorithm: Algorithm) -> None:
    """Users of any history, or of none, have equal scores, and equal lists up to what they have seen."""
    train = contract_data()
    algorithm.fit(train)
    users = np.arange(train.n_users, dtype=np.int32)
    nothing = sparse.csr_matrix(train.matrix.shape, dtype=np.float32)
    for histories in (train.matrix, nothing):
        scores = algorithm.score(users, histories)
        np.testing.assert_array_equal(scores, np.broadcast_to(scores[0], scores.shape))
    lists = algorithm.recommend(users, nothing, train.n_items).items
    finite: Float32 = algorithm.score(users[:1], nothing)[0]
    for user in users:
        assert (np.diff(finite[lists[user]]) <= 0).all()
    # ten users, each with item 4 and one of their own
    rows = [(user, item, 3.0) for user in range(10) for item in (10 + user, 4)]
    small = rows_of(rows, 10, 20)
    top = recommend_all(clone(algorithm).fit(small), small, k=1, exclude_seen=False).items
    assert (top == 4).all()


def follows_chance_alone(algorithm: Algorithm) -> None:
    """The same lists from the rows of one another's users; users differ, and so do seeds."""
    train = contract_data()
    rng = np.random.default_rng(5)
    mixed = replace(train, users=rng.permutation(train.users), items=rng.permutation(train.items))
    users = np.arange(train.n_users, dtype=np.int32)
    empty = sparse.csr_matrix(train.matrix.shape, dtype=np.float32)
    lists = [clone(algorithm).fit(rows).recommend(users, empty, 10).items for rows in (train, mixed)]
    np.testing.assert_array_equal(lists[0], lists[1])
    assert len(np.unique(lists[0], axis=0)) > train.n_users // 2
    other = clone(algorithm).set_params(random_state=algorithm.get_params()["random_state"] + 1).fit(train)
    assert (other.recommend(users, empty, 10).items != lists[0]).mean() > 0.5


def knows_the_truth(algorithm: Algorithm) -> None:
    """Its best item is the one that the generator is most likely to draw, whatever was drawn in training."""
    train = contract_data()
    users = np.arange(train.n_users, dtype=np.int32)
    lists = recommend_all(algorithm.fit(train), train, k=1, exclude_seen=False).items[:, 0]
    truth = truth_of(train.catalogue.info)
    assert train.timestamps is not None
    last = np.zeros(train.n_users)
    np.maximum.at(last, train.users, truth.moment(train.timestamps))
    assert (lists == truth.log_weights(users, last).argmax(axis=1)).all()
    other = replace(train, items=np.random.default_rng(5).permutation(train.items))
    found = recommend_all(clone(algorithm).fit(other), train, k=1, exclude_seen=False).items[:, 0]
    np.testing.assert_array_equal(found, lists)


PROMISES: dict[str, Callable[[Algorithm], None]] = {
    "tastes": finds_the_taste,
    "order": finds_what_comes_next,
    "levels": finds_the_levels,
    "popularity": is_the_same_for_everyone,
    "nothing": follows_chance_alone,
    "truth": knows_the_truth,
}
