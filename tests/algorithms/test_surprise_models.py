"""The models of Surprise: equal to Surprise itself, pair by pair, and quick over the whole catalogue."""

from __future__ import annotations

import heapq
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import surprise

from recsys_lab.algorithms import surprise_models as models
from recsys_lab.algorithms.base import RatingPredictor
from recsys_lab.data.interactions import Interactions

KNN = ("KNNBasic", "KNNWithMeans", "KNNWithZScore", "KNNBaseline")
# our model, Surprise's own with the same hyper-parameters
CASES: list[tuple[str, dict[str, Any], Callable[[], Any]]] = [
    ("SVD", {"n_factors": 7, "random_state": 3}, lambda: surprise.SVD(n_factors=7, random_state=3)),
    (
        "SVD",
        {"biased": False, "initial_mean": 0.5, "initial_deviation": 0.2, "n_epochs": 4},
        lambda: surprise.SVD(biased=False, init_mean=0.5, init_std_dev=0.2, n_epochs=4, random_state=0),
    ),
    (
        "SVD",
        {"learning_rate": 0.03, "regularization": 0.2},
        lambda: surprise.SVD(lr_all=0.03, reg_all=0.2, random_state=0),
    ),
    ("SVDpp", {"n_epochs": 5}, lambda: surprise.SVDpp(n_epochs=5, random_state=0)),
    (
        "SVDpp",
        {"n_factors": 3, "learning_rate": 0.02, "regularization": 0.1, "random_state": 5},
        lambda: surprise.SVDpp(n_factors=3, lr_all=0.02, reg_all=0.1, random_state=5),
    ),
    ("NMF", {}, lambda: surprise.NMF(random_state=0)),
    (
        "NMF",
        {"biased": True, "n_factors": 4, "learning_rate": 0.01, "bias_regularization": 0.1, "regularization": 0.2},
        lambda: surprise.NMF(
            biased=True,
            n_factors=4,
            lr_bu=0.01,
            lr_bi=0.01,
            reg_bu=0.1,
            reg_bi=0.1,
            reg_pu=0.2,
            reg_qi=0.2,
            random_state=0,
        ),
    ),
    ("SlopeOne", {}, lambda: surprise.SlopeOne()),
    ("CoClustering", {}, lambda: surprise.CoClustering(random_state=0)),
    (
        "CoClustering",
        {"n_user_clusters": 2, "n_item_clusters": 5, "n_epochs": 3, "random_state": 9},
        lambda: surprise.CoClustering(n_cltr_u=2, n_cltr_i=5, n_epochs=3, random_state=9),
    ),
    ("BaselineOnly", {}, lambda: surprise.BaselineOnly(verbose=False)),
    (
        "BaselineOnly",
        {"user_regularization": 3.0, "item_regularization": 1.0, "n_epochs": 4},
        lambda: surprise.BaselineOnly(bsl_options={"reg_u": 3, "reg_i": 1, "n_epochs": 4}, verbose=False),
    ),
    (
        "BaselineOnly",
        {"method": "sgd", "learning_rate": 0.02, "regularization": 0.1},
        lambda: surprise.BaselineOnly(bsl_options={"method": "sgd", "learning_rate": 0.02, "reg": 0.1}, verbose=False),
    ),
    (
        "KNNBaseline",
        {"n_epochs": 3, "user_regularization": 2.0, "item_regularization": 4.0},
        lambda: surprise.KNNBaseline(bsl_options={"n_epochs": 3, "reg_u": 2, "reg_i": 4}, verbose=False),
    ),
]


def _knn_case(
    name: str, similarity: str, user_based: bool, **options: Any
) -> tuple[str, dict[str, Any], Callable[[], Any]]:
    ours = {"n_neighbors": 5, "min_neighbors": 2, "similarity": similarity, "user_based": user_based, **options}
    theirs = {"name": similarity, "user_based": user_based, **options}
    return name, ours, lambda: getattr(surprise, name)(k=5, min_k=2, sim_options=dict(theirs), verbose=False)


