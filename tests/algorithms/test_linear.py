"""EASE against the formula in float64, and its limits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.linear import EASE
from recsys_lab.data.interactions import Interactions

USERS = np.arange(60, dtype=np.int32)


def closed_form(x: np.ndarray, regularization: float) -> np.ndarray:
    """B = -P / diag(P), zero diagonal (Steck, WWW 2019, eq. 8), by the plain inverse in float64."""
    inverse = np.linalg.inv(x.T @ x + regularization * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


@pytest.mark.parametrize("regularization", [1.0, 30.0, 500.0])
@pytest.mark.parametrize("uses_ratings", [True, False])
def test_weights_are_the_closed_form(regularization: float, uses_ratings: bool) -> None:
    data = contract_data()
    x = data.matrix.toarray().astype(np.float64)
    x = x if uses_ratings else (x != 0).astype(np.float64)
    model = EASE(regularization=regularization, uses_ratings=uses_ratings).fit(data)
    np.testing.assert_allclose(model.weights_, closed_form(x, regularization), atol=2e-5)
    np.testing.assert_allclose(
        model.score(USERS, data.matrix), x @ closed_form(x, regularization), rtol=1e-3, atol=2e-4
    )


def test_tiles_meet_without_a_seam() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"user_id": rng.integers(0, 90, 6000), "item_id": rng.integers(0, 201, 6000)})
    data = Interactions.from_frame(frame.drop_duplicates(), rating=None, timestamp=None)  # 201 items: 3.1 tiles
    model = EASE(regularization=10.0).fit(data)
    x = data.matrix.toarray().astype(np.float64)
    np.testing.assert_allclose(model.weights_, closed_form(x, 10.0), atol=2e-5)
    users = np.arange(data.n_users, dtype=np.int32)
    np.testing.assert_allclose(model.score(users, data.matrix), x @ closed_form(x, 10.0), atol=1e-3)


def test_a_stored_zero_counts_as_chosen() -> None:
    frame = pd.DataFrame({"user_id": [0, 0, 1, 1, 2], "item_id": [0, 1, 0, 1, 2], "rating": [5.0, 0.0, 0.0, 3.0, 4.0]})
    data = Interactions.from_frame(frame, timestamp=None)
    x = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(EASE(regularization=1.0).fit(data).weights_, closed_form(x, 1.0), atol=1e-6)


def test_it_says_what_it_needs_before_it_takes_it() -> None:
    items = pd.DataFrame(index=pd.RangeIndex(60_000, name="item_id"))
    frame = pd.DataFrame({"user_id": [0], "item_id": [0]})
    data = Interactions.from_frame(frame, rating=None, timestamp=None, items=items)
    with pytest.raises(MemoryError, match=r"60000 items need 13\.4 GB and max_memory_gb is 4\.0.*ItemKNN"):
        EASE().fit(data)


@pytest.mark.parametrize("wrong", [0.0, -3.0, float("nan"), float("inf")])
def test_wrong_regularization_is_named(wrong: float) -> None:
    with pytest.raises(ValueError, match="regularization must be a finite number above 0; found"):
        EASE(regularization=wrong).fit(contract_data())


@pytest.mark.parametrize("n_held", [0, 1, 3, 4, 5, 8, 41])
def test_a_user_alone_has_the_bits_of_the_batch_and_of_a_sum_in_order(n_held: int) -> None:
    rng = np.random.default_rng(n_held)
    n_items, n_users = 300, 20
    model = EASE()
    model.weights_ = rng.standard_normal((n_items, n_items)).astype(np.float32)
    rows = np.zeros((n_users, n_items), dtype=np.float32)
    for row in rows:
        row[rng.choice(n_items, n_held, replace=False)] = 1
    histories = sparse.csr_matrix(rows)
    together = model.score(np.arange(n_users, dtype=np.int32), histories)
    for user in range(n_users):
        alone = model.score(np.array([user], dtype=np.int32), histories[user])
        expected = np.zeros(n_items, dtype=np.float32)
        for item in histories[user].indices:
            expected += model.weights_[item]
        np.testing.assert_array_equal(alone[0], expected)
        np.testing.assert_array_equal(together[user], expected)
