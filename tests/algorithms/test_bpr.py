"""BPR step by step against plain NumPy, and what it promises of repeats and of strangers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recsys_lab.algorithms import pair_kernels
from recsys_lab.algorithms.bpr import BPR
from recsys_lab.algorithms.contract import recommend_all
from recsys_lab.algorithms.contract_cases import contract_data, rows_of
from recsys_lab.algorithms.kernels import in_lines
from recsys_lab.algorithms.pair_kernels import below, contains, first_factors, put_back
from recsys_lab.algorithms.warp import WARP
from recsys_lab.data.interactions import Interactions
from recsys_lab.seeds import child_seed

MASK = 2**64 - 1


class Stream:
    """Xorshift64* in Python's own integers."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def below(self, n: int) -> int:
        x = self.state
        x ^= x >> 12
        x ^= (x << 25) & MASK
        x ^= x >> 27
        self.state = x
        return (((x * 0x2545F4914F6CDD1D) & MASK) >> 32) * n >> 32


def plain_bpr(train: Interactions, model: BPR) -> tuple[np.ndarray, np.ndarray]:
    """Rendle et al., UAI 2009, figure 4, in float64: theta += rate (sigmoid(-x_uij) dx_uij/dtheta - ridge theta)."""
    users, items = (factors.astype(float) for factors in first_factors(train, model.n_factors, model.random_state))
    stream = Stream(child_seed(model.random_state, "bpr/steps") | 1)
    pairs = sorted(zip(train.users.tolist(), train.items.tolist(), strict=True))
    known = set(pairs)
    for _ in range(model.n_epochs * len(pairs)):
        u, i = pairs[stream.below(len(pairs))]
        j = pairs[stream.below(len(pairs))][1] if model.negatives == "popularity" else stream.below(train.n_items)
        if (u, j) in known:
            continue
        p, q, r = users[u, :-1].copy(), items[i].copy(), items[j].copy()
        push = 1 / (1 + np.exp(users[u] @ (q - r)))
        users[u, :-1] += model.learning_rate * (push * (q - r)[:-1] - model.regularization * p)
        items[i] += model.learning_rate * (push * np.append(p, 1) - model.regularization * q)
        items[j] += model.learning_rate * (-push * np.append(p, 1) - model.regularization * r)
    return users, items


@pytest.mark.parametrize("negatives", ["uniform", "popularity"])
def test_factors_are_those_of_plain_steps(negatives: str) -> None:
    train = contract_data()
    model = BPR(n_factors=5, n_epochs=3, learning_rate=0.1, regularization=0.02, negatives=negatives, random_state=4)  # type: ignore[arg-type]
    users, items = plain_bpr(train, model)
    model.fit(train)
    np.testing.assert_allclose(model.user_factors_, users, atol=2e-5)
    np.testing.assert_allclose(model.item_factors_, items, atol=2e-5)


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    train = contract_data()
    first, second, other = (BPR(n_epochs=2, random_state=seed).fit(train) for seed in (1, 1, 2))
    assert first.item_factors_.tobytes() == second.item_factors_.tobytes()
    assert first.item_factors_.tobytes() != other.item_factors_.tobytes()


def test_random_integers_are_even_and_below_their_limit() -> None:
    state = np.array([12345], dtype=np.uint64)
    drawn = np.array([below(state, 7) for _ in range(7000)])
    assert drawn.min() == 0
    assert drawn.max() == 6
    assert np.abs(np.bincount(drawn) - 1000).max() < 150  # five standard deviations


def test_contains_finds_what_is_there() -> None:
    items = np.array([2, 5, 9], dtype=np.int32)
    assert [item for item in range(11) if contains(items, item)] == [2, 5, 9]
    assert not contains(items[:0], 3)


@pytest.mark.parametrize("model", [BPR, WARP])
def test_the_table_of_who_has_what_and_a_search_give_equal_bits(
    model: type[BPR] | type[WARP], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = contract_data()
    assert np.unpackbits(pair_kernels.who_has_what(train.matrix)).sum() == train.matrix.nnz
    looked_up = model(n_epochs=2).fit(train)
    monkeypatch.setattr(pair_kernels, "MAX_BITS", 0)
    assert len(pair_kernels.who_has_what(train.matrix)) == 0
    searched = model(n_epochs=2).fit(train)
    assert looked_up.user_factors_.tobytes() == searched.user_factors_.tobytes()
    assert looked_up.item_factors_.tobytes() == searched.item_factors_.tobytes()


@pytest.mark.parametrize("n_factors", [1, 16, 17])
def test_vectors_fill_cache_lines_and_return_unharmed(n_factors: int) -> None:
    users, items = first_factors(contract_data(), n_factors, 3)
    rows = in_lines(users[:, :-1]), in_lines(items[:, :-1])
    assert all(part.ctypes.data % 64 == part.strides[0] % 64 == 0 for part in rows)
    assert rows[0][:, n_factors:].sum() == 0
    left = np.zeros_like(users), np.zeros_like(items)
    put_back(*rows, items[:, -1] + 2, *left)
    np.testing.assert_array_equal(left[0][:, :-1], users[:, :-1])
    np.testing.assert_array_equal(left[1], np.column_stack([items[:, :-1], items[:, -1] + 2]))


def test_a_user_without_rows_gets_items_by_their_bias() -> None:
    train = contract_data()
    model = BPR(n_epochs=20).fit(train.select(train.users != 7))
    scores = model.score(np.array([7], dtype=np.int32), train.matrix[7])
    np.testing.assert_array_equal(scores[0], model.item_factors_[:, -1])
    assert np.corrcoef(scores[0], train.item_popularity)[0, 1] > 0.7


def test_a_user_unknown_to_fit_is_refused() -> None:
    model = BPR(n_epochs=1).fit(contract_data())
    with pytest.raises(ValueError, match="BPR cannot serve users unknown to fit; found 1 of 2"):
        model.recommend(np.array([3, -1], dtype=np.int32), contract_data().matrix[:2], 5)


def test_a_user_who_has_all_items_teaches_nothing() -> None:
    train = rows_of([(0, item, 1.0) for item in range(6)], 1, 6)
    model = BPR(n_epochs=5, n_factors=3).fit(train)
    np.testing.assert_array_equal(model.item_factors_, first_factors(train, 3, 0)[1])


def test_ratings_are_not_used() -> None:
    train = contract_data()
    other = replace(train, ratings=np.ones_like(train.ratings))
    lists = [recommend_all(BPR(n_epochs=3).fit(data), train).items for data in (train, other)]
    np.testing.assert_array_equal(*lists)


def test_a_training_that_runs_away_is_an_error() -> None:
    with pytest.raises(ValueError, match="training diverged"):
        BPR(learning_rate=10.0, regularization=5.0, n_epochs=30).fit(contract_data())


@pytest.mark.parametrize(
    ("name", "value"), [("n_factors", 0), ("learning_rate", 0.0), ("regularization", -1.0), ("negatives", "hard")]
)
def test_wrong_values_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{name} must .*found '?{value}"):
        BPR(**{name: value}).fit(contract_data())  # type: ignore[arg-type]
