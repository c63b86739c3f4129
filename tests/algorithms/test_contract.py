"""The contract suite itself: an algorithm with one fault fails the test that is there for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, get_args

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, Learns
from recsys_lab.algorithms.baselines import Bias, Popularity, Random
from recsys_lab.algorithms.contract import AlgorithmContract
from recsys_lab.algorithms.contract_cases import additive, checkerboard, circles, contract_data
from recsys_lab.algorithms.contract_learning import PROMISES
from recsys_lab.algorithms.neighborhood import ItemKNN
from recsys_lab.algorithms.sequential import Markov
from recsys_lab.data.interactions import Float32, Int32, Interactions
from recsys_lab.data.ranked_lists import RankedLists

SUITE = AlgorithmContract()


@dataclass(kw_only=True, eq=False)
class Remembers(Popularity):
    def fit(self, train: Interactions) -> Self:
        before = getattr(self, "item_scores_", 0)
        super().fit(train)
        self.item_scores_ = self.item_scores_ + 10 * before
        return self


@dataclass(kw_only=True, eq=False)
class ListsTheHistory(Popularity):
    def recommend(self, users: Int32, histories: sparse.csr_matrix, k: int, *args: Any, **options: Any) -> RankedLists:
        return super().recommend(users, histories, k, exclude_seen=False)


@dataclass(kw_only=True, eq=False)
class OwnsItsScores(Popularity):
    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        if not hasattr(self, "kept_"):
            self.kept_ = super().score(users, histories)
        return self.kept_


@dataclass(kw_only=True, eq=False)
class WrongType(Popularity):
    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        return super().score(users, histories).astype(np.float64)  # type: ignore[return-value]


@dataclass(kw_only=True, eq=False)
class DependsOnTheBatch(Popularity):
    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        return super().score(users, histories) + np.arange(len(users), dtype=np.float32)[:, None]


@dataclass(kw_only=True, eq=False)
class LearnsTheOrder(Popularity):
    def fit(self, train: Interactions) -> Self:
        self.item_scores_ = np.bincount(train.items[:50], minlength=train.n_items).astype(np.float32)
        return self


@dataclass(kw_only=True, eq=False)
class IdleKnob(Popularity):
    strength: float = 1.0


@dataclass(kw_only=True, eq=False)
class LosesState(Popularity):
    def __getstate__(self) -> dict[str, Any]:
        return {"item_scores_": -self.item_scores_}


@dataclass(kw_only=True, eq=False)
class DropsZeros(ItemKNN):
    def recommend(self, users: Int32, histories: sparse.csr_matrix, k: int, *args: Any, **options: Any) -> RankedLists:
        histories = histories.copy()
        histories.eliminate_zeros()
        return super().recommend(users, histories, k, *args, **options)


@pytest.mark.parametrize(
    ("faulty", "test"),
    [
        (Remembers(), "a_second_fit_forgets_the_first"),
        (ListsTheHistory(), "history_is_never_recommended"),
        (ListsTheHistory(), "candidates_are_respected"),
        (OwnsItsScores(), "nothing_given_is_changed_and_nothing_owned_is_returned"),
        (WrongType(), "scores_have_one_finite_float32_a_user_and_item"),
        (DependsOnTheBatch(), "scores_do_not_depend_on_the_batch"),
        (LearnsTheOrder(), "the_order_of_rows_changes_nothing"),
        (IdleKnob(), "every_hyper_parameter_changes_something"),
        (LosesState(), "clone_and_pickle_give_the_same_lists"),
        (DropsZeros(), "ratings_of_zero_count_as_seen"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_fault_is_found(faulty: Algorithm, test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(SUITE, f"test_{test}")(faulty, contract_data())


@pytest.mark.parametrize(
    ("model", "claims"),
    [
        (Popularity(), ("tastes", "order", "levels", "nothing", "truth")),
        (Random(), ("tastes", "order", "levels", "popularity", "truth")),
        (Bias(), ("tastes", "order", "popularity", "nothing", "truth")),
        (ItemKNN(n_neighbors=10), ("order", "levels", "popularity", "nothing", "truth")),
        (Markov(), ("tastes", "levels", "popularity", "nothing", "truth")),
    ],
    ids=lambda value: "" if isinstance(value, tuple) else type(value).__name__,
)
def test_a_false_claim_of_what_is_learnt_is_found(model: Algorithm, claims: tuple[str, ...]) -> None:
    PROMISES[model.learns](model)
    for claim in claims:
        with pytest.raises((AssertionError, KeyError)):
            PROMISES[claim](model)
    assert set(claims) | {model.learns} == set(PROMISES) == set(get_args(Learns))


def test_an_unknown_claim_is_named() -> None:
    class Odd(Popularity):
        learns = "vibes"  # type: ignore[assignment]

    with pytest.raises(AssertionError, match=r"learns is one of tastes, order, .*; found 'vibes'"):
        SUITE.test_it_learns_what_it_says(Odd())


def test_the_next_item_of_a_circle_cannot_be_told_by_taste() -> None:
    train, following = circles()
    assert (following % 2 == np.arange(20) % 2).all()
    assert train.matrix[np.arange(20), following].sum() == 0
    assert len(set(np.bincount(train.items, minlength=20))) == 1


def test_the_additive_table_misses_six_of_each_user_and_item() -> None:
    train, table = additive()
    assert (train.user_activity == 14).all()
    assert (train.item_popularity == 14).all()
    assert table.min() >= 1
    assert table.max() <= 5


def test_the_checkerboard_withholds_a_loved_item() -> None:
    train, withheld = checkerboard()
    assert (withheld % 2 == np.arange(20) % 2).all()
    assert train.matrix[np.arange(20), withheld].sum() == 0
    assert (train.user_activity == 12).all()
