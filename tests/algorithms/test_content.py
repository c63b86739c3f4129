"""Content models against a plain reading of the formula; profiles by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from recsys_lab.algorithms.content import ContentKNN, ContentRidge, UserProfile
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.side_information import EASEWithFeatures, ItemKNNWithFeatures
from recsys_lab.data.interactions import Interactions

FEATURES = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 2], [0, 0, 0], [3, 0, 0]], dtype=np.float32)
NONE = np.zeros(1, dtype=np.int32)


@pytest.fixture
def data() -> Interactions:
    """Two users, five items with features action, comedy, drama; item 3 has none and item 4 is cold."""
    frame = pd.DataFrame({"user_id": [0, 0, 1, 1], "item_id": [0, 2, 1, 3], "rating": [5.0, 1.0, 4.0, 2.0]})
    items = pd.DataFrame(index=pd.RangeIndex(5, name="item_id"))
    found = Interactions.from_frame(frame, timestamp=None, items=items)
    catalogue = replace(
        found.catalogue, item_features=sparse.csr_matrix(FEATURES), feature_names=["action", "comedy", "drama"]
    )
    return replace(found, catalogue=catalogue)


def similarity(i: int, j: int, weights: np.ndarray) -> float:
    """The project's formula, word for word: sum_k w_ik w_jk / (sqrt(sum w_ik²) sqrt(sum w_jk²))."""
    above = sum(weights[i, k] * weights[j, k] for k in range(weights.shape[1]))
    below = math.sqrt(sum(w**2 for w in weights[i])) * math.sqrt(sum(w**2 for w in weights[j]))
    return above / below if below else 0.0


@pytest.mark.parametrize("weighting", ["none", "tfidf"])
def test_scores_are_rating_weighted_similarities(data: Interactions, weighting: Any) -> None:
    weights = FEATURES.astype(np.float64)
    if weighting == "tfidf":
        weights = np.sqrt(weights) * np.maximum(np.log(5 / (1 + (FEATURES > 0).sum(axis=0))), 0)
    scores = ContentKNN(weighting=weighting).fit(data).score(NONE, data.matrix[0])[0]
    for item in (1, 3, 4):
        expected = 5 * similarity(0, item, weights) + 1 * similarity(2, item, weights)
        assert scores[item] == pytest.approx(expected, abs=1e-6)


def test_all_similarities_of_a_larger_catalogue_are_the_formula() -> None:
    data = contract_data()
    weights = data.catalogue.item_features.toarray().astype(np.float64)
    model = ContentKNN(n_neighbors=50, weighting="none").fit(data)
    expected = np.array([[similarity(i, j, weights) for j in range(50)] for i in range(50)])
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.weights_.toarray(), expected, atol=1e-6)


def test_a_cold_item_is_recommended(data: Interactions) -> None:
    for model in (ContentKNN(weighting="none"), UserProfile(weighting="none")):
        lists = model.fit(data).recommend(NONE, data.matrix[0], 1)
        assert lists.items[0, 0] == 4  # pure action, as the item rated 5; no training row


def test_new_items_take_no_places_of_known_ones(data: Interactions) -> None:
    features = np.zeros((12, 2), dtype=np.float32)
    features[:, 0] = 1
    features[:2, 1] = 0.1  # the two known ones are a little unlike the ten new ones, which are all alike
    catalogue = replace(
        data.catalogue,
        item_ids=pd.RangeIndex(12),
        items=pd.DataFrame(index=pd.RangeIndex(12)),
        item_features=sparse.csr_matrix(features),
        feature_names=["a", "b"],
    )
    rows = Interactions(np.array([0, 1]), np.array([0, 1]), np.ones(2, dtype=np.float32), None, catalogue)
    model = ContentKNN(weighting="none", n_neighbors=2).fit(rows)
    known = sparse.csr_matrix(np.eye(12, dtype=np.float32)[:1])
    assert (model.score(NONE, known)[0, 2:] > 0).all()
    new = sparse.csr_matrix(np.eye(12, dtype=np.float32)[5:6])  # a history of a new item is served all the same
    assert (model.score(NONE, new)[0] > 0).any()
    places = np.diff(model.weights_.tocsc().indptr)
    assert places.max() <= 2 + 2


def test_neighbors_are_sorted_and_named_by_id(data: Interactions) -> None:
    found = ContentKNN(weighting="none").fit(data).neighbors(0, 5)
    assert found.index.tolist() == [4, 1]
    np.testing.assert_allclose(found, [1.0, math.sqrt(0.5)])


def test_a_profile_is_the_rating_weighted_sum_of_unit_features(data: Interactions) -> None:
    expected = {"action": 5.0, "drama": 2 / math.sqrt(5), "comedy": 1 / math.sqrt(5)}
    found = ContentKNN(weighting="none").fit(data).profile(data.matrix[0])
    assert found.index.tolist() == list(expected)
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-6)
    unit = UserProfile(weighting="none").fit(data).profile(data.matrix[0])
    length = math.sqrt(sum(weight**2 for weight in expected.values()))
    np.testing.assert_allclose(unit[list(expected)], np.array(list(expected.values())) / length, rtol=1e-6)


