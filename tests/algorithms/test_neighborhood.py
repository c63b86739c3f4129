"""Neighbourhood models against plain dense computations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.algorithms.contract import recommend_all
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.neighborhood import ItemKNN, UserKNN
from recsys_lab.data.interactions import Interactions

USERS = np.arange(60, dtype=np.int32)


def dense_cosine(x: np.ndarray, shrinkage: float = 0.0) -> np.ndarray:
    """Cosines of the rows with the literature's denominator, 0 on the diagonal."""
    lengths = np.sqrt((x**2).sum(axis=1))
    cosines = (x @ x.T) / (np.outer(lengths, lengths) + shrinkage + 1e-6)
    np.fill_diagonal(cosines, 0.0)
    return cosines


def top_per_column(matrix: np.ndarray, k: int) -> np.ndarray:
    """Everything but the k largest of each column set to 0."""
    kept = np.zeros_like(matrix)
    best = np.argsort(-matrix, axis=0, kind="stable")[:k]
    np.put_along_axis(kept, best, np.take_along_axis(matrix, best, axis=0), axis=0)
    return kept


@pytest.fixture(scope="module")
def noisy() -> Interactions:
    """Ratings without equal similarities, so that the k best are unique."""
    data = contract_data()
    noise = np.random.default_rng(0).random(len(data)).astype(np.float32)
    return replace(data, ratings=(data.ratings + 0.01 * noise).astype(np.float32))


@pytest.mark.parametrize("shrinkage", [0.0, 50.0])
def test_item_scores_are_history_times_the_best_of_each_column(noisy: Interactions, shrinkage: float) -> None:
    x = noisy.matrix.toarray().astype(np.float64)
    cosines = dense_cosine(x.T, shrinkage)
    target = ItemKNN(n_neighbors=6, shrinkage=shrinkage).fit(noisy).score(USERS, noisy.matrix)
    np.testing.assert_allclose(target, x @ top_per_column(cosines, 6), rtol=1e-4, atol=1e-5)
    history = ItemKNN(n_neighbors=6, shrinkage=shrinkage, neighbors_per="history").fit(noisy)
    np.testing.assert_allclose(
        history.score(USERS, noisy.matrix), x @ top_per_column(cosines, 6).T, rtol=1e-4, atol=1e-5
    )


def test_user_scores_are_the_best_of_each_row_times_the_ratings(noisy: Interactions) -> None:
    x = noisy.matrix.toarray().astype(np.float64)
    cosines = dense_cosine(x)
    target = UserKNN(n_neighbors=6).fit(noisy).score(USERS, noisy.matrix)
    np.testing.assert_allclose(target, top_per_column(cosines, 6).T @ x, rtol=1e-4, atol=1e-5)
    history = UserKNN(n_neighbors=6, neighbors_per="history").fit(noisy).score(USERS, noisy.matrix)
    np.testing.assert_allclose(history, top_per_column(cosines, 6) @ x, rtol=1e-4, atol=1e-5)


def test_weighted_items_score_as_the_literature_does_up_to_a_factor_of_the_user(noisy: Interactions) -> None:
    x = noisy.matrix.toarray().astype(np.float64)
    stored = noisy.matrix.toarray() != 0
    idf = np.log(50 / (1 + stored.sum(axis=1)))
    weighted = np.sqrt(x) * idf[:, None]
    expected = weighted @ top_per_column(dense_cosine(weighted.T), 6)
    found = ItemKNN(n_neighbors=6, weighting="tfidf").fit(noisy).score(USERS, noisy.matrix)
    np.testing.assert_allclose(found * idf[:, None], expected, rtol=1e-3, atol=1e-4)


def test_weighted_users_score_as_the_literature_does(noisy: Interactions) -> None:
    x = noisy.matrix.toarray().astype(np.float64)
    idf = np.maximum(np.log(60 / (1 + (x != 0).sum(axis=0))), 0)
    lengths = x.sum(axis=1, keepdims=True) / x.sum(axis=1).mean()
    weighted = x * 2.2 / (x + 1.2 * (0.25 + 0.75 * lengths)) * idf
    expected = top_per_column(dense_cosine(weighted), 6).T @ weighted
    found = UserKNN(n_neighbors=6, weighting="bm25").fit(noisy).score(USERS, noisy.matrix)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def plain_prediction(ratings: np.ndarray, sims: np.ndarray, row: int, column: int, k: int) -> float:
    """mean of the row + sum s (r - mean of the neighbour) / sum s over the k most similar rows with the column."""
    means = np.nanmean(ratings, axis=1)
    raters = [v for v in np.argsort(-sims[row], kind="stable") if np.isfinite(ratings[v, column]) and sims[row, v] > 0]
    raters = [v for v in raters if v != row][:k]
    if not raters:
        return float(means[row])
    weights = sims[row, raters]
    return float(means[row] + weights @ (ratings[raters, column] - means[raters]) / weights.sum())


