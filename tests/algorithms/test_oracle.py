"""The Oracle: on top of everything on generated data, an error elsewhere."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.algorithms.oracle import Oracle
from recsys_lab.data.filters import k_core, minimum_rating
from recsys_lab.data.interactions import Float64, Int32, Interactions
from recsys_lab.data.synthetic import load, truth_of


@pytest.fixture(scope="module")
def data() -> Interactions:
    return load("synthetic-100k")


def _parts(data: Interactions, kind: str) -> tuple[Interactions, Interactions]:
    """Eighty and twenty percent: at random, or the last rows of each user."""
    order = np.random.default_rng(0).permutation(len(data))
    if kind == "random":
        return data.select(np.sort(order[20_000:])), data.select(np.sort(order[:20_000]))
    place = np.arange(len(data)) - (np.cumsum(data.user_activity) - data.user_activity)[data.users]
    last = place >= 0.8 * data.user_activity[data.users]
    return data.select(~last), data.select(last)


def _ndcg(lists: Int32, test: Interactions) -> Float64:
    """nDCG@10 of users with a test row, written out."""
    hits = np.asarray(sparse.csr_matrix(test.matrix > 0)[np.arange(len(lists))[:, None], lists].todense())
    gains = 1 / np.log2(np.arange(10) + 2)
    present = test.user_activity > 0
    ideal = np.cumsum(gains)[np.minimum(test.user_activity[present], 10) - 1]
    return (hits[present] * gains).sum(axis=1) / ideal


def _ranking(scores: np.ndarray, train: Interactions, test: Interactions) -> Float64:  # type: ignore[type-arg]
    masked = np.where(train.matrix.toarray() > 0, -np.inf, scores)
    return _ndcg(np.argsort(-masked, axis=1)[:, :10].astype(np.int32), test)


def _ease(train: Interactions) -> np.ndarray:  # type: ignore[type-arg]
    seen = (train.matrix > 0).astype(np.float64)
    inverse = np.linalg.inv((seen.T @ seen).toarray() + 300 * np.eye(train.n_items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return seen @ weights


@pytest.mark.parametrize("kind", ["random", "last"])
def test_oracle_beats_ease_beats_popularity_beats_random(data: Interactions, kind: str) -> None:
    train, test = _parts(data, kind)
    users = np.arange(data.n_users, dtype=np.int32)
    listed = Oracle().fit(train).recommend(users, train.matrix, 10).items
    popularity = np.tile(train.item_popularity.astype(float), (data.n_users, 1))
    chance = np.random.default_rng(1).random(popularity.shape)
    values = [_ndcg(listed, test), *(_ranking(scores, train, test) for scores in (_ease(train), popularity, chance))]
    for better, worse in pairwise(values):
        difference = better - worse
        assert difference.mean() > 5 * difference.std() / np.sqrt(len(difference))
    assert 0.4 < values[1].mean() / values[0].mean() < 0.95  # EASE: much of what can be reached, and not all


def test_relevance_threshold_is_worth_knowing(data: Interactions) -> None:
    """When only ratings of 4 and 5 count, ranking by P(chosen and rated 4 or 5) is better than by P(chosen)."""
    train, test = _parts(data, "random")
    liked = test.select(test.ratings >= 4)
    users = np.arange(data.n_users, dtype=np.int32)
    plain, aware = (
        _ndcg(Oracle(relevance_threshold=threshold).fit(train).recommend(users, train.matrix, 10).items, part)
        for threshold, part in ((None, liked), (4, liked))
    )
    assert (aware - plain).mean() > 2 * (aware - plain).std() / np.sqrt(len(aware))


def test_last_moment_suits_the_future(data: Interactions) -> None:
    train, test = _parts(data, "last")
    users = np.arange(data.n_users, dtype=np.int32)
    last, mean = (
        _ndcg(Oracle(moment=moment).fit(train).recommend(users, train.matrix, 10).items, test).mean()
        for moment in ("last", "mean")
    )
    assert last > mean


def test_predictions_beat_item_means(data: Interactions) -> None:
    train, test = _parts(data, "random")
    predicted = Oracle(moment="mean").fit(train).predict(test.users, test.items)
    assert predicted.dtype == np.float32
    assert ((predicted >= 1) & (predicted <= 5)).all()
    rmse = np.sqrt(np.mean((predicted - test.ratings) ** 2))
    item_means = np.bincount(train.items, train.ratings, data.n_items) / np.maximum(train.item_popularity, 1)
    assert rmse < 0.87
    assert rmse < np.sqrt(np.mean((item_means[test.items] - test.ratings) ** 2)) - 0.1


def test_it_finds_users_and_items_by_id_after_filters(data: Interactions) -> None:
    core = k_core(data, 40)
    whole, part = Oracle(moment="end").fit(data), Oracle(moment="end").fit(core)
    item_codes = (core.catalogue.item_ids.to_numpy() - 1)[:5].astype(np.int32)
    user_codes = (core.catalogue.user_ids.to_numpy() - 1)[:5].astype(np.int32)
    five = np.arange(5, dtype=np.int32)
    assert (user_codes != five).any()
    when = part.moments_[five]
    expected = truth_of(data.catalogue.info).expected_rating(user_codes, item_codes, when)
    np.testing.assert_array_equal(part.predict(five, five), expected)
    block = part.score(five, core.matrix[:5])
    assert block.shape == (5, core.n_items)
    whole.moments_ = np.full(data.n_users, when[0])
    np.testing.assert_allclose(block[:, :5], whole.score(user_codes, data.matrix[user_codes])[:, item_codes], rtol=1e-5)


def test_a_minimum_rating_filter_is_a_relevance_threshold(data: Interactions) -> None:
    liked = minimum_rating(data, 4)
    assert Oracle().fit(liked).threshold_ == 4
    assert Oracle(relevance_threshold=5).fit(liked).threshold_ == 5
    assert Oracle().fit(data).threshold_ is None


def test_moments(data: Interactions) -> None:
    train = data.select(data.users != 7)
    truth = truth_of(data.catalogue.info)
    assert train.timestamps is not None
    times = truth.moment(train.timestamps[train.users == 3])
    assert Oracle(moment="last").fit(train).moments_[3] == times.max()
    assert Oracle(moment="mean").fit(train).moments_[3] == pytest.approx(times.mean())
    assert set(Oracle(moment="end").fit(train).moments_) == {truth.moment(train.timestamps).max()}
    assert Oracle().fit(train).moments_[7] == truth.visits.middle[7]  # no training row: the middle of the stay
    untimed = replace(train, timestamps=None)
    np.testing.assert_array_equal(Oracle().fit(untimed).moments_, truth.visits.middle)


def test_scores_are_finite_and_survive_pickling(data: Interactions) -> None:
    users = np.asarray([5, 0], dtype=np.int32)
    model = Oracle(relevance_threshold=5).fit(data)
    scores = model.score(users, data.matrix[users])
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).score(users, data.matrix[users]), scores)


def test_errors(data: Interactions) -> None:
    frame = pd.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "rating": [3.0, 4.0], "timestamp": [0, 1]})
    with pytest.raises(ValueError, match="'own' has no known truth; only generated data"):
        Oracle().fit(Interactions.from_frame(frame, info={"name": "own"}))
    with pytest.raises(ValueError, match="moment must be one of last, mean, end; found 'first'"):
        Oracle(moment="first").fit(data)
    with pytest.raises(ValueError, match="relevance_threshold must be None or finite; found nan"):
        Oracle(relevance_threshold=float("nan")).fit(data)
    foreign = Interactions.from_frame(frame.assign(item_id=[1, 5000]), info=dict(data.catalogue.info))
    with pytest.raises(ValueError, match="item id '5000' is not of this data set; its ids are 1 to 1682"):
        Oracle().fit(foreign)
