"""SLIM against scikit-learn's elastic net."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import ElasticNet

from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.slim import SLIM
from recsys_lab.data.interactions import Interactions

USERS = np.arange(60, dtype=np.int32)


def elastic_nets(x: np.ndarray, alpha: float, l1_ratio: float, positive: bool, n_items: int = 50) -> np.ndarray:
    """Weights (history, n_items): the first columns, each regressed on all others by scikit-learn."""
    weights = np.zeros((x.shape[1], n_items))
    for item in range(n_items):
        others = x.copy()
        others[:, item] = 0.0
        net = ElasticNet(
            alpha=alpha, l1_ratio=l1_ratio, positive=positive, fit_intercept=False, tol=1e-13, max_iter=100_000
        )
        weights[:, item] = net.fit(others, x[:, item]).coef_
    return weights


@pytest.mark.parametrize("uses_ratings", [False, True])
@pytest.mark.parametrize(
    ("regularization", "l1_ratio", "non_negative"),
    [(0.01, 0.1, True), (0.001, 0.9, True), (0.01, 0.5, False), (0.1, 0.02, False)],
)
def test_weights_are_those_of_sklearn(
    regularization: float, l1_ratio: float, non_negative: bool, uses_ratings: bool
) -> None:
    data = contract_data()
    x = data.matrix.toarray().astype(np.float64)
    x = x if uses_ratings else (x > 0).astype(np.float64)
    expected = elastic_nets(x, regularization, l1_ratio, non_negative)
    options: dict[str, Any] = {
        "n_neighbors": 50,
        "regularization": regularization,
        "l1_ratio": l1_ratio,
        "non_negative": non_negative,
        "uses_ratings": uses_ratings,
        "tolerance": 1e-9,
    }
    # one Gram matrix, and one for each item; items that share no user are no candidates and may have weights below 0
    for n_candidates in (0, 50) if non_negative else (0,):
        model = SLIM(n_candidates=n_candidates, **options).fit(data)
        np.testing.assert_allclose(model.weights_.toarray(), expected, atol=5e-6)
    np.testing.assert_allclose(model.score(USERS, data.matrix), x @ expected, atol=1e-4)
    assert not expected.diagonal().any()
    assert (expected < 0).any() == (not non_negative)


def test_the_working_set_grows_until_nothing_is_missing() -> None:
    """More candidates than enter at first, and hardly a penalty: most items get a weight."""
    rng = np.random.default_rng(4)
    stored = rng.random((400, 150)) < 0.3
    frame = pd.DataFrame(np.argwhere(stored), columns=["user_id", "item_id"])
    data = Interactions.from_frame(frame, rating=None, timestamp=None)
    expected = elastic_nets(stored.astype(np.float64), 1e-5, 0.1, False, n_items=5)
    found = SLIM(n_neighbors=150, regularization=1e-5, non_negative=False, tolerance=1e-9).fit(data).weights_
    assert (np.count_nonzero(expected, axis=0) > 100).all()
    np.testing.assert_allclose(found.toarray()[:, :5], expected, atol=5e-6)


def test_the_largest_weights_are_kept() -> None:
    data = contract_data()
    whole = SLIM(n_neighbors=50, regularization=1e-3, non_negative=False).fit(data).weights_.toarray()
    kept = SLIM(n_neighbors=4, regularization=1e-3, non_negative=False).fit(data).weights_.toarray()
    for item in range(50):
        best = np.argsort(-np.abs(whole[:, item]), kind="stable")[:4]
        expected = np.zeros(50)
        expected[best] = whole[best, item]
        np.testing.assert_array_equal(kept[:, item], expected.astype(np.float32))


def test_only_candidates_get_a_weight() -> None:
    data = contract_data()
    x = (data.matrix.toarray() > 0).astype(np.float64)
    cosines = x.T @ x / np.sqrt(np.outer(x.sum(axis=0), x.sum(axis=0)))
    np.fill_diagonal(cosines, 0)
    weights = SLIM(n_candidates=5, regularization=1e-4, non_negative=False).fit(data).weights_.toarray()
    least = np.sort(cosines, axis=0)[-5]  # of each scored item
    assert (np.count_nonzero(weights, axis=0) <= 5).all()
    assert np.count_nonzero(weights) > 100
    assert (cosines + 1e-6 >= least)[weights != 0].all()


@pytest.mark.parametrize("n_candidates", [0, 20])
def test_threads_change_nothing(n_candidates: int) -> None:
    data = contract_data()
    many = SLIM(n_candidates=n_candidates).fit(data).weights_
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        one = SLIM(n_candidates=n_candidates).fit(data).weights_
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(one.toarray(), many.toarray())


def test_memory_is_asked_for_before_it_is_taken() -> None:
    data = contract_data()
    with pytest.raises(MemoryError, match=r"50 items need 0\.0 GB and max_memory_gb is 1e-09; raise it, or set n_cand"):
        SLIM(max_memory_gb=1e-9).fit(data)
    SLIM(max_memory_gb=1e-9, n_candidates=10).fit(data)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors must be at least 1; found 0"),
        ({"n_candidates": -1}, "n_candidates must be 0 .all. or more; found -1"),
        ({"regularization": 0.0}, r"regularization must be a finite number above 0; found 0\.0"),
        ({"l1_ratio": 1.5}, r"l1_ratio must be between 0 and 1; found 1\.5"),
        ({"tolerance": -1.0}, "tolerance must be a finite number above 0"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SLIM(**wrong).fit(contract_data())


def test_ratings_can_be_left_out() -> None:
    data = contract_data()
    ones = replace(data, ratings=np.ones(len(data), dtype=np.float32))
    left, right = SLIM().fit(data), SLIM(uses_ratings=True).fit(ones)
    np.testing.assert_array_equal(left.weights_.toarray(), right.weights_.toarray())
