"""Splits whose test items or users have no rows in train."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.synthetic import generate
from recsys_lab.evaluation import evaluate
from recsys_lab.splits import split

SIDES = [("cold_items", "items", "item_popularity"), ("cold_users", "users", "user_activity")]


@pytest.fixture
def data() -> Interactions:
    return generate(80, 90, 2000, seed=3)


@pytest.mark.parametrize(("strategy", "codes", "counts"), SIDES)
def test_parts_share_no_item_or_user(data: Interactions, strategy: str, codes: str, counts: str) -> None:
    cut = split(data, strategy, test=0.2, validation=0.25)
    parts = [set(getattr(part, codes)) for part in (cut.train, cut.validation, cut.test)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    present = int((getattr(data, counts) > 0).sum())
    n_rest = round(0.8 * present)
    assert len(parts[2]) == present - n_rest
    assert len(parts[1]) == n_rest - round(0.75 * n_rest)
    assert len(cut.train) + len(cut.validation or ()) + len(cut.test) == len(data)


@pytest.mark.parametrize(("strategy", "codes", "counts"), SIDES)
def test_the_held_out_are_those_with_the_largest_numbers(
    data: Interactions, strategy: str, codes: str, counts: str
) -> None:
    present = np.flatnonzero(getattr(data, counts))
    numbers = np.random.default_rng(5).random(len(present))
    kept = np.argsort(numbers)[: round(0.7 * len(present))]
    cut = split(data, strategy, test=0.3, seed=5)
    assert set(getattr(cut.train, codes)) == set(present[kept])


@pytest.mark.parametrize(("strategy", "codes", "counts"), SIDES)
def test_the_order_of_rows_changes_nothing_and_the_seed_does(
    data: Interactions, strategy: str, codes: str, counts: str
) -> None:
    card = split(data, strategy).card
    shuffled = data.select(np.random.default_rng(1).permutation(len(data)))
    assert split(shuffled, strategy).card.fingerprint == card.fingerprint
    assert split(data, strategy, seed=1).card.fingerprint != card.fingerprint


def test_the_cards_count_what_is_cold(data: Interactions) -> None:
    card = split(data, "cold_items").card
    assert card.counts["n_items_cold"] == card.counts["n_items_test"] > 0
    assert card.counts["n_test_cold_items"] == card.counts["n_test"]
    assert any("items without train rows" in warning for warning in card.warnings)
    card = split(data, "cold_users").card
    assert card.counts["n_users_cold"] == card.counts["n_users_test"] > 0
    assert any("users without train rows" in warning for warning in card.warnings)


@pytest.mark.parametrize("timed", [True, False])
def test_given_rows_are_history_and_not_train(data: Interactions, timed: bool) -> None:
    data = data if timed else replace(data, timestamps=None)
    plain, cut = split(data, "cold_users", validation=0.2), split(data, "cold_users", validation=0.2, given=0.75)
    assert cut.validation is not None
    np.testing.assert_array_equal(cut.train.matrix.toarray(), plain.train.matrix.toarray())
    assert cut.known is not None
    together = cut.known.matrix + cut.test.matrix
    np.testing.assert_array_equal(together.toarray(), plain.test.matrix.toarray())
    for user in np.unique(cut.test.users):
        n = plain.test.user_activity[user]
        assert 1 <= n - cut.test.user_activity[user] <= 0.75 * n + 0.5
    assert cut.card.fingerprint != plain.card.fingerprint
    if timed:
        times = data.timestamps[data.users == cut.test.users[0]]
        assert cut.test.timestamps[cut.test.users == cut.test.users[0]].min() >= np.sort(times)[: len(times) // 2].max()


def test_given_rows_let_a_model_fold_in(data: Interactions) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cut = split(data, "cold_users", given=0.7)
        folded = evaluate(make_algorithm("EASE"), cut).summary
        assert folded["n_users_cold"] == 0  # something is known of everyone
        assert folded["ndcg@10"] > 1.5 * evaluate(make_algorithm("Random"), cut).summary["ndcg@10"]


@pytest.mark.parametrize("given", [1, -0.1, "half", None])
def test_a_wrong_share_of_given_rows_is_an_error(data: Interactions, given: object) -> None:
    with pytest.raises(ValueError, match="given must be a share from 0 to below 1"):
        split(data, "cold_users", given=given)


def test_a_share_so_small_that_nothing_is_held_out_is_an_error(data: Interactions) -> None:
    with pytest.raises(ValueError, match="leaves no test rows"):
        split(data, "cold_items", test=0.001)


def test_cold_items_can_be_hit_only_as_candidates(data: Interactions) -> None:
    cut = split(data, "cold_items")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = evaluate(make_algorithm("UserProfile"), cut)
        whole = evaluate(make_algorithm("UserProfile"), cut, candidates="catalogue")
    assert known.summary["recall@20"] == 0
    assert whole.summary["recall@20"] > 0
