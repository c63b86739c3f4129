"""recsys_lab's forms of Surprise's models."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.inputs import Inputs, Job
from recsys_lab.algorithms.surprise_factors import SVD
from recsys_lab.algorithms.surprise_neighbours import KNNWithMeans, SlopeOne
from recsys_lab.data.datasets import load_dataset
from recsys_lab.splits import Split, split


def cut(inputs: Inputs) -> Split:
    """The first of five folds."""
    return split(load_dataset(inputs.settings["ratings"]), "k_fold", seed=42, fold=0, n_folds=5)


def _job(model: Any, inputs: Inputs) -> Job:
    train, fold, state = cut(inputs).train, inputs.fold, {}

    def both() -> None:
        model.fit(train)
        found = model.predict(fold["test_users"], fold["test_items"])
        state["values"] = np.clip(np.where(np.isnan(found), train.ratings.mean(dtype=np.float64), found), 1, 5)

    return Job({"both": both}, lambda: {"values": state["values"]})


def knn_with_means(inputs: Inputs) -> Job:
    """User-based Pearson, 40 neighbours."""
    return _job(KNNWithMeans(n_neighbors=40, similarity="pearson", user_based=True), inputs)


def slope_one(inputs: Inputs) -> Job:
    """No settings."""
    return _job(SlopeOne(), inputs)


def svd(inputs: Inputs) -> Job:
    """100 factors, 20 epochs."""
    return _job(SVD(n_factors=100, n_epochs=20), inputs)


def _ranking(model: Any, inputs: Inputs) -> Job:
    train = cut(inputs).train
    histories, state = train.matrix, {}
    users = np.flatnonzero(train.user_activity).astype(np.int32)
    model.fit(train)

    def rank() -> None:
        state["scores"] = model.score(users, histories[users])

    def values() -> dict[str, Any]:
        sample = state["scores"][np.searchsorted(users, inputs.fold["sample_users"])]
        return {"values": np.clip(sample[:, inputs.fold["known_items"]], 1, 5).ravel()}

    return Job({"rank": rank}, values)


def rank_knn_with_means(inputs: Inputs) -> Job:
    """Every item for every user."""
    return _ranking(KNNWithMeans(n_neighbors=40, similarity="pearson", user_based=True), inputs)


def rank_slope_one(inputs: Inputs) -> Job:
    """Every item for every user."""
    return _ranking(SlopeOne(), inputs)


JOBS = {
    "knn_with_means": knn_with_means,
    "slope_one": slope_one,
    "svd": svd,
    "rank_knn_with_means": rank_knn_with_means,
    "rank_slope_one": rank_slope_one,
}