def test_profile_scores_are_cosines(data: Interactions) -> None:
    scores = UserProfile(weighting="none").fit(data).score(NONE, data.matrix[0])[0]
    profile = np.array([5.0, 1 / math.sqrt(5), 2 / math.sqrt(5)])
    for item in range(5):
        assert scores[item] == pytest.approx(similarity(0, 1, np.array([profile, FEATURES[item]])), abs=1e-6)


def test_centred_ratings_count_disliked_features_against_an_item(data: Interactions) -> None:
    model = UserProfile(weighting="none", centering="user").fit(data)
    profile = model.profile(data.matrix[0])  # 5 and 1 less their mean are 2 and -2
    assert profile["action"] > 0 > profile["comedy"] > profile["drama"]
    constant = replace(data, ratings=np.full(4, 3, dtype=np.float32))
    assert UserProfile(weighting="none", centering="user").fit(constant).profile(constant.matrix[0])["drama"] > 0


def test_a_user_without_history_has_an_empty_profile(data: Interactions) -> None:
    empty = sparse.csr_matrix((1, 5), dtype=np.float32)
    for model in (ContentKNN(), UserProfile()):
        assert model.fit(data).profile(empty).empty
        assert model.score(NONE, empty).tolist() == [[0.0] * 5]


def test_a_profile_needs_one_history(data: Interactions) -> None:
    with pytest.raises(ValueError, match=r"one history \(1, n_items\); found shape \(2, 5\)"):
        UserProfile().fit(data).profile(data.matrix)


@pytest.mark.parametrize("model", [ContentKNN, UserProfile])
def test_data_without_content_are_refused(model: Any) -> None:
    frame = pd.DataFrame({"user_id": [0], "item_id": [0]})
    data = Interactions.from_frame(frame, rating=None, timestamp=None, info={"name": "plain"})
    with pytest.raises(ValueError, match=f"{model.__name__} needs item features and the catalogue of 'plain' has none"):
        model().fit(data)


def test_wrong_values_are_named(data: Interactions) -> None:
    with pytest.raises(ValueError, match="centering must be one of none, user; found 'item'"):
        UserProfile(centering="item").fit(data)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_neighbors must be at least 1; found 0"):
        ContentKNN(n_neighbors=0).fit(data)


@pytest.mark.parametrize("uses_ratings", [True, False])
def test_ridge_is_one_regression_a_user(data: Interactions, uses_ratings: bool) -> None:
    model = ContentRidge(regularization=2.0, uses_ratings=uses_ratings).fit(data)
    found = model.score(np.arange(2, dtype=np.int32), data.matrix)
    rows = data.matrix.toarray() if uses_ratings else data.matrix.toarray() > 0
    for user in range(2):
        regression = Ridge(alpha=2.0, fit_intercept=False)
        columns = np.hstack([FEATURES, np.ones((5, 1))])
        regression.fit(columns, rows[user].astype(np.float64))
        np.testing.assert_allclose(found[user], regression.predict(columns), rtol=1e-5)


def test_ridge_says_what_it_needs(data: Interactions) -> None:
    with pytest.raises(MemoryError, match=r"3 features need 0\.0 GB and max_memory_gb is 1e-12"):
        ContentRidge(max_memory_gb=1e-12).fit(data)
    with pytest.raises(ValueError, match="regularization must be a finite number above 0; found 0"):
        ContentRidge(regularization=0).fit(data)


MODELS_OF_CONTENT = [ContentKNN, UserProfile, ContentRidge, ItemKNNWithFeatures, EASEWithFeatures]


@pytest.mark.parametrize("kind", MODELS_OF_CONTENT)
def test_only_features_of_the_wanted_kinds_are_used(kind: Any, data: Interactions) -> None:
    tagged = replace(data.catalogue, feature_names=["genre:action", "tag:slow", "genre:drama"])
    rest = replace(data.catalogue, item_features=data.catalogue.item_features[:, [0, 2]], feature_names=["a", "b"])
    users = np.arange(2, dtype=np.int32)
    found = kind(kinds=("genre",)).fit(replace(data, catalogue=tagged)).score(users, data.matrix)
    expected = kind().fit(replace(data, catalogue=rest)).score(users, data.matrix)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for kinds, message in [
        (("word",), "no feature is of kind 'word'; there are: genre, tag"),
        ("genre", r"write \['genre'\]"),
        ((), "kinds is empty"),
    ]:
        with pytest.raises(ValueError, match=message):
            kind(kinds=kinds).fit(replace(data, catalogue=tagged))


def test_the_profile_names_the_features_of_the_wanted_kinds(data: Interactions) -> None:
    tagged = replace(data.catalogue, feature_names=["genre:action", "tag:slow", "genre:drama"])
    for kind in (ContentKNN, UserProfile):
        profile = kind(kinds=("tag",), weighting="none").fit(replace(data, catalogue=tagged)).profile(data.matrix[1])
        assert list(profile.index) == ["tag:slow"]
