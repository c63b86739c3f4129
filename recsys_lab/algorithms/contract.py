"""The contract of every algorithm as tests to inherit; needs pytest. How to use it: docs/own_algorithm.md.

class TestMine(AlgorithmContract):
    algorithm_class = Mine
"""

from __future__ import annotations

import pickle
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from recsys_lab.algorithms.base import Algorithm, RatingPredictor
from recsys_lab.algorithms.contract_base import Base, K, assert_equal_lists, recommend_all
from recsys_lab.algorithms.contract_cases import rows_of
from recsys_lab.algorithms.contract_learning import Learning
from recsys_lab.data.interactions import Float32, Interactions


class Scores(Base):
    """Shape, type, range; nothing given is changed."""

    def test_scores_have_one_finite_float32_a_user_and_item(self, algorithm: Algorithm, train: Interactions) -> None:
        assert algorithm.fit(train) is algorithm
        users = np.array([3, 0, 59], dtype=np.int32)
        scores = algorithm.score(users, train.matrix[users])
        assert scores.shape == (3, train.n_items)
        assert scores.dtype == np.float32
        assert (np.isfinite(scores) | (scores == -np.inf)).all()
        assert np.isfinite(scores).any(axis=1).all()

    def test_scores_do_not_depend_on_the_batch(self, algorithm: Algorithm, train: Interactions) -> None:
        algorithm.fit(train)
        users = np.arange(train.n_users, dtype=np.int32)
        whole = algorithm.score(users, train.matrix)
        some = np.array([17, 4], dtype=np.int32)
        np.testing.assert_allclose(algorithm.score(some, train.matrix[some]), whole[some], rtol=1e-5, atol=1e-6)

    def test_nothing_given_is_changed_and_nothing_owned_is_returned(
        self, algorithm: Algorithm, train: Interactions
    ) -> None:
        before = train.matrix.copy()
        algorithm.fit(train)
        users = np.arange(4, dtype=np.int32)
        histories = train.matrix[:4]
        first = algorithm.score(users, histories)
        kept = first.copy()
        first[:] = 0
        np.testing.assert_array_equal(algorithm.score(users, histories), kept)
        assert (train.matrix != before).nnz == 0
        assert (histories != before[:4]).nnz == 0

    def test_rating_predictions_have_a_number_or_nan_a_pair(self, algorithm: Algorithm, train: Interactions) -> None:
        algorithm.fit(train)
        if not isinstance(algorithm, RatingPredictor):
            assert not hasattr(algorithm, "predict"), "what predicts ratings inherits RatingPredictor"
            return
        predicted = algorithm.predict(train.users[:100], train.items[:100])
        assert predicted.shape == (100,)
        assert predicted.dtype == np.float32
        assert np.isfinite(predicted).all()
        none = np.zeros(0, dtype=np.int32)
        assert algorithm.predict(none, none).shape == (0,)
        unknown = algorithm.predict(np.array([-1, 0], dtype=np.int32), np.array([0, -1], dtype=np.int32))
        assert not np.isinf(unknown).any()


class Lists(Base):
    """What recommend lists and what it never lists."""

    def test_history_is_never_recommended(self, algorithm: Algorithm, train: Interactions) -> None:
        lists = recommend_all(algorithm.fit(train), train, k=train.n_items)
        for user in range(train.n_users):
            seen = train.matrix[user].indices
            listed = lists.items[user][lists.items[user] >= 0]
            assert not np.isin(listed, seen).any()
        assert (recommend_all(algorithm, train, exclude_seen=False).lengths > 0).all()

    def test_candidates_are_respected(self, algorithm: Algorithm, train: Interactions) -> None:
        candidates = np.array([1, 5, 7, 20, 21, 30, 49], dtype=np.int32)
        lists = recommend_all(algorithm.fit(train), train, candidates=candidates)
        assert np.isin(lists.items, np.append(candidates, -1)).all()
        assert (lists.items >= 0).any()

    def test_the_order_of_candidates_changes_nothing(self, algorithm: Algorithm, train: Interactions) -> None:
        candidates = np.random.default_rng(1).permutation(train.n_items).astype(np.int32)
        algorithm.fit(train)
        assert_equal_lists(recommend_all(algorithm, train, candidates=candidates), recommend_all(algorithm, train))

    def test_an_empty_history_is_no_error(self, algorithm: Algorithm, train: Interactions) -> None:
        empty = sparse.csr_matrix((1, train.n_items), dtype=np.float32)
        user = np.array([-1 if algorithm.serves_new_users else 0], dtype=np.int32)
        assert algorithm.fit(train).recommend(user, empty, K).items.shape == (1, K)

    def test_a_new_user_is_served_as_it_says(self, algorithm: Algorithm, train: Interactions) -> None:
        expected = nullcontext() if algorithm.serves_new_users else pytest.raises(ValueError, match="unknown to fit")
        algorithm.fit(train)
        with expected:
            assert (algorithm.recommend(np.array([-1], dtype=np.int32), train.matrix[7], K).items >= 0).all()


