"""RankingNMF against scikit-learn and against the plain multiplicative steps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import NMF

from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.nmf import RankingNMF

USERS = np.arange(60, dtype=np.int32)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_item_factors_and_scores_are_those_of_scikit_learn() -> None:
    train = contract_data()
    model = RankingNMF(n_factors=4, n_epochs=100).fit(train)
    seen = (train.matrix.toarray() > 0).astype(np.float32)
    other = NMF(4, init="nndsvda", max_iter=100, tol=0.0, random_state=0)
    other.fit(sparse.csr_matrix(seen))
    np.testing.assert_allclose(model.item_factors_, other.components_, atol=1e-4)
    expected = other.transform(seen) @ other.components_
    np.testing.assert_allclose(model.score(USERS, train.matrix), expected, atol=1e-3)


def test_fold_in_for_the_divergence_takes_multiplicative_steps() -> None:
    train = contract_data()
    model = RankingNMF(
        n_factors=3, n_epochs=20, loss="kullback-leibler", solver="mu", initial="random",
        regularization=0.01, l1_ratio=0.5,
    ).fit(train)  # fmt: skip
    factors, seen = model.item_factors_.astype(float), (train.matrix.toarray() > 0).astype(float)
    weights = np.full((60, 3), 0.1)
    penalty = 0.01 * 50 * 0.5
    for _ in range(20):
        weights *= (seen / (weights @ factors)) @ factors.T / (factors.sum(axis=1) + penalty + penalty * weights)
    np.testing.assert_allclose(model.score(USERS, train.matrix), weights @ factors, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_scores_do_not_depend_on_the_batch(loss: str) -> None:
    train = contract_data()
    model = RankingNMF(n_factors=4, solver="mu", loss=loss, n_epochs=10).fit(train)  # type: ignore[arg-type]
    one = model.score(USERS[5:6], train.matrix[5])
    np.testing.assert_allclose(one[0], model.score(USERS, train.matrix)[5], rtol=1e-5, atol=1e-6)


def test_nothing_is_negative() -> None:
    train = contract_data()
    model = RankingNMF(n_factors=6).fit(train)
    assert (model.item_factors_ >= 0).all()
    assert (model.score(USERS, train.matrix) >= 0).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "kullback-leibler"}, "needs solver='mu'; found solver='cd'"),
        ({"l1_ratio": 1.5}, "between 0 and 1; found 1.5"),
        ({"solver": "lbfgs"}, "solver must be one of cd, mu; found 'lbfgs'"),
        ({"regularization": 50.0}, "all factors became 0; found regularization=50.0"),
    ],
)
def test_wrong_values_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RankingNMF(**given).fit(contract_data())  # type: ignore[arg-type]


def test_histories_of_another_catalogue_are_refused() -> None:
    model = RankingNMF(n_factors=2).fit(contract_data())
    with pytest.raises(ValueError, match="51 columns; the model was fitted on 50 items"):
        model.score(USERS[:1], sparse.csr_matrix((1, 51), dtype=np.float32))
