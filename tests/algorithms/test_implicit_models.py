"""The adapter gives what implicit gives, repeats, and agrees with the lab's own solver on the same loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.ials import IALS

implicit = pytest.importorskip("implicit", reason='needs: pip install "recsys_lab[implicit]"')

from implicit.cpu.als import AlternatingLeastSquares  # noqa: E402
from implicit.cpu.bpr import BayesianPersonalizedRanking  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from recsys_lab.algorithms.implicit_models import ImplicitALS, ImplicitBPR, ImplicitLMF  # noqa: E402

USERS = np.arange(60, dtype=np.int32)


def ones() -> Any:
    matrix = contract_data().matrix.copy()
    matrix.data[:] = 1
    return matrix


def test_als_is_implicits() -> None:
    with threadpool_limits(1, user_api="blas"):
        other = AlternatingLeastSquares(factors=8, regularization=0.1, alpha=3.0, iterations=4, random_state=2)
        other.fit(ones(), show_progress=False)
        expected = other.recalculate_user(USERS, ones()) @ other.item_factors.T
    model = ImplicitALS(n_factors=8, regularization=0.1, alpha=3.0, n_epochs=4, random_state=2).fit(contract_data())
    np.testing.assert_allclose(model.score(USERS, contract_data().matrix), expected, atol=1e-5)


def test_bpr_is_implicits_on_one_thread() -> None:
    other = BayesianPersonalizedRanking(
        factors=8, learning_rate=0.1, regularization=0.02, iterations=5, num_threads=1, random_state=2
    )
    other.fit(ones(), show_progress=False)
    model = ImplicitBPR(n_factors=8, learning_rate=0.1, regularization=0.02, n_epochs=5, random_state=2)
    scores = model.fit(contract_data()).score(USERS, contract_data().matrix)
    np.testing.assert_allclose(scores, other.user_factors @ other.item_factors.T, rtol=1e-5)


@pytest.mark.parametrize("algorithm", [ImplicitALS, ImplicitBPR, ImplicitLMF])
def test_equal_seeds_give_equal_factors(algorithm: Any) -> None:
    first, second = (algorithm(n_factors=4, n_epochs=3, random_state=1).fit(contract_data()) for _ in range(2))
    np.testing.assert_array_equal(first.item_factors_, second.item_factors_)


def test_ials_finds_the_same_optimum_of_the_same_loss() -> None:
    alpha, ridge, train = 5.0, 4.0, contract_data()
    weight = 1 / (alpha - 1)
    reference = ImplicitALS(n_factors=3, n_epochs=300, alpha=alpha, regularization=ridge, uses_cg=False).fit(train)
    own = IALS(
        n_factors=3, n_epochs=300, solver="cholesky", unobserved_weight=weight,
        regularization=ridge * weight / (1 + weight), regularization_exponent=0.0,
    ).fit(train)  # fmt: skip
    expected = reference.score(USERS, train.matrix) / (1 + weight)  # the loss of IALS pulls towards 1 / (1 + w)
    np.testing.assert_allclose(own.score(USERS, train.matrix), expected, atol=0.005)


def test_a_training_that_runs_away_is_an_error() -> None:
    with pytest.raises(ValueError, match="training diverged"):
        ImplicitBPR(learning_rate=50.0, regularization=5.0).fit(contract_data())