class Repeats(Base):
    """The same input gives the same lists; every hyper-parameter matters."""

    def test_a_second_fit_forgets_the_first(self, algorithm: Algorithm, train: Interactions) -> None:
        half = train.select(np.arange(0, len(train), 2))
        again = recommend_all(algorithm.fit(train).fit(half), half)
        assert_equal_lists(again, recommend_all(clone(algorithm).fit(half), half))

    def test_clone_and_pickle_give_the_same_lists(self, algorithm: Algorithm, train: Interactions) -> None:
        assert type(algorithm)(**algorithm.get_params()).get_params() == algorithm.get_params()
        lists = recommend_all(algorithm.fit(train), train)
        assert_equal_lists(recommend_all(pickle.loads(pickle.dumps(algorithm)), train), lists)
        copy = clone(algorithm)
        assert not [name for name in vars(copy) if name.endswith("_")], "clone must give an unfitted copy"
        assert_equal_lists(recommend_all(copy.fit(train), train), lists)

    def test_the_order_of_rows_changes_nothing(self, algorithm: Algorithm, train: Interactions) -> None:
        shuffled = train.select(np.random.default_rng(3).permutation(len(train)))
        expected = recommend_all(algorithm.fit(train), train)
        assert_equal_lists(recommend_all(clone(algorithm).fit(shuffled), shuffled), expected)

    def test_every_hyper_parameter_changes_something(self, algorithm: Algorithm, train: Interactions) -> None:
        for name, value in algorithm.get_params().items():
            companions = self.companions.get(name, {})
            base = _outcome(clone(algorithm).set_params(**companions), train)
            others = self.alternatives.get(name) or _other_values(type(algorithm), name, value)
            changed = [
                not np.array_equal(base, _outcome(clone(algorithm).set_params(**companions, **{name: other}), train))
                for other in others
            ]
            assert any(changed), f"{name}: {value!r} and {others} give the same numbers"


class Corners(Base):
    """Data as small and as odd as they come."""

    def test_one_user(self, algorithm: Algorithm) -> None:
        train = rows_of([(0, 0, 4.0), (0, 2, 5.0), (0, 3, 2.0)], 1, 6)
        assert recommend_all(algorithm.fit(train), train).items.shape == (1, K)

    def test_one_item(self, algorithm: Algorithm) -> None:
        train = rows_of([(0, 0, 4.0), (1, 0, 5.0)], 3, 1)
        lists = recommend_all(algorithm.fit(train), train)
        assert (lists.items[:2] == -1).all()

    def test_a_user_who_has_seen_everything_gets_an_empty_list(self, algorithm: Algorithm) -> None:
        pairs = [(0, item, 1.0 + item % 5) for item in range(8)] + [(1, 0, 5.0), (1, 3, 2.0), (2, 3, 1.0), (2, 5, 4.0)]
        train = rows_of(pairs, 3, 8)
        assert (recommend_all(algorithm.fit(train), train).items[0] == -1).all()

    def test_ratings_of_zero_count_as_seen(self, algorithm: Algorithm, train: Interactions) -> None:
        zeros = replace(train, ratings=np.where(train.ratings <= 2, 0.0, train.ratings).astype(np.float32))
        lists = recommend_all(algorithm.fit(zeros), zeros, k=train.n_items)
        for user in range(train.n_users):
            assert not np.isin(lists.items[user], zeros.matrix[user].indices).any()

    def test_constant_ratings(self, algorithm: Algorithm, train: Interactions) -> None:
        constant = replace(train, ratings=np.full(len(train), 3, dtype=np.float32))
        assert recommend_all(algorithm.fit(constant), constant).items.shape == (train.n_users, K)

    def test_users_and_items_without_rows(self, algorithm: Algorithm, train: Interactions) -> None:
        some = train.select((train.users >= 5) & (train.items >= 5))
        assert recommend_all(algorithm.fit(some), some).items.shape == (train.n_users, K)


class AlgorithmContract(Scores, Lists, Repeats, Corners, Learning):
    """Everything an algorithm of the lab promises. Inherit it and set ``algorithm_class``."""


def _outcome(algorithm: Algorithm, train: Interactions) -> Float32:
    """All that can be seen of a fitted algorithm as one array; an error is an outcome too."""
    try:
        algorithm.fit(train)
    except (ValueError, MemoryError):
        return np.zeros(0, dtype=np.float32)
    users = np.arange(train.n_users, dtype=np.int32)
    seen = [algorithm.score(users, train.matrix).ravel(), recommend_all(algorithm, train).items.ravel()]
    if isinstance(algorithm, RatingPredictor):
        seen.append(algorithm.predict(train.users, train.items))
    return np.concatenate(seen)


def _other_values(algorithm: type[Algorithm], name: str, value: Any) -> list[Any]:
    """Values unlike the default: the other choices of a Literal, the opposite, the half, the double and so on."""
    hint = get_type_hints(algorithm).get(name)
    if get_origin(hint) is Literal:
        return [choice for choice in get_args(hint) if choice != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1] if name == "random_state" else [max(1, value // 8), value * 2 + 1, 10]
    if isinstance(value, float):
        return [1.0, value / 1e6, 2.0] if np.isfinite(value) else [10.0, 1.0]
    raise AssertionError(f"say in 'alternatives' which other values {name} may have; its default is {value!r}")