CASES += [(name, {}, lambda name=name: getattr(surprise, name)(verbose=False)) for name in KNN]
CASES += [
    _knn_case(name, similarity, user_based)
    for name in KNN
    for similarity in ("cosine", "msd", "pearson", "pearson_baseline")
    for user_based in (True, False)
]
CASES += [
    _knn_case("KNNWithMeans", "pearson_baseline", False, shrinkage=5.0),
    _knn_case("KNNBasic", "pearson_baseline", True, shrinkage=0.0),
    _knn_case("KNNWithMeans", "cosine", True, min_support=4),
]


def _ratings(n_users: int = 40, n_items: int = 30, n: int = 420, seed: int = 1) -> pd.DataFrame:
    """Whole stars in an order that is not sorted; every user and item of the catalogue need not occur."""
    rng = np.random.default_rng(seed)
    pairs = rng.choice(n_users * n_items, size=n, replace=False)
    taste = rng.normal(size=(n_users, 3)) @ rng.normal(size=(3, n_items))
    stars = np.clip(np.rint(3.4 + taste.ravel()[pairs] * 0.8 + rng.normal(size=n) * 0.5), 1, 5)
    return pd.DataFrame({"user_id": pairs // n_items, "item_id": pairs % n_items, "rating": stars})


def _interactions(frame: pd.DataFrame, *, file_order: bool = True) -> Interactions:
    data = Interactions.from_frame(frame, timestamp=None)
    return Interactions(data.users, data.items, data.ratings, None, data.catalogue, file_order=file_order)


def _surprise_estimates(model: Any, train: Interactions, users: Any, items: Any) -> np.ndarray[Any, Any]:
    """Surprise's own estimates of pairs of codes, unclipped; NaN where it says that they are impossible."""
    frame = pd.DataFrame({"user": train.users, "item": train.items, "rating": train.ratings.astype(np.float64)})
    reader = surprise.Reader(rating_scale=(-1000, 1000))
    model.fit(surprise.Dataset.load_from_df(frame, reader).build_full_trainset())
    answers = [model.predict(user, item, clip=False) for user, item in zip(users, items, strict=True)]
    return np.array([np.nan if answer.details["was_impossible"] else answer.est for answer in answers])


@pytest.fixture(scope="module")
def train() -> Interactions:
    """Rows of a catalogue in which user 0 and item 1 have no training rows."""
    data = _interactions(_ratings())
    return data.select((data.users != 0) & (data.items != 1))


@pytest.fixture(scope="module")
def pairs(train: Interactions) -> tuple[Any, Any]:
    users, items = np.divmod(np.arange(train.n_users * train.n_items, dtype=np.int32), np.int32(train.n_items))
    return users, items


def _fitted(name: str, train: Interactions, **parameters: Any) -> RatingPredictor:
    model: RatingPredictor = getattr(models, name)(**parameters)
    return model.fit(train)


@pytest.mark.parametrize(("name", "parameters", "theirs"), CASES, ids=[f"{n}-{p}" for n, p, _ in CASES])
def test_every_pair_is_what_surprise_says(
    name: str, parameters: dict[str, Any], theirs: Callable[[], Any], train: Interactions, pairs: tuple[Any, Any]
) -> None:
    expected = _surprise_estimates(theirs(), train, *pairs)
    found = _fitted(name, train, **parameters).predict(*pairs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert np.isfinite(expected).sum() > 100


@pytest.mark.parametrize("name", models.__all__)
def test_the_ranking_scores_are_the_predictions(name: str, train: Interactions, pairs: tuple[Any, Any]) -> None:
    model = _fitted(name, train)
    users = np.arange(train.n_users, dtype=np.int32)
    scores = model.score(users, train.matrix)
    predictions = model.predict(*pairs).reshape(scores.shape)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, np.where(np.isnan(predictions), -np.inf, predictions), rtol=0, atol=1e-6)
    backwards = model.score(users[::-1], train.matrix[::-1])
    np.testing.assert_allclose(backwards, scores[::-1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", KNN)
@pytest.mark.parametrize("min_neighbors", [1, 4])
def test_one_walk_through_the_neighbours_scores_as_pairs_do(name: str, min_neighbors: int) -> None:
    """Rows by user and two kinds of stars: many neighbours are equally near, and user 0 and item 1 have no rows."""
    data = _interactions(_ratings().assign(rating=lambda frame: 1 + frame["rating"] // 4), file_order=False)
    train = data.select((data.users != 0) & (data.items != 1))
    model = _fitted(name, train, n_neighbors=5, min_neighbors=min_neighbors)
    assert model.state_._walk is not None  # type: ignore[attr-defined]
    users = np.append(np.arange(train.n_users, dtype=np.int32), np.int32(-1))
    items = np.arange(train.n_items, dtype=np.int32)
    expected = model.predict(np.repeat(users, len(items)), np.tile(items, len(users))).reshape(len(users), -1)
    found = model.score(users, train.matrix[users])
    np.testing.assert_allclose(found, np.where(np.isnan(expected), -np.inf, expected), rtol=0, atol=1e-6)
    assert np.ptp(found[3][np.isfinite(found[3])]) > 0.2
    assert "_walk" not in pickle.loads(pickle.dumps(model)).state_.__dict__


@pytest.mark.parametrize("name", models.__all__)
def test_the_order_of_rows_does_not_matter_unless_it_is_meant(name: str, pairs: tuple[Any, Any]) -> None:
    frame = _ratings()
    shuffled = frame.sample(frac=1.0, random_state=5)
    plain = [_fitted(name, _interactions(rows, file_order=False)).predict(*pairs) for rows in (frame, shuffled)]
    np.testing.assert_array_equal(plain[0], plain[1])
    if name in {"SVD", "SVDpp", "NMF", "CoClustering"}:  # what starts from random numbers follows the order
        meant = [_fitted(name, _interactions(rows)).predict(*pairs) for rows in (frame, shuffled)]
        assert np.abs(meant[0] - meant[1]).max() > 1e-3


@pytest.mark.parametrize("name", models.__all__)
def test_a_second_fit_forgets_the_first(name: str, train: Interactions, pairs: tuple[Any, Any]) -> None:
    other = _interactions(_ratings(seed=8))
    model = _fitted(name, other)
    first = model.predict(*pairs)
    again = model.fit(train).predict(*pairs)
    np.testing.assert_array_equal(again, _fitted(name, train).predict(*pairs))
    assert not np.array_equal(first, again)


@pytest.mark.parametrize("name", models.__all__)
def test_a_pickled_model_is_small_and_says_the_same(name: str, train: Interactions, pairs: tuple[Any, Any]) -> None:
    model = _fitted(name, train)
    stored = pickle.dumps(model)
    np.testing.assert_array_equal(pickle.loads(stored).predict(*pairs), model.predict(*pairs))
    largest = 8 * train.n_users**2 if name in KNN else 4 * (train.n_users + train.n_items + 2) * 100
    assert len(stored) < largest + 16 * len(train) + 4000  # similarities or factors, ratings, names of fields
    assert b"surprise.trainset" not in stored


@pytest.mark.parametrize("name", models.__all__)
def test_an_unknown_user_is_answered_alike_by_code_and_by_minus_one(name: str, train: Interactions) -> None:
    model = _fitted(name, train)
    items = np.arange(train.n_items, dtype=np.int32)
    unseen, nobody = (model.predict(np.full(len(items), code, dtype=np.int32), items) for code in (0, -1))
    scores = model.score(np.array([-1, 3], dtype=np.int32), train.matrix[[0, 3]])
    np.testing.assert_allclose(scores[0], np.where(np.isnan(nobody), -np.inf, nobody), rtol=0, atol=1e-6)
    assert np.isfinite(scores[1]).sum() > 10
    if name != "NormalPredictor":  # which draws for every pair anew
        np.testing.assert_array_equal(unseen, nobody)
    impossible = {"KNNBasic", "KNNWithMeans", "KNNWithZScore", "SlopeOne", "NMF"}
    assert np.isnan(unseen).all() == (name in impossible)


@pytest.mark.parametrize("name", models.__all__)
@pytest.mark.parametrize("value", [1.0, 3.5])
def test_ratings_that_are_all_equal_are_predicted_as_such(name: str, value: float, pairs: tuple[Any, Any]) -> None:
    train = _interactions(_ratings().assign(rating=value))
    predictions = _fitted(name, train).predict(*pairs)
    told = predictions[~np.isnan(predictions)]
    assert len(told) > 900
    assert np.isfinite(told).all()
    tolerance = {"NMF": 0.5 * value, "SVD": 0.5, "SVDpp": 0.5}.get(name, 1e-5)
    assert np.abs(told - value).mean() < tolerance


@pytest.mark.parametrize("similarity", ["cosine", "pearson", "pearson_baseline"])
def test_ratings_of_zero_and_flat_users_have_no_similarity(similarity: str) -> None:
    frame = pd.DataFrame({"user_id": [0, 0, 1, 1, 2, 2], "item_id": [0, 1, 0, 1, 0, 1], "rating": [0.0, 0, 0, 0, 1, 5]})
    model = models.KNNWithMeans(similarity=similarity).fit(_interactions(frame))
    predictions = model.predict(np.repeat(np.arange(3, dtype=np.int32), 2), np.tile(np.arange(2, dtype=np.int32), 3))
    assert np.isfinite(predictions).all()
    if similarity != "pearson_baseline":
        assert model.state_.similarity[0, 1] == 0.0  # Surprise's cosine divides by zero here


@pytest.mark.parametrize("name", ["SlopeOne", "CoClustering"])
def test_half_stars_are_not_cut_to_whole_ones(name: str, pairs: tuple[Any, Any]) -> None:
    whole = _ratings()
    half = whole.assign(rating=whole["rating"] / 2)
    expected = _fitted(name, _interactions(whole)).predict(*pairs) / 2
    np.testing.assert_allclose(_fitted(name, _interactions(half)).predict(*pairs), expected, rtol=0, atol=1e-6)
    assert np.ptp(expected[np.isfinite(expected)]) > 1


def test_the_nearest_raters_are_those_a_heap_would_take_first_come_first_served() -> None:
    """Many equal similarities: users rate two items alike, and the third one decides."""
    rng = np.random.default_rng(0)
    users, items = np.divmod(rng.permutation(60 * 3), 3)
    frame = pd.DataFrame({"user_id": users, "item_id": items, "rating": rng.integers(1, 6, size=180)})
    frame.loc[frame["item_id"] < 2, "rating"] = 1 + frame["user_id"] % 2 * 4
    frame = frame[(frame["user_id"] > 0) | (frame["item_id"] < 2)]
    data = _interactions(frame)
    model = models.KNNBasic(n_neighbors=4, similarity="cosine").fit(data)
    similar = model.state_.similarity[model.state_.inner_users[0]]
    rows = np.flatnonzero(data.items == 2)
    told = [(similar[model.state_.inner_users[data.users[row]]], float(data.ratings[row])) for row in rows]
    nearest = heapq.nlargest(4, told, key=lambda entry: entry[0])
    expected = sum(weight * rating for weight, rating in nearest) / sum(weight for weight, _ in nearest)
    assert sorted(weight for weight, _ in told)[-8] == pytest.approx(nearest[0][0])  # ties at the fourth place
    assert model.predict(np.array([0], np.int32), np.array([2], np.int32))[0] == pytest.approx(expected, abs=1e-6)


def test_draws_are_normal_and_differ_by_seed(train: Interactions) -> None:
    users, items = np.divmod(np.arange(200_000, dtype=np.int32), np.int32(1000))
    model = models.NormalPredictor(random_state=1).fit(train)
    draws = model.predict(users, items).astype(np.float64)
    assert draws.mean() == pytest.approx(train.ratings.mean(), abs=0.02)
    assert draws.std() == pytest.approx(train.ratings.std(), rel=0.02)
    standard = (draws - draws.mean()) / draws.std()
    assert np.mean(np.abs(standard) < 1) == pytest.approx(0.6827, abs=0.01)
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.01  # neighbours in the catalogue
    assert abs(np.corrcoef(draws[:-1000], draws[1000:])[0, 1]) < 0.01  # the same item, next user
    other = models.NormalPredictor(random_state=2).fit(train).predict(users, items)
    assert abs(np.corrcoef(draws, other)[0, 1]) < 0.01


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("SVD", {"n_factors": 0}, "n_factors must be at least 1; found 0"),
        ("SVDpp", {"n_epochs": 0}, "n_epochs must be at least 1; found 0"),
        ("SVD", {"regularization": -1.0}, "regularization must be at least 0; found -1.0"),
        ("SVD", {"initial_deviation": -1.0}, "initial_deviation must not be negative; found -1.0"),
        ("SVD", {"learning_rate": 50.0}, "diverged"),
        ("BaselineOnly", {"method": "sgd", "learning_rate": 3.0}, "diverged"),
        ("NMF", {"initial_low": 2.0}, "initial_low and initial_high"),
        ("NMF", {"n_factors": 0}, "n_factors must be at least 1; found 0"),
        ("CoClustering", {"n_user_clusters": 0}, "n_user_clusters must be at least 1; found 0"),
        ("BaselineOnly", {"method": "asl"}, "method must be 'als' or 'sgd'; found 'asl'"),
        ("BaselineOnly", {"user_regularization": -2.0}, "user_regularization must not be negative; found -2.0"),
        ("BaselineOnly", {"n_epochs": 0}, "n_epochs must be at least 1; found 0"),
        ("KNNBaseline", {"n_epochs": 0}, "n_epochs must be at least 1; found 0"),
        ("KNNBasic", {"n_neighbors": 0}, "n_neighbors must be at least 1; found 0"),
        ("KNNBasic", {"similarity": "jaccard"}, "similarity must be one of cosine, msd, pearson, pearson_baseline"),
    ],
)
def test_wrong_hyper_parameters_are_named(
    name: str, parameters: dict[str, Any], message: str, train: Interactions
) -> None:
    with pytest.raises(ValueError, match=message):
        _fitted(name, train, **parameters)


def test_training_rows_that_do_not_fit_are_named(train: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="needs training rows"):
        models.SVD().fit(train.select(np.zeros(len(train), dtype=bool)))
    negative = _interactions(_ratings().assign(rating=-1.0))
    with pytest.raises(ValueError, match="NMF needs ratings of 0 or more; found -1"):
        models.NMF().fit(negative)
    monkeypatch.setattr("recsys_lab.algorithms.surprise_neighbours.MAX_NEIGHBOURHOOD", 10)
    with pytest.raises(ValueError, match=r"all similarities of 39 users.*10 are the limit.*user_based=False"):
        models.KNNBasic().fit(train)
    with pytest.raises(ValueError, match="at most 10; found 29"):
        models.SlopeOne().fit(train)


@pytest.mark.data
@pytest.mark.parametrize("name", ["SVD", "SlopeOne", "KNNBasic", "KNNWithMeans", "KNNBaseline", "CoClustering"])
def test_a_fold_of_movielens_is_what_surprise_says_and_quicker(name: str, real_data: Path) -> None:
    columns = ["user_id", "item_id", "rating", "time"]
    frame = pd.read_csv(real_data / "ml-100k" / "u.data", sep="\t", names=columns)
    data = _interactions(frame)
    order = np.random.RandomState(0).permutation(len(data))
    train, test = data.select(order[2000:]), data.select(order[:2000])
    seeded = {"random_state": 0} if name in {"SVD", "CoClustering"} else {}
    quiet = {"verbose": False} if name in KNN else {}
    theirs = getattr(surprise, name)(**seeded, **quiet)
    _surprise_estimates(theirs, train, [], [])
    start = time.perf_counter()
    answers = [theirs.predict(user, item, clip=False) for user, item in zip(test.users, test.items, strict=True)]
    their_seconds = (time.perf_counter() - start) / len(test)
    expected = np.array([np.nan if answer.details["was_impossible"] else answer.est for answer in answers])
    model = _fitted(name, train)
    np.testing.assert_allclose(model.predict(test.users, test.items), expected, rtol=0, atol=2e-6)
    users = np.arange(200, dtype=np.int32)
    model.score(users[:1], train.matrix[:1])
    start = time.perf_counter()
    model.score(users, train.matrix[:200])
    our_seconds = (time.perf_counter() - start) / (200 * train.n_items)
    assert their_seconds > 20 * our_seconds  # 300 to 600 on an idle machine
