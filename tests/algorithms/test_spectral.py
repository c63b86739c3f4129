"""GF-CF against its formula with dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.algorithms import spectral
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.spectral import GFCF, right_singular_vectors

USERS = np.arange(60, dtype=np.int32)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_scores_are_the_two_filters(weight: float) -> None:
    data = contract_data()
    r = (data.matrix.toarray() > 0).astype(np.float64)
    d_users, d_items = r.sum(axis=1), r.sum(axis=0)
    normal = r / np.sqrt(np.outer(d_users, d_items))
    v = np.linalg.svd(normal)[2][:6].T
    low_pass = np.diag(d_items**-0.5) @ v @ v.T @ np.diag(d_items**0.5)
    expected = r @ (normal.T @ normal + weight * low_pass)
    found = GFCF(n_factors=6, low_pass_weight=weight).fit(data).score(USERS, data.matrix)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_items_and_users_without_rows_score_zero() -> None:
    data = contract_data()
    some = data.select((data.items != 4) & (data.users != 2))
    scores = GFCF(n_factors=6).fit(some).score(USERS, some.matrix)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[:, 4], 0, atol=1e-6)
    np.testing.assert_array_equal(scores[2], 0)


def test_an_item_that_training_did_not_know_adds_nothing_to_a_history() -> None:
    data = contract_data()
    some = data.select(data.items != 4)
    model = GFCF(n_factors=6).fit(some)
    longer = data.matrix[np.flatnonzero(data.matrix[:, [4]].toarray().ravel())[:1]]
    shorter = longer.copy()
    shorter.data = np.where(shorter.indices == 4, 0, shorter.data).astype(np.float32)
    shorter.eliminate_zeros()
    one = np.zeros(1, dtype=np.int32)
    np.testing.assert_allclose(model.score(one, longer), model.score(one, shorter), atol=1e-6)


def test_histories_of_another_catalogue_are_refused() -> None:
    data = contract_data()
    with pytest.raises(ValueError, match="7 columns; the model was fitted on 50 items"):
        GFCF(n_factors=3).fit(data).score(USERS, data.matrix[:, :7])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_factors": 0}, "n_factors must be at least 1; found 0"),
        ({"low_pass_weight": -0.3}, r"low_pass_weight must be 0 or more; found -0\.3"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GFCF(**wrong).fit(contract_data())


@pytest.mark.parametrize("shape", [(90, 40), (40, 90)])
@pytest.mark.parametrize("dense", [0, 2000])
def test_singular_vectors_are_those_of_a_dense_svd(
    shape: tuple[int, int], dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectral, "DENSE", dense)
    matrix = sparse.random_array(shape, density=0.2, rng=np.random.default_rng(1), format="csr", dtype=np.float32)
    expected = np.linalg.svd(matrix.toarray())[2][:9].T
    found = right_singular_vectors(sparse.csr_matrix(matrix), 9)
    assert found.shape == (shape[1], 9)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-4)


def test_vectors_that_are_not_determined_are_left_out() -> None:
    matrix = sparse.csr_matrix(np.outer(np.ones(5), np.arange(4.0)))
    assert right_singular_vectors(matrix, 3).shape == (4, 1)
