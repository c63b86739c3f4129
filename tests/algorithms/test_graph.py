"""Walks against plain NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pandas as pd
import pytest

from recsys_lab.algorithms import similarity
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.graph import P3alpha, RP3beta
from recsys_lab.data.interactions import Interactions

USERS = np.arange(60, dtype=np.int32)


def row_normalised(x: np.ndarray) -> np.ndarray:
    """Rows that sum to 1; rows of 0 stay."""
    sums = x.sum(axis=1, keepdims=True)
    return np.divide(x, sums, out=np.zeros_like(x), where=sums != 0)


def best_per_row(w: np.ndarray, k: int) -> np.ndarray:
    """Everything but the k largest of each row set to 0."""
    kept = np.zeros_like(w)
    best = np.argsort(-w, axis=1, kind="stable")[:, :k]
    np.put_along_axis(kept, best, np.take_along_axis(w, best, axis=1), axis=1)
    return kept


def walks(x: np.ndarray, k: int, alpha: float, beta: float, normalizes_rows: bool) -> np.ndarray:
    """The recipe of the literature, step by step."""
    w = row_normalised(x.T) ** alpha * (x.T > 0) @ (row_normalised(x) ** alpha * (x > 0))
    w = w * np.maximum((x > 0).sum(axis=0), 1) ** -beta
    np.fill_diagonal(w, 0.0)
    w = best_per_row(w, k)
    if normalizes_rows:
        w = row_normalised(w)
    return best_per_row(w.T, k).T


@pytest.fixture(scope="module")
def noisy() -> Interactions:
    """Ratings without equal walks, so that the k best are unique."""
    data = contract_data()
    noise = np.random.default_rng(0).random(len(data)).astype(np.float32)
    return replace(data, ratings=(data.ratings + 0.5 * noise).astype(np.float32))


@pytest.mark.parametrize("normalizes_rows", [False, True])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.4, 0.0), (1.7, 0.8)])
def test_weights_are_the_recipe(noisy: Interactions, alpha: float, beta: float, normalizes_rows: bool) -> None:
    x = noisy.matrix.toarray().astype(np.float64)
    options: dict[str, Any] = {
        "n_neighbors": 7, "alpha": alpha, "normalizes_rows": normalizes_rows, "uses_ratings": True,
    }  # fmt: skip
    model = RP3beta(beta=beta, **options).fit(noisy)
    expected = walks(x, 7, alpha, beta, normalizes_rows)
    np.testing.assert_allclose(model.weights_.toarray(), expected, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(model.score(USERS, noisy.matrix), x @ expected, rtol=1e-4, atol=1e-6)
    if beta == 0:
        plain = P3alpha(**options).fit(noisy)
        assert (plain.weights_ != model.weights_).nnz == 0


def test_without_ratings_all_steps_of_a_user_are_alike() -> None:
    data = contract_data()
    x = (data.matrix.toarray() > 0).astype(np.float64)
    found = RP3beta(n_neighbors=50, beta=0.3, normalizes_rows=False).fit(data).weights_.toarray()
    np.testing.assert_allclose(found, walks(x, 50, 1.0, 0.3, False), rtol=1e-4, atol=1e-8)


def test_popular_items_are_held_back() -> None:
    data = contract_data()
    popularity = data.item_popularity

    def mean_popularity(beta: float) -> float:
        lists = RP3beta(beta=beta).fit(data).recommend(USERS, data.matrix, 5)
        return float(popularity[lists.items].mean())

    assert mean_popularity(1.5) < mean_popularity(0.7) < mean_popularity(0.0)


def test_threads_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = contract_data()
    whole = RP3beta(n_neighbors=9).fit(data).weights_
    before = numba.get_num_threads()
    monkeypatch.setattr(similarity, "BLOCK_BYTES", 9 * 8 * 7)
    numba.set_num_threads(1)
    try:
        again = RP3beta(n_neighbors=9).fit(data).weights_
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(again.toarray(), whole.toarray())


def test_memory_of_the_weights_is_bounded_by_the_neighbours() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user_id": rng.integers(0, 400, 20_000), "item_id": rng.integers(0, 3000, 20_000)})
    data = Interactions.from_frame(frame.drop_duplicates(), rating=None, timestamp=None)
    weights = P3alpha(n_neighbors=5).fit(data).weights_
    assert weights.nnz <= 5 * data.n_items
    assert (np.diff(weights.indptr) <= 5).all()
    assert (np.diff(weights.tocsc().indptr) <= 5).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors must be at least 1; found 0"),
        ({"alpha": -0.1}, r"alpha must be 0 or more; found -0\.1"),
        ({"beta": float("nan")}, "beta must be 0 or more; found nan"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RP3beta(**wrong).fit(contract_data())


def test_negative_ratings_are_no_weights_of_steps() -> None:
    data = contract_data()
    negative = replace(data, ratings=(data.ratings - 3).astype(np.float32))
    with pytest.raises(ValueError, match=r"must be 0 or more; found -[0-9.]+; set uses_ratings=False"):
        P3alpha(uses_ratings=True).fit(negative)
    P3alpha(uses_ratings=False).fit(negative)
