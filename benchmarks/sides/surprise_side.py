"""Surprise, in the peer's own environment; one Python call a prediction, as the library offers it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import surprise
from surprise import Dataset, Reader

from benchmarks.inputs import Inputs, Job


def _trainset(fold: dict[str, np.ndarray]) -> surprise.Trainset:
    rows = zip(fold["users"].tolist(), fold["items"].tolist(), fold["ratings"].tolist())
    data = Dataset(Reader(rating_scale=(1, 5)))
    return data.construct_trainset([(user, item, rating, None) for user, item, rating in rows])


def _job(make: Any, inputs: Inputs) -> Job:
    fold = inputs.fold
    train = _trainset(fold)
    pairs = [(int(user), int(item), 0.0) for user, item in zip(fold["test_users"], fold["test_items"])]
    state: dict[str, Any] = {}

    def both() -> None:
        model = make()
        model.fit(train)
        state["values"] = [prediction.est for prediction in model.test(pairs)]

    return Job({"both": both}, lambda: {"values": np.asarray(state["values"])})


def knn_with_means(inputs: Inputs) -> Job:
    """User-based Pearson, 40 neighbours."""
    options = {"name": "pearson", "user_based": True}
    return _job(lambda: surprise.KNNWithMeans(k=40, sim_options=options, verbose=False), inputs)


def slope_one(inputs: Inputs) -> Job:
    """No settings."""
    return _job(surprise.SlopeOne, inputs)


def svd(inputs: Inputs) -> Job:
    """100 factors, 20 epochs."""
    return _job(lambda: surprise.SVD(n_factors=100, n_epochs=20, random_state=0), inputs)


def _ranking(model: Any, inputs: Inputs) -> Job:
    """The predict loop over all known items for a sample of users; the seconds are scaled up to all users."""
    fold, state = inputs.fold, {}
    model.fit(_trainset(fold))
    users, items = fold["sample_users"].tolist(), fold["known_items"].tolist()
    times = len(np.unique(fold["users"])) / len(users)

    def rank() -> dict[str, float]:
        start = time.perf_counter()
        state["values"] = [model.predict(user, item).est for user in users for item in items]
        return {"s": (time.perf_counter() - start) * times}

    return Job({"rank": rank}, lambda: {"values": np.asarray(state["values"])})


def rank_knn_with_means(inputs: Inputs) -> Job:
    """Every item for every user."""
    options = {"name": "pearson", "user_based": True}
    return _ranking(surprise.KNNWithMeans(k=40, sim_options=options, verbose=False), inputs)


def rank_slope_one(inputs: Inputs) -> Job:
    """Every item for every user."""
    return _ranking(surprise.SlopeOne(), inputs)


JOBS = {
    "knn_with_means": knn_with_means,
    "slope_one": slope_one,
    "svd": svd,
    "rank_knn_with_means": rank_knn_with_means,
    "rank_slope_one": rank_slope_one,
}
