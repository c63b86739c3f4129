"""IALS against the normal equations written out in NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from scipy import sparse

from recsys_lab.algorithms.als_kernels import N_CHUNKS, gram_matrix, spread
from recsys_lab.algorithms.ials import IALS
from recsys_lab.data.interactions import Catalogue, Interactions


def _interactions(seed: int = 0, n_users: int = 30, n_items: int = 20, share: float = 0.2) -> Interactions:
    import pandas as pd

    chosen = np.argwhere(np.random.default_rng(seed).random((n_users, n_items)) < share)
    catalogue = Catalogue(pd.RangeIndex(n_users), pd.RangeIndex(n_items), pd.DataFrame(index=range(n_items)))
    users, items = chosen.T.astype(np.int32)
    return Interactions(users, items, np.ones(len(users), np.float32), None, catalogue)


def _solve(matrix: np.ndarray, fixed: np.ndarray, model: IALS) -> np.ndarray:
    """Rendle et al., RecSys 2022: one least-squares problem a row, in float64."""
    rows = []
    for observed in matrix.astype(bool):
        load = observed.sum() + model.unobserved_weight * len(observed)
        ridge = model.regularization * load**model.regularization_exponent
        mine = fixed[observed]
        system = mine.T @ mine + model.unobserved_weight * fixed.T @ fixed + ridge * np.eye(fixed.shape[1])
        rows.append(np.linalg.solve(system, mine.sum(axis=0)))
    return np.array(rows)


def _objective(matrix: np.ndarray, users: np.ndarray, items: np.ndarray, model: IALS) -> float:
    """The loss that the docstring states, for exponent 0."""
    scores = users @ items.T
    observed = ((1 - scores) ** 2)[matrix > 0].sum()
    ridge = model.regularization * ((users**2).sum() + (items**2).sum())
    return float(observed + model.unobserved_weight * (scores**2).sum() + ridge)


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_scores_are_the_exact_solution_for_the_history(exponent: float) -> None:
    data = _interactions()
    model = IALS(n_factors=5, n_epochs=3, solver="cholesky", regularization_exponent=exponent).fit(data)
    expected = _solve(data.matrix.toarray(), model.item_factors_.astype(float), model) @ model.item_factors_.T
    scores = model.score(np.arange(30, dtype=np.int32), data.matrix)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_an_epoch_is_two_exact_solutions() -> None:
    data = _interactions()
    model = IALS(n_factors=4, n_epochs=1, solver="cholesky", random_state=3).fit(data)
    rng = np.random.default_rng(3)
    scale = model.init_scale / np.sqrt(4)
    rng.standard_normal((30, 4))
    items = rng.standard_normal((20, 4)) * scale
    users = _solve(data.matrix.toarray(), items, model)
    np.testing.assert_allclose(model.item_factors_, _solve(data.matrix.toarray().T, users, model), atol=1e-4)


def test_many_conjugate_gradient_steps_are_the_exact_solution() -> None:
    data = _interactions()
    exact = IALS(n_factors=6, n_epochs=2, solver="cholesky").fit(data).item_factors_
    steps = IALS(n_factors=6, n_epochs=2, solver="cg", n_cg_steps=30).fit(data).item_factors_
    np.testing.assert_allclose(steps, exact, atol=2e-4)


def _block_steps(matrix: np.ndarray, fixed: np.ndarray, start: np.ndarray, model: IALS) -> np.ndarray:
    """Blocks of factors minimised in turn, the others as they are, in float64."""
    out = start.astype(float).copy()
    for row, observed in enumerate(matrix.astype(bool)):
        ridge = model.regularization * (observed.sum() + model.unobserved_weight * len(observed))
        system = fixed[observed].T @ fixed[observed] + model.unobserved_weight * fixed.T @ fixed
        system += ridge * np.eye(fixed.shape[1])
        for first in range(0, fixed.shape[1], model.subspace_size):
            block = slice(first, min(first + model.subspace_size, fixed.shape[1]))
            others = np.delete(np.arange(fixed.shape[1]), np.r_[block])
            wanted = fixed[observed].sum(axis=0)[block] - system[block][:, others] @ out[row, others]
            out[row, block] = np.linalg.solve(system[block, block], wanted)
    return out


def test_an_epoch_in_subspaces_is_two_passes_over_the_blocks() -> None:
    data = _interactions(share=0.4)
    model = IALS(n_factors=7, n_epochs=1, solver="subspace", subspace_size=3, init_scale=1.0).fit(data)
    rng, scale = np.random.default_rng(0), model.init_scale / np.sqrt(7)
    users, items = rng.standard_normal((30, 7)) * scale, rng.standard_normal((20, 7)) * scale
    users = _block_steps(data.matrix.toarray(), items, users, model)
    items = _block_steps(data.matrix.toarray().T, users, items, model)
    np.testing.assert_allclose(model.item_factors_, items, atol=1e-5)


def test_a_subspace_of_all_factors_is_the_exact_solution() -> None:
    data = _interactions()
    exact = IALS(n_factors=6, n_epochs=2, solver="cholesky").fit(data).item_factors_
    whole = IALS(n_factors=6, n_epochs=2, solver="subspace", subspace_size=6).fit(data).item_factors_
    np.testing.assert_array_equal(whole, exact)


@pytest.mark.parametrize("solver", ["cg", "cholesky", "subspace"])
def test_the_number_of_threads_changes_no_bit(solver: str) -> None:
    data = _interactions(n_users=200, n_items=70)
    before = numba.get_num_threads()
    fitted = []
    try:
        for n_threads in (1, before):
            numba.set_num_threads(n_threads)
            fitted.append(IALS(n_factors=9, n_epochs=2, solver=solver).fit(data).item_factors_.tobytes())
    finally:
        numba.set_num_threads(before)
    assert fitted[0] == fitted[1]


def test_conjugate_gradients_are_those_of_numpy() -> None:
    data = _interactions(share=0.5)
    model = IALS(n_factors=6, n_epochs=1, n_cg_steps=2, init_scale=1.0).fit(data)
    rng, scale = np.random.default_rng(0), model.init_scale / np.sqrt(6)
    users, items = rng.standard_normal((30, 6)) * scale, rng.standard_normal((20, 6)) * scale
    matrix = data.matrix.toarray()
    users = _cg_steps(matrix, items, users, model)
    np.testing.assert_allclose(model.item_factors_, _cg_steps(matrix.T, users, items, model), atol=1e-5)


def _cg_steps(matrix: np.ndarray, fixed: np.ndarray, start: np.ndarray, model: IALS) -> np.ndarray:
    """Conjugate gradients as in the textbook, in float64, from the present value."""
    out = start.copy()
    for row, observed in enumerate(matrix.astype(bool)):
        ridge = model.regularization * (observed.sum() + model.unobserved_weight * len(observed))
        system = fixed[observed].T @ fixed[observed] + model.unobserved_weight * fixed.T @ fixed
        system += ridge * np.eye(fixed.shape[1])
        residual = fixed[observed].sum(axis=0) - system @ out[row]
        direction = residual.copy()
        for _ in range(model.n_cg_steps):
            step = residual @ residual / (direction @ system @ direction)
            out[row] += step * direction
            after = residual - step * system @ direction
            direction = after + after @ after / (residual @ residual) * direction
            residual = after
    return out


def test_the_loss_falls_with_every_epoch() -> None:
    data = _interactions()
    losses = []
    for n_epochs in (1, 2, 4, 8):
        model = IALS(n_factors=6, n_epochs=n_epochs, regularization_exponent=0.0, regularization=0.05).fit(data)
        users = _solve(data.matrix.toarray(), model.item_factors_.astype(float), model)
        losses.append(_objective(data.matrix.toarray(), users, model.item_factors_, model))
    assert losses == sorted(losses, reverse=True)


def test_an_empty_history_scores_zero() -> None:
    model = IALS(n_factors=3, n_epochs=1).fit(_interactions())
    scores = model.score(np.array([-1], dtype=np.int32), sparse.csr_matrix((1, 20), dtype=np.float32))
    assert (scores == 0).all()


def test_spread_is_a_permutation_with_even_slices() -> None:
    loads = np.arange(100 * N_CHUNKS)
    order = spread(loads)
    assert sorted(order) == list(loads)
    slices = loads[order].reshape(N_CHUNKS, 100).sum(axis=1)
    assert np.abs(slices / slices.mean() - 1).max() < 0.011


@pytest.mark.parametrize(("name", "value"), [("n_factors", 0), ("solver", "lu"), ("regularization", 0.0)])
def test_wrong_values_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        IALS(**{name: value}).fit(_interactions())


def test_confidences_weigh_the_observed_pairs() -> None:
    data = _interactions()
    ratings = np.random.default_rng(1).integers(0, 6, len(data)).astype(np.float32)
    data = Interactions(data.users, data.items, ratings, None, data.catalogue)
    model = IALS(n_factors=4, n_epochs=2, confidence=0.7, solver="cholesky").fit(data)
    items, row = model.item_factors_.astype(float), data.matrix[3]
    weights, mine = 1 + 0.7 * row.data, items[row.indices]
    ridge = model.regularization * (weights.sum() + model.unobserved_weight * 20)
    system = (mine.T * weights) @ mine + model.unobserved_weight * items.T @ items + ridge * np.eye(4)
    expected = items @ np.linalg.solve(system, weights @ mine)
    np.testing.assert_allclose(model.score(np.array([3], dtype=np.int32), row)[0], expected, atol=1e-5)


def test_confidences_of_negative_ratings_are_refused() -> None:
    data = _interactions()
    negative = Interactions(data.users, data.items, np.full(len(data), -1, np.float32), None, data.catalogue)
    with pytest.raises(ValueError, match=r"must be positive; found -1\.0"):
        IALS(confidence=2.0).fit(negative)


def test_the_gram_matrix_is_that_of_numpy() -> None:
    factors = np.random.default_rng(0).standard_normal((1003, 7)).astype(np.float32)
    np.testing.assert_allclose(gram_matrix(factors), factors.T @ factors, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(gram_matrix(factors[:3]), factors[:3].T @ factors[:3], rtol=1e-5, atol=1e-5)
