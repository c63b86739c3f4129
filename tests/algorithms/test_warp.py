"""WARP step by step against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.pair_kernels import below, first_factors
from recsys_lab.algorithms.warp import WARP, rank_losses
from recsys_lab.data.interactions import Interactions
from recsys_lab.seeds import child_seed


def shortened(vector: np.ndarray, max_norm: float) -> np.ndarray:
    length = np.linalg.norm(vector[:-1])
    return np.append(vector[:-1] * min(1.0, max_norm / max(length, 1e-12)), vector[-1])


def plain_warp(train: Interactions, model: WARP) -> tuple[np.ndarray, np.ndarray]:
    """Weston et al., IJCAI 2011, algorithm 1, in float64."""
    users, items = (factors.astype(float) for factors in first_factors(train, model.n_factors, model.random_state))
    state = np.array([child_seed(model.random_state, "warp/steps") | 1], dtype=np.uint64)
    pairs = sorted(zip(train.users.tolist(), train.items.tolist(), strict=True))
    known, n = set(pairs), train.n_items
    whole = sum(1 / s for s in range(1, n))
    for _ in range(model.n_epochs * len(pairs)):
        u, i = pairs[below(state, len(pairs))]
        for trial in range(1, model.max_trials + 1):
            j = int(below(state, n))
            if (u, j) in known or users[u] @ items[j] <= users[u] @ items[i] - 1:
                continue
            push = sum(1 / s for s in range(1, (n - 1) // trial + 1)) / whole
            p, q, r = users[u].copy(), items[i].copy(), items[j].copy()
            users[u, :-1] += model.learning_rate * (push * (q - r) - model.regularization * p)[:-1]
            items[i] += model.learning_rate * (push * p - model.regularization * q)
            items[j] += model.learning_rate * (-push * p - model.regularization * r)
            users[u], items[i], items[j] = (shortened(v, model.max_norm) for v in (users[u], items[i], items[j]))
            break
    return users, items


@pytest.mark.parametrize("max_norm", [0.3, 5.0])
def test_factors_are_those_of_plain_steps(max_norm: float) -> None:
    train = contract_data()
    model = WARP(n_factors=4, n_epochs=3, learning_rate=0.1, regularization=0.01, max_norm=max_norm, max_trials=20)
    users, items = plain_warp(train, model)
    model.fit(train)
    np.testing.assert_allclose(model.user_factors_, users, atol=1e-3)
    np.testing.assert_allclose(model.item_factors_, items, atol=1e-3)


def test_rank_losses_are_harmonic_numbers_over_the_last() -> None:
    np.testing.assert_allclose(rank_losses(4), np.array([0, 1, 1.5, 11 / 6]) / (11 / 6), rtol=1e-6)
    assert rank_losses(1).tolist() == [0.0, 1.0]


def test_no_vector_is_longer_than_its_limit() -> None:
    model = WARP(max_norm=0.5, n_epochs=5).fit(contract_data())
    for vectors in (model.user_factors_, model.item_factors_):
        assert np.linalg.norm(vectors[:, :-1], axis=1).max() <= 0.5 + 1e-5


def test_equal_seeds_give_equal_bits() -> None:
    first, second = (WARP(n_epochs=2, random_state=3).fit(contract_data()) for _ in range(2))
    assert first.item_factors_.tobytes() == second.item_factors_.tobytes()


@pytest.mark.parametrize(("name", "value"), [("max_norm", 0.0), ("max_trials", 0), ("regularization", -0.5)])
def test_wrong_values_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{name} must .*found {value}"):
        WARP(**{name: value}).fit(contract_data())  # type: ignore[arg-type]
