"""Explicit ALS against the normal equations written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.explicit_als import ExplicitALS


def solved(ratings: np.ndarray, there: np.ndarray, fixed: np.ndarray, model: ExplicitALS, mean: float) -> np.ndarray:
    """One ridge regression a row on the columns that are there, in float64; vector and bias."""
    rows = []
    for values, mask in zip(ratings, there, strict=True):
        design = np.column_stack([fixed[mask, :-1], np.ones(mask.sum())])
        ridge = model.regularization * mask.sum() ** model.regularization_exponent
        target = values[mask] - mean - fixed[mask, -1]
        rows.append(np.linalg.solve(design.T @ design + ridge * np.eye(design.shape[1]), design.T @ target))
    return np.array(rows)


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_an_epoch_is_two_exact_regressions(exponent: float) -> None:
    train = contract_data()
    model = ExplicitALS(n_factors=3, n_epochs=1, regularization_exponent=exponent, random_state=5).fit(train)
    ratings = train.matrix.toarray().astype(float)
    there, mean = ratings > 0, ratings[ratings > 0].mean()
    start = np.random.default_rng(5).standard_normal((60, 3)) * 0.1 / np.sqrt(3)
    items = solved(ratings.T, there.T, np.column_stack([start, np.zeros(60)]), model, mean)
    users = solved(ratings, there, items, model, mean)
    np.testing.assert_allclose(model.items_[:-1], items, atol=1e-4)
    np.testing.assert_allclose(model.users_[:-1], users, atol=1e-4)
    assert model.mean_ == pytest.approx(mean)


def test_scores_of_known_users_are_their_predictions() -> None:
    train = contract_data()
    model = ExplicitALS().fit(train)
    scores = model.score(np.arange(60, dtype=np.int32), train.matrix)
    np.testing.assert_allclose(scores[train.users, train.items], model.predict(train.users, train.items), atol=1e-4)


def test_a_new_user_with_the_history_of_a_known_one_gets_the_same_scores() -> None:
    train = contract_data()
    model = ExplicitALS().fit(train)
    known, new = (model.score(np.array([code], dtype=np.int32), train.matrix[9]) for code in (9, -1))
    np.testing.assert_array_equal(known, new)


def test_the_unknown_add_nothing() -> None:
    train = contract_data()
    model = ExplicitALS().fit(train)
    nobody, user, item = np.array([[-1, -1], [4, -1], [-1, 6]], dtype=np.int32)
    found = [float(model.predict(pair[:1], pair[1:])[0]) for pair in (nobody, user, item)]
    mean = model.mean_
    np.testing.assert_allclose(found, [mean, mean + model.users_[4, -1], mean + model.items_[6, -1]], rtol=1e-6)
    empty = sparse.csr_matrix((1, train.n_items), dtype=np.float32)
    np.testing.assert_allclose(model.score(nobody[:1], empty)[0], mean + model.items_[:-1, -1], rtol=1e-6)


def test_it_beats_the_mean_on_ratings_it_has_not_seen() -> None:
    train = contract_data()
    hidden = np.random.default_rng(0).random(len(train)) < 0.2
    model = ExplicitALS(n_factors=4, regularization=0.2).fit(train.select(~hidden))
    errors = train.ratings[hidden] - model.predict(train.users[hidden], train.items[hidden])
    assert np.mean(errors**2) < 0.9 * np.mean((train.ratings[hidden] - model.mean_) ** 2)


@pytest.mark.parametrize(("name", "value"), [("n_factors", 0), ("n_epochs", 0), ("regularization", 0.0)])
def test_wrong_values_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{name} must .*found {value}"):
        ExplicitALS(**{name: value}).fit(contract_data())  # type: ignore[arg-type]
