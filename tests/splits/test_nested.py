"""The splits inside a split: for a search, and for the final fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.checks import leak_check
from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import STRATEGIES, Split, fixed_split, split, validation_split, without_validation


def pairs(part: Any) -> set[tuple[int, int]]:
    return set(zip(part.users.tolist(), part.items.tolist(), strict=True))


def made(strategy: str, validation: float) -> Split:
    return split(load_dataset("synthetic-small"), strategy, test=0.2, validation=validation)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_final_fits_use_the_split_that_would_have_been_made_without_a_validation_part(strategy: str) -> None:
    outer, plain = made(strategy, 0.2), made(strategy, 0.0)
    final = without_validation(outer)
    assert final.validation is None
    assert pairs(final.train) == pairs(outer.validation_history) | pairs(outer.validation) == pairs(plain.train)
    assert pairs(final.test) == pairs(plain.test)
    assert pairs(final.history) == pairs(plain.history)
    assert final.card.fingerprint == plain.card.fingerprint
    assert final.card.counts == plain.card.counts
    assert final.card.fold == outer.card.fold
    assert without_validation(plain) is plain


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_search_sees_train_and_validation(strategy: str) -> None:
    outer = made(strategy, 0.2)
    inner = validation_split(outer)
    assert inner.train is outer.train
    assert pairs(inner.history) == pairs(outer.validation_history)
    assert (inner.history is inner.train) == (outer.validation_known is None)
    assert inner.test is outer.validation
    assert inner.validation is None
    assert inner.card.fingerprint not in (outer.card.fingerprint, without_validation(outer).card.fingerprint)
    assert inner.card.counts["n_test"] == len(outer.validation)
    if STRATEGIES[strategy].in_time:
        assert inner.train.timestamps.max() < inner.test.timestamps.min()
        assert inner.card.future_leak_share == 0
    with pytest.raises(ValueError, match="has no validation part to search hyper-parameters on"):
        validation_split(made(strategy, 0.0))


def test_given_parts_keep_their_candidates() -> None:
    whole = made("random", 0.2)
    candidates = whole.test.to_frame()[["user_id", "item_id"]]
    outer = fixed_split(whole.train, whole.test, whole.validation, candidates=candidates)
    final = without_validation(outer)
    assert final.candidates is outer.candidates
    assert validation_split(outer).candidates is None
    assert np.isin(final.history.users, final.train.users).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_test_rows_say_plays_no_part_in_validation(strategy: str, seed: int, frame_of: Any, rows_of: Any) -> None:
    options = {"n_windows": 2, "window": 1, "test": 0.4} if strategy == "rolling" else {}
    data = Interactions.from_frame(frame_of(seed))
    one = split(data, strategy, validation=0.2, seed=seed, **options)
    ratings = data.ratings.copy()
    ratings[np.isin(data.users.astype(np.int64) * data.n_items + data.items, codes(one.test))] += 10
    other = split(replace(data, ratings=ratings), strategy, validation=0.2, seed=seed, **options)
    assert set(codes(other.test)) == set(codes(one.test))
    assert rows_of(other.test) != rows_of(one.test)
    for name in set(one.parts) - {"test"}:
        assert rows_of(other.parts[name]) == rows_of(one.parts[name])


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_train_and_validation_keep_what_the_strategy_promises(strategy: str, seed: int, frame_of: Any) -> None:
    options = {"n_windows": 2, "window": 1, "test": 0.4} if strategy == "rolling" else {}
    outer = split(Interactions.from_frame(frame_of(seed)), strategy, validation=0.2, seed=seed, **options)
    inner, promise = validation_split(outer), STRATEGIES[strategy]
    assert not set(codes(inner.train)) & set(codes(inner.test))
    if promise.in_time:
        assert inner.train.timestamps.max() < inner.test.timestamps.min()
    if promise.apart:
        assert not set(getattr(inner.train, promise.apart)) & set(getattr(inner.test, promise.apart))
    if promise.per_user:
        assert set(inner.test.users) <= set(inner.train.users)  # min_train rows stay
    if strategy in ("temporal_user", "leave_last_one_out"):
        for user in set(inner.test.users):
            last = inner.train.timestamps[inner.train.users == user].max()
            assert last <= inner.test.timestamps[inner.test.users == user].min()
    if strategy == "leave_last_one_out":
        assert np.bincount(inner.test.users).max() == 1
    assert [check.id for check in leak_check(inner) if check.level == "E" and not check.passed] == []


def codes(part: Interactions) -> Any:
    return part.users.astype(np.int64) * part.n_items + part.items
