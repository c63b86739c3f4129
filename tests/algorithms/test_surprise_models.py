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
