"""Interactions and features together, against dense linear algebra; cold items are found."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.linear import EASE
from recsys_lab.algorithms.neighborhood import ItemKNN
from recsys_lab.algorithms.side_information import EASEWithFeatures, ItemKNNWithFeatures
from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.synthetic import generate
from recsys_lab.evaluation import evaluate
from recsys_lab.splits import Split, split

MODELS: list[type[Algorithm]] = [ItemKNNWithFeatures, EASEWithFeatures]


@pytest.fixture(scope="module")
def data() -> Interactions:
    return contract_data()


def all_scores(model: Algorithm, data: Interactions) -> np.ndarray:
    return model.fit(data).score(np.arange(data.n_users, dtype=np.int32), data.matrix)


@pytest.mark.parametrize("feature_weight", [0.5, 20.0])
@pytest.mark.parametrize("uses_ratings", [False, True])
def test_ease_with_features_is_the_regression_on_stacked_rows(
    feature_weight: float, uses_ratings: bool, data: Interactions
) -> None:
    matrix = data.matrix.toarray().astype(np.float64)
    rows = matrix if uses_ratings else (matrix > 0).astype(np.float64)
    features = data.catalogue.item_features.toarray().astype(np.float64)
    inverse = np.linalg.inv(rows.T @ rows + feature_weight * features @ features.T + 30.0 * np.eye(data.n_items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    model = EASEWithFeatures(regularization=30.0, feature_weight=feature_weight, uses_ratings=uses_ratings)
    np.testing.assert_allclose(all_scores(model, data), rows @ weights, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("equal_lengths", [False, True])
def test_itemknn_with_features_is_the_cosine_of_both_together(equal_lengths: bool, data: Interactions) -> None:
    ratings = data.matrix.toarray().T.astype(np.float64)
    features = data.catalogue.item_features.toarray().astype(np.float64)
    if equal_lengths:
        ratings, features = (
            part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (ratings, features)
        )
    both = np.hstack([ratings, 3.0 * features])
    lengths = np.linalg.norm(both, axis=1)
    alike = both @ both.T / (np.outer(lengths, lengths) + 2.0)
    np.fill_diagonal(alike, 0)
    model = ItemKNNWithFeatures(
        n_neighbors=50, feature_weight=3.0, feature_weighting="none", shrinkage=2.0, equal_lengths=equal_lengths
    )
    np.testing.assert_allclose(all_scores(model, data), data.matrix.toarray() @ alike, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "without"),
    [
        (ItemKNNWithFeatures(feature_weight=0.0, n_neighbors=50), ItemKNN(n_neighbors=50)),
        (EASEWithFeatures(feature_weight=0.0), EASE()),
    ],
)
def test_features_of_no_weight_change_nothing(model: Algorithm, without: Algorithm, data: Interactions) -> None:
    np.testing.assert_allclose(all_scores(model, data), all_scores(without, data), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_wrong_values_and_missing_features_are_answered(kind: Any, data: Interactions) -> None:
    with pytest.raises(ValueError, match="feature_weight must be 0 or more; found -1"):
        kind(feature_weight=-1.0).fit(data)
    with pytest.raises(ValueError, match="feature_weighting must be one of none, tfidf, bm25"):
        kind(feature_weighting="idf").fit(data)
    bare = replace(data, catalogue=replace(data.catalogue, item_features=None, feature_names=()))
    with pytest.raises(ValueError, match=f"{kind.__name__} needs item features"):
        kind().fit(bare)


def test_the_limit_of_memory_is_that_of_ease(data: Interactions) -> None:
    with pytest.raises(MemoryError, match="50 items need"):
        EASEWithFeatures(max_memory_gb=1e-9).fit(data)


def test_neighbours_have_names(data: Interactions) -> None:
    nearest = ItemKNNWithFeatures().fit(data).neighbors(0, 3)
    assert len(nearest) == 3
    assert nearest.is_monotonic_decreasing


@pytest.fixture(scope="module")
def cold() -> Split:
    """A fifth of the items are new; they are ranked among themselves."""
    return split(generate(300, 250, 15_000, seed=2, taste=3.0), "cold_items", seed=3)


@pytest.fixture(scope="module")
def films(real_data: Path) -> Interactions:
    """MovieLens 100K."""
    return load_dataset("ml-100k")


@pytest.fixture(scope="module")
def cold_films(films: Interactions) -> Split:
    """A fifth of the films are new."""
    return split(films, "cold_items")


def recall(model: Algorithm, cut: Split) -> float:
    items = np.unique(cut.test.items).astype(np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evaluate(model, cut, cutoffs=(10,), metrics=["recall"], candidates=items).summary["recall@10"]


SERVE_COLD_ITEMS: list[tuple[str, dict[str, Any]]] = [
    ("ContentKNN", {}),
    ("UserProfile", {}),
    ("ContentRidge", {}),
    ("ItemKNNWithFeatures", {}),
    ("EASEWithFeatures", {}),
    ("Blend", {"second": "ContentRidge"}),
    ("Calibrated", {"base": "EASEWithFeatures", "weight": 0.1}),
]


@pytest.mark.parametrize(("name", "parameters"), SERVE_COLD_ITEMS)
def test_cold_items_are_found_by_what_they_are(name: str, parameters: dict[str, Any], cold: Split) -> None:
    chance = max(recall(make_algorithm("Popularity"), cold), recall(make_algorithm("Random"), cold))
    assert chance < 0.22  # 10 of 50 items
    assert recall(make_algorithm(name, **parameters), cold) > 1.4 * chance


@pytest.mark.data
@pytest.mark.parametrize(("name", "parameters"), SERVE_COLD_ITEMS)
def test_cold_films_are_found_by_their_genres(name: str, parameters: dict[str, Any], cold_films: Split) -> None:
    assert recall(make_algorithm("Popularity"), cold_films) < 0.04
    assert recall(make_algorithm(name, **parameters), cold_films) > 0.065  # twice chance: 10 of 336 films are 0.030


@pytest.mark.data
def test_cold_articles_are_found_by_their_words(real_data: Path) -> None:
    cut = split(load_dataset("citeulike-t"), "cold_items")
    assert recall(make_algorithm("Popularity"), cut) < 0.005
    assert recall(make_algorithm("UserProfile"), cut) > 0.35


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "parameters", "ndcg"),
    [
        ("ContentKNN", {}, 0.0733),
        ("ContentRidge", {}, 0.1090),
        ("ItemKNNWithFeatures", {}, 0.4388),
        ("EASEWithFeatures", {}, 0.4877),
        ("Blend", {"second": "ContentRidge", "weight": 0.8}, 0.4867),
    ],
)
def test_the_numbers_of_the_docs_come_out(
    name: str, parameters: dict[str, Any], ndcg: float, films: Interactions
) -> None:
    cut = split(films, "stratified_item", test=0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = evaluate(make_algorithm(name, **parameters), cut, cutoffs=(10,), metrics=["ndcg"]).summary["ndcg@10"]
    assert found == pytest.approx(ndcg, abs=0.0005)  # half of the last digit shown, and a few ties