@pytest.mark.parametrize("model", [UserKNN, ItemKNN])
def test_predicted_ratings_are_the_mean_plus_weighted_deviations(noisy: Interactions, model: Any) -> None:
    ratings = np.full((60, 50), np.nan)
    ratings[noisy.users, noisy.items] = noisy.ratings
    if model is ItemKNN:
        ratings = ratings.T
    sims = dense_cosine(np.nan_to_num(ratings))
    rng = np.random.default_rng(5)
    users, items = rng.integers(0, 60, 300).astype(np.int32), rng.integers(0, 50, 300).astype(np.int32)
    found = model(n_neighbors=4).fit(noisy).predict(users, items)
    pairs = zip(users, items) if model is UserKNN else zip(items, users)
    expected = [plain_prediction(ratings, sims, row, column, 4) for row, column in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_unknown_users_and_items_have_no_rating() -> None:
    data = contract_data()
    some = data.select((data.users != 3) & (data.items != 4))
    model = UserKNN().fit(some)
    users, items = np.array([3, 0, -1, 0, 0], dtype=np.int32), np.array([0, 4, 0, -1, 0], dtype=np.int32)
    assert np.isnan(model.predict(users, items)).tolist() == [True, True, True, True, False]


def test_a_user_like_nobody_is_predicted_his_mean() -> None:
    frame = pd.DataFrame({"user_id": [0, 0, 1, 1], "item_id": [0, 1, 2, 3], "rating": [2.0, 4.0, 5.0, 1.0]})
    data = Interactions.from_frame(frame, timestamp=None)
    assert UserKNN().fit(data).predict(np.zeros(1, np.int32), np.full(1, 2, np.int32))[0] == pytest.approx(3.0)


def test_known_and_unknown_users_with_one_history_get_the_same_neighbours_but_themselves() -> None:
    data = contract_data()
    model = UserKNN(n_neighbors=1).fit(data)
    stranger = model.score(np.array([-1], dtype=np.int32), data.matrix[9])
    np.testing.assert_allclose(stranger[0], data.matrix[9].toarray()[0], rtol=1e-5)  # user 9 is most like user 9
    known = model.score(np.array([9], dtype=np.int32), data.matrix[9])
    nearest = model.neighbors(9, 1)
    neighbour = data.catalogue.user_ids.get_loc(nearest.index[0])
    np.testing.assert_allclose(known[0], nearest.iloc[0] * data.matrix[neighbour].toarray()[0], rtol=1e-5)


def test_a_grown_history_counts_at_once() -> None:
    data = contract_data()
    model = UserKNN().fit(data)
    assert not np.allclose(model.score(USERS[:1], data.matrix[0]), model.score(USERS[:1], data.matrix[1]))


def test_neighbors_are_sorted_and_named_by_id() -> None:
    data = contract_data()
    found = ItemKNN().fit(data).neighbors(5, 8)
    assert len(found) == 8
    assert found.is_monotonic_decreasing
    assert data.catalogue.item_ids[5] not in found.index
    with pytest.raises(ValueError, match=r"0 \.\.\. 49; found 50"):
        ItemKNN().fit(data).neighbors(50)


def test_user_similarity_is_the_formula_of_the_project() -> None:
    data = contract_data()
    rated = [dict(zip(data.items[data.users == u].tolist(), data.ratings[data.users == u].tolist())) for u in range(60)]
    mean = [sum(r.values()) / len(r) for r in rated]
    model = UserKNN(similarity="pearson").fit(data)
    for u in (0, 31):
        found = model.neighbors(u, 60)
        for v in set(range(60)) - {u}:
            both = set(rated[u]) & set(rated[v])
            above = sum((rated[u][i] - mean[u]) * (rated[v][i] - mean[v]) for i in both)
            left = sum((rated[u][i] - mean[u]) ** 2 for i in both) ** 0.5
            right = sum((rated[v][i] - mean[v]) ** 2 for i in both) ** 0.5
            expected = max(above / (left * right), 0.0)
            assert found.get(data.catalogue.user_ids[v], 0.0) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("model", [UserKNN, ItemKNN])
def test_without_ratings_only_what_is_stored_counts(model: Any) -> None:
    data = contract_data()
    other = replace(data, ratings=np.zeros(len(data), dtype=np.float32))
    left, right = model(uses_ratings=False), model(uses_ratings=False)
    np.testing.assert_array_equal(left.fit(data).score(USERS, data.matrix), right.fit(other).score(USERS, other.matrix))
    assert (recommend_all(left, data).items >= 0).all()


@pytest.mark.parametrize("model", [UserKNN, ItemKNN])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors must be at least 1; found 0"),
        ({"shrinkage": -1.0}, r"shrinkage must be 0 or more; found -1\.0"),
        ({"similarity": "cosin"}, "one of cosine, pearson, .*; found 'cosin'; did you mean 'cosine'"),
        ({"weighting": "tf-idf"}, "did you mean 'tfidf'"),
        ({"neighbors_per": "row"}, "one of target, history"),
    ],
)
def test_wrong_values_are_named(model: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(**wrong).fit(contract_data())


def test_memory_of_the_item_weights_is_bounded_by_the_neighbours() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    frame = pd.DataFrame({"user_id": rng.integers(0, 400, 20_000), "item_id": rng.integers(0, n, 20_000)})
    data = Interactions.from_frame(frame.drop_duplicates(), rating=None, timestamp=None)
    weights = ItemKNN(n_neighbors=5).fit(data).weights_
    assert isinstance(weights, sparse.csr_matrix)
    assert weights.nnz <= 5 * n


def test_similarities_of_a_scored_item_can_sum_to_one(noisy: Interactions) -> None:
    x = noisy.matrix.toarray().astype(np.float64)
    kept = top_per_column(dense_cosine(x.T), 6)
    found = ItemKNN(n_neighbors=6, normalizes_rows=True).fit(noisy)
    np.testing.assert_allclose(found.weights_.toarray(), kept / kept.sum(axis=0), rtol=1e-4)
    lent = ItemKNN(n_neighbors=6, normalizes_rows=True, neighbors_per="history").fit(noisy).weights_.toarray()
    np.testing.assert_allclose(lent, kept.T / np.where(kept.T.sum(axis=0) > 0, kept.T.sum(axis=0), 1), rtol=1e-4)


@pytest.mark.parametrize("uses_ratings", [False, True])
def test_scores_relative_to_popularity(noisy: Interactions, uses_ratings: bool) -> None:
    x = noisy.matrix.toarray().astype(np.float64)
    x = x if uses_ratings else (x > 0).astype(np.float64)
    means = x.mean(axis=0)
    model = ItemKNN(n_neighbors=50, normalizes_rows=True, subtracts_popularity=True, uses_ratings=uses_ratings)
    kept = top_per_column(dense_cosine(x.T), 50)
    expected = (x - means) @ (kept / kept.sum(axis=0)) + means
    np.testing.assert_allclose(model.fit(noisy).score(USERS, noisy.matrix), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("similarity", ["asymmetric_cosine", "tversky"])
def test_a_user_lends_to_those_who_are_most_like_it_when_likeness_has_a_side(
    noisy: Interactions, similarity: Any
) -> None:
    x = noisy.matrix.toarray().astype(np.float64)
    if similarity == "tversky":
        stored = (x > 0).astype(np.float64)
        both, sizes = stored @ stored.T, stored.sum(axis=1)
        likeness = both / (both + 0.9 * (sizes[:, None] - both) + 0.2 * (sizes - both) + 1e-6)
    else:
        lengths = (x**2).sum(axis=1)
        likeness = x @ x.T / (lengths[:, None] ** 0.9 * lengths**0.1 + 1e-6)
    np.fill_diagonal(likeness, 0.0)
    model = UserKNN(n_neighbors=60, similarity=similarity, alpha=0.9, beta=0.2, neighbors_per="history").fit(noisy)
    np.testing.assert_allclose(model.score(USERS, noisy.matrix), likeness @ x, rtol=1e-4)
    few = UserKNN(n_neighbors=6, similarity=similarity, alpha=0.9, beta=0.2, neighbors_per="history").fit(noisy)
    least = np.sort(likeness, axis=0)[-6]
    kept = np.where(likeness >= least * (1 - 1e-6), likeness, 0.0)
    np.testing.assert_allclose(few.score(USERS, noisy.matrix), kept @ x, rtol=1e-3)


@pytest.mark.parametrize("model", [UserKNN, ItemKNN])
@pytest.mark.parametrize("similarity", ["adjusted_cosine", "asymmetric_cosine", "dice", "tversky"])
def test_every_similarity_ranks_and_predicts(model: Any, similarity: Any) -> None:
    data = contract_data()
    fitted = model(similarity=similarity, alpha=0.8, n_neighbors=10).fit(data)
    assert (recommend_all(fitted, data).items >= 0).all()
    found = fitted.predict(data.users, data.items)
    assert np.isfinite(found).all()
    assert 1 <= found.mean() <= 5
    plain = model(n_neighbors=10).fit(data)
    assert not np.allclose(fitted.score(USERS, data.matrix), plain.score(USERS, data.matrix))
