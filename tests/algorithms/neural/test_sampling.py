"""Held-out rows, drawn negatives and the question asked after each epoch."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_lab.algorithms.contract_cases import contract_data, rows_of
from recsys_lab.algorithms.neural.sampling import NegativeSampler, Validation, batches, hold_out
from recsys_lab.algorithms.neural.sequences import Sequences, last_of_each, windows


def test_held_out_rows_are_a_share_of_each_user_and_leave_something() -> None:
    rows = contract_data()
    kept, held = hold_out(rows, 0.25, np.random.default_rng(0))
    assert len(kept) + len(held) == len(rows)
    assert (kept.user_activity[rows.user_activity > 0] > 0).all()
    assert (np.abs(held.user_activity - 0.25 * rows.user_activity) < 1).all()
    assert not (kept.matrix.multiply(held.matrix)).nnz


def test_the_latest_rows_are_held_out_when_asked() -> None:
    rows = contract_data()
    kept, held = hold_out(rows, 0.3, np.random.default_rng(0), latest=True)
    assert rows.timestamps is not None
    for user in np.flatnonzero(held.user_activity):
        assert kept.timestamps[kept.users == user].max() <= held.timestamps[held.users == user].min()


def test_a_user_of_one_row_keeps_it() -> None:
    rows = rows_of([(0, 0, 1.0), (1, 1, 1.0), (1, 2, 1.0)], 2, 5)
    kept, held = hold_out(rows, 0.99, np.random.default_rng(1))
    assert kept.user_activity.tolist() == [1, 1]
    assert held.user_activity.tolist() == [0, 1]


def test_negatives_are_items_that_someone_else_chose() -> None:
    rows = contract_data().select(contract_data().items >= 5)
    sampler = NegativeSampler(rows)
    users = np.repeat(np.arange(60, dtype=np.int32), 200)
    items = sampler.draw(users, np.random.default_rng(0))
    chosen = np.zeros((60, 50), dtype=bool)
    chosen[rows.users, rows.items] = True
    assert not chosen[users, items].any()
    assert items.min() >= 5
    free = (~chosen[0]) & (np.arange(50) >= 5)
    assert set(items[users == 0]) == set(np.flatnonzero(free))  # 200 draws from at most 45


def test_a_user_who_chose_everything_ends_the_drawing() -> None:
    rows = rows_of([(0, item, 1.0) for item in range(4)], 1, 4)
    drawn = NegativeSampler(rows).draw(np.zeros(3, dtype=np.int32), np.random.default_rng(0))
    assert drawn.shape == (3,)


def test_batches_hold_each_row_once() -> None:
    parts = batches(10, 4, np.random.default_rng(0))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert sorted(np.concatenate(parts)) == list(range(10))


def test_the_gain_is_one_for_perfect_lists_and_discounted_by_place() -> None:
    kept = rows_of([(0, 0, 1.0), (1, 1, 1.0)], 2, 6)
    held = rows_of([(0, 2, 1.0), (0, 3, 1.0), (1, 5, 1.0)], 2, 6)
    question = Validation.of(kept, held, np.random.default_rng(0))
    scores = np.zeros((2, 6), dtype=np.float32)
    scores[0, [2, 3]], scores[1, 5] = 1, 1
    assert question.gain(lambda users, histories: scores[users]) == pytest.approx(1)
    scores[1, [2, 3]] = 2  # the held-out item of the second user comes third
    assert question.gain(lambda users, histories: scores[users]) == pytest.approx((1 + 0.5) / 2)
    scores[1, 1] = 9  # what was kept is never listed
    assert question.gain(lambda users, histories: scores[users]) == pytest.approx((1 + 0.5) / 2)


def test_sequences_follow_time_and_new_items_come_last_as_stored() -> None:
    rows = rows_of([(0, 4, 1.0), (0, 1, 1.0), (0, 3, 1.0), (1, 2, 1.0), (1, 0, 1.0)], 2, 6)
    sequences = Sequences.of(rows.select(np.array([4, 2, 0, 3, 1])))
    assert [sequences.items[a:b].tolist() for a, b in ((0, 3), (3, 5))] == [[4, 1, 3], [2, 0]]
    histories = rows_of([(0, 1, 1.0), (0, 2, 1.0), (0, 4, 1.0), (1, 5, 1.0), (1, 0, 1.0)], 2, 6).matrix
    known = sequences.order(np.array([0, 1], dtype=np.int32), histories)
    assert [items.tolist() for items in known] == [[4, 1, 2], [0, 5]]
    new = sequences.order(np.array([-1], dtype=np.int32), histories[:1])
    assert new[0].tolist() == [1, 2, 4]


def test_every_step_is_in_one_window() -> None:
    sequences = Sequences(np.array([0, 7, 8]), np.arange(8, dtype=np.int32), 8)
    pieces = windows(sequences, 3)
    assert pieces.tolist() == [[4, 5, 6, 7], [1, 2, 3, 4]]
    assert last_of_each([np.array([5], dtype=np.int32)], 3).tolist() == [[0, 0, 6]]


def test_rows_without_times_have_no_order() -> None:
    rows = contract_data()
    untimed = type(rows)(rows.users, rows.items, rows.ratings, None, rows.catalogue)
    with pytest.raises(ValueError, match="these rows have no times; use data with times"):
        Sequences.of(untimed)
