"""Baselines against small cases worked by hand and, for biases, against Surprise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import surprise

from recsys_lab.algorithms.baselines import Bias, Popularity, Random, RecentPopularity
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.data.interactions import Interactions

DAY = 86_400


@pytest.fixture
def timed() -> Interactions:
    """Item 0 has two users long ago, item 1 one user today, item 2 one rating of zero 30 days ago."""
    frame = pd.DataFrame(
        {
            "user_id": [0, 1, 0, 1],
            "item_id": [0, 0, 1, 2],
            "rating": [5.0, 3.0, 4.0, 0.0],
            "timestamp": [10 * DAY, 10 * DAY, 130 * DAY, 100 * DAY],
        }
    )
    return Interactions.from_frame(frame)


def test_popularity_counts_users_whatever_they_rated(timed: Interactions) -> None:
    scores = Popularity().fit(timed).score(np.zeros(1, np.int32), timed.matrix[0])
    assert scores.tolist() == [[2.0, 1.0, 1.0]]


def test_popularity_counts_a_user_once() -> None:
    frame = pd.DataFrame({"user_id": [0, 0, 0, 1], "item_id": [0, 0, 1, 1]})
    data = Interactions.from_frame(frame, rating=None, timestamp=None)
    assert Popularity().fit(data).item_scores_.tolist() == [1.0, 2.0]


def test_recent_popularity_halves_with_age(timed: Interactions) -> None:
    scores = RecentPopularity(half_life_days=30).fit(timed).item_scores_
    np.testing.assert_allclose(scores, [2 * 0.5**4, 1.0, 0.5])


def test_recent_popularity_forgets_what_is_outside_the_window(timed: Interactions) -> None:
    scores = RecentPopularity(half_life_days=float("inf"), window_days=30).fit(timed).item_scores_
    assert scores.tolist() == [0.0, 1.0, 1.0]


def test_recent_popularity_needs_times_and_sound_values(timed: Interactions) -> None:
    frame = pd.DataFrame({"user_id": [0], "item_id": [0]})
    with pytest.raises(ValueError, match=r"needs timestamps .* use Popularity"):
        RecentPopularity().fit(Interactions.from_frame(frame, rating=None, timestamp=None))
    with pytest.raises(ValueError, match="half_life_days must be above 0; found 0"):
        RecentPopularity(half_life_days=0).fit(timed)


def test_random_is_uniform_and_its_users_differ() -> None:
    data = contract_data()
    scores = Random().fit(data).score(np.arange(60, dtype=np.int32), data.matrix)
    assert 0 <= scores.min() < 0.01
    assert 0.99 < scores.max() < 1
    assert abs(scores.mean() - 0.5) < 0.02
    assert np.abs(np.corrcoef(scores)[np.triu_indices(60, 1)]).mean() < 0.2
    other = Random(random_state=1).fit(data).score(np.arange(60, dtype=np.int32), data.matrix)
    assert abs(np.corrcoef(scores.ravel(), other.ravel())[0, 1]) < 0.06


def test_bias_by_hand() -> None:
    frame = pd.DataFrame({"user_id": [0, 0, 1], "item_id": [0, 1, 0], "rating": [5.0, 1.0, 3.0]})
    data = Interactions.from_frame(frame, timestamp=None)
    model = Bias(user_regularization=1, item_regularization=2, n_epochs=1).fit(data)
    # mean 3; items: (2 + 0) / (2 + 2) = .5, -2 / (2 + 1); users: (2 - .5 + -2 + 2/3) / (1 + 2), (0 - .5) / (1 + 1)
    np.testing.assert_allclose(model.item_biases_, [0.5, -2 / 3])
    np.testing.assert_allclose(model.user_biases_, [(1.5 - 4 / 3) / 3, -0.25])
    assert model.predict(np.array([1], np.int32), np.array([1], np.int32))[0] == pytest.approx(3 - 0.25 - 2 / 3)


def test_bias_is_the_baseline_of_surprise() -> None:
    data = contract_data()
    model = Bias().fit(data)
    ratings = pd.DataFrame({"user": data.users, "item": data.items, "rating": data.ratings})
    full = surprise.Dataset.load_from_df(ratings, surprise.Reader(rating_scale=(1, 5))).build_full_trainset()
    user_biases, item_biases = surprise.BaselineOnly(verbose=False).fit(full).compute_baselines()
    for code in range(data.n_users):
        assert model.user_biases_[code] == pytest.approx(user_biases[full.to_inner_uid(code)], abs=1e-9)
    for code in np.unique(data.items):
        assert model.item_biases_[code] == pytest.approx(item_biases[full.to_inner_iid(code)], abs=1e-9)


def test_bias_of_unknown_users_and_items_is_0() -> None:
    data = contract_data()
    model = Bias().fit(data)
    found = model.predict(np.array([-1, -1, 2], np.int32), np.array([-1, 3, -1], np.int32))
    expected = [model.mean_, model.mean_ + model.item_biases_[3], model.mean_ + model.user_biases_[2]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_bias_can_be_the_mean_of_the_user() -> None:
    data = contract_data()
    model = Bias(user_regularization=0, item_regularization=float("inf"), n_epochs=1).fit(data)
    means = pd.Series(data.ratings.astype(float)).groupby(data.users).mean()
    users = np.arange(60, dtype=np.int32)
    np.testing.assert_allclose(model.predict(users, np.zeros(60, np.int32)), means, rtol=1e-6)


def test_bias_refuses_values_without_meaning() -> None:
    with pytest.raises(ValueError, match="user_regularization must be 0 or more; found -1"):
        Bias(user_regularization=-1).fit(contract_data())
    with pytest.raises(ValueError, match="n_epochs must be at least 1; found 0"):
        Bias(n_epochs=0).fit(contract_data())
