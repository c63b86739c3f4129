"""The card: counts, leak share and warnings against plain counting, and the facts known of MovieLens."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import split
from recsys_lab.splits.card import future_leak_share


@pytest.mark.parametrize("strategy", ["random", "temporal_user", "temporal_global"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_leak_share_is_the_share_of_pairs_in_the_wrong_order(strategy, seed, frame_of):
    cut = split(Interactions.from_frame(frame_of(seed)), strategy, seed=seed)
    pairs = cut.train.timestamps[:, None] > cut.test.timestamps[None, :]
    assert cut.card.future_leak_share == pytest.approx(pairs.mean())
    if strategy == "temporal_global":  # the others may be in order too, by chance
        assert cut.card.future_leak_share == 0


def test_without_times_the_leak_is_not_known(frame_of):
    cut = split(Interactions.from_frame(frame_of(0), timestamp=None), "random")
    assert cut.card.future_leak_share is None
    assert cut.card.ambiguous_last_share is None


def test_leak_share_of_an_empty_part_is_zero(frame_of):
    data = Interactions.from_frame(frame_of(0))
    assert future_leak_share(data, data.select(np.zeros(len(data), dtype=bool))) == 0.0


def test_counts_worked_by_hand():
    frame = pd.DataFrame(
        {
            "user_id": ["a", "a", "b", "b", "c", "a", "c", "c", "d"],
            "item_id": [1, 2, 1, 3, 2, 3, 4, 5, 4],
            "rating": 1.0,
            "timestamp": [1, 2, 3, 4, 5, 6, 7, 8, 9],
        }
    )
    card = split(Interactions.from_frame(frame), "temporal_global", at=5, validation=0.25).card
    assert card.counts == {
        "n_train": 3,
        "n_validation": 1,
        "n_test": 5,
        "n_users_train": 2,
        "n_users_validation": 1,
        "n_users_test": 3,
        "n_users_warm": 1,
        "n_users_cold": 2,
        "n_users_untested": 1,
        "n_items_train": 2,
        "n_items_test": 4,
        "n_items_cold": 3,
        "n_test_cold_users": 4,
        "n_test_cold_items": 4,
    }
    assert any("only 1 of 3 test users are warm" in warning for warning in card.warnings)
    assert any("4 of 5 test rows are of users without train rows" in warning for warning in card.warnings)
    assert any("4 of 5 test rows are of items without train rows" in warning for warning in card.warnings)


def test_enough_users_and_clear_last_rows_give_no_warning():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(250), 6), "item_id": np.tile(np.arange(6), 250)})
    frame = frame.assign(rating=1.0, timestamp=rng.permutation(len(frame)))
    assert split(Interactions.from_frame(frame), "temporal_user").card.warnings == []
    tied = split(Interactions.from_frame(frame.assign(timestamp=3)), "leave_last_one_out").card
    assert tied.ambiguous_last_share == 1.0
    assert any("100.0% of the tested users" in warning for warning in tied.warnings)
    short = pd.concat(
        [frame, pd.DataFrame({"user_id": np.arange(300, 340), "item_id": 1, "rating": 1.0, "timestamp": 1})]
    )
    card = split(Interactions.from_frame(short), "leave_last_one_out").card
    assert any("40 users have too few rows" in warning for warning in card.warnings)


def test_card_says_what_was_asked(frame_of):
    data = Interactions.from_frame(frame_of(0))
    cut = split(data, "temporal_user", test=3, validation=0.1, seed=11, min_train=2)
    assert cut.card.parameters == {"test": 3, "validation": 0.1, "min_train": 2}
    assert cut.card.seed == 11
    assert cut.card.dataset_hash == data.fingerprint
    assert cut.card.fingerprint[:12] in repr(cut)


def test_history_is_train_itself_without_validation(frame_of):
    cut = split(Interactions.from_frame(frame_of(0)), "random")
    assert cut.history is cut.train


@pytest.mark.data
def test_known_facts_of_movielens_100k(ml_100k):
    """In random and leave-one-out splits 41 to 50 % of train lies in the future of test; last items are ambiguous."""
    last = split(ml_100k, "leave_last_one_out").card
    assert last.future_leak_share == pytest.approx(0.413, abs=0.002)
    assert last.ambiguous_last_share == pytest.approx(0.440, abs=0.001)
    assert split(ml_100k, "random").card.future_leak_share == pytest.approx(0.5, abs=0.005)
    positives = ml_100k.select(ml_100k.ratings >= 4)
    card = split(positives, "temporal_global").card
    assert int((positives.user_activity > 0).sum()) == 942
    assert card.counts["n_users_warm"] == 91
    assert "only 91 of 280 test users are warm" in card.warnings[0]
