"""The splits inside a split: for a search, and for the final fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_lab.data.datasets import load_dataset
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
