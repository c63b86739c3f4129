"""PureSVD against the exact decomposition."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.factorization import PureSVD

USERS = np.arange(60, dtype=np.int32)


def test_scores_are_the_history_projected_on_the_exact_factors() -> None:
    data = contract_data()
    x = data.matrix.toarray().astype(np.float64)
    _, strengths, factors = np.linalg.svd(x, full_matrices=False)
    model = PureSVD(n_factors=4, n_iterations=30).fit(data)
    np.testing.assert_allclose(model.singular_values_, strengths[:4], rtol=1e-4)
    np.testing.assert_allclose(model.score(USERS, data.matrix), x @ factors[:4].T @ factors[:4], atol=2e-2)


def test_signs_do_not_depend_on_the_seed() -> None:
    first, second = (PureSVD(n_factors=3, n_iterations=30, random_state=seed).fit(contract_data()) for seed in (0, 1))
    np.testing.assert_allclose(first.item_factors_, second.item_factors_, atol=1e-2)
    assert (first.item_factors_[np.abs(first.item_factors_).argmax(axis=0), range(3)] > 0).all()


def test_more_factors_than_there_are_is_no_error() -> None:
    model = PureSVD(n_factors=500).fit(contract_data())
    assert model.item_factors_.shape == (50, 50)


def test_wrong_values_are_named() -> None:
    with pytest.raises(ValueError, match="n_factors must be at least 1; found 0"):
        PureSVD(n_factors=0).fit(contract_data())
    with pytest.raises(ValueError, match="n_iterations must be 0 or more; found -1"):
        PureSVD(n_iterations=-1).fit(contract_data())
