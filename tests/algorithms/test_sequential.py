"""Markov chains by hand and against loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.sequential import Markov
from recsys_lab.data.interactions import Interactions


def sequences(*lists: list[int]) -> Interactions:
    """Users whose items follow one another by a second."""
    rows = [(user, item, place) for user, items in enumerate(lists) for place, item in enumerate(items)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return Interactions.from_frame(frame, rating=None)


THREE = sequences([0, 1, 2, 3], [1, 2, 0], [2, 4, 1, 2])


def history(*items: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(items), dtype=np.float32), (np.zeros(len(items), int), items)), shape=(1, 5))


def test_probabilities_by_hand() -> None:
    # 0→1; 1→2 three times; 2→3, 2→0, 2→4; 4→1
    expected = np.zeros((5, 5))
    expected[0, 1] = expected[1, 2] = expected[4, 1] = 1
    expected[2, [3, 0, 4]] = 1 / 3
    np.testing.assert_allclose(Markov().fit(THREE).probabilities_.toarray(), expected, rtol=1e-6)
    shrunk = Markov(shrinkage=1.0).fit(THREE).probabilities_.toarray()
    np.testing.assert_allclose(shrunk[[0, 1, 2], [1, 2, 3]], [1 / 2, 3 / 4, 1 / 4], rtol=1e-6)


def test_later_followers_count_by_one_over_their_distance() -> None:
    found = Markov(window=3).fit(sequences([0, 1, 2, 3])).probabilities_.toarray()
    np.testing.assert_allclose(found[0], np.array([0, 1, 1 / 2, 1 / 3]) / (11 / 6), rtol=1e-6)
    np.testing.assert_allclose(Markov(window=100).fit(sequences([0, 1, 2, 3])).probabilities_.toarray(), found)


def test_a_known_user_is_served_from_the_last_items() -> None:
    model = Markov(n_last=2, decay=0.5).fit(THREE)
    p = model.probabilities_.toarray()
    user = np.array([1], dtype=np.int32)  # 1, 2, 0
    np.testing.assert_allclose(model.score(user, history(0, 1, 2))[0], (p[0] + 0.5 * p[2]) / 1.5, rtol=1e-6)
    np.testing.assert_allclose(model.score(user, history(1, 2))[0], (p[2] + 0.5 * p[1]) / 1.5, rtol=1e-6)
    repeats = np.array([2], dtype=np.int32)  # 2, 4, 1, 2: the last 2 counts
    np.testing.assert_allclose(model.score(repeats, history(1, 2, 4))[0], (p[2] + 0.5 * p[1]) / 1.5, rtol=1e-6)


def test_items_that_training_has_not_are_newer() -> None:
    model = Markov(n_last=2, decay=0.5).fit(THREE)
    p = model.probabilities_.toarray()
    user = np.array([1], dtype=np.int32)  # 1, 2, 0
    found = model.score(user, history(0, 1, 2, 4))[0]
    np.testing.assert_allclose(found, (p[4] + 0.5 * p[0]) / 1.5, rtol=1e-6)


def test_a_history_without_order_is_averaged() -> None:
    model = Markov().fit(THREE)
    p = model.probabilities_.toarray()
    found = model.score(np.array([-1], dtype=np.int32), history(0, 1, 2))[0]
    np.testing.assert_allclose(found, p[:3].mean(axis=0), rtol=1e-6)
    assert not model.score(np.array([-1], dtype=np.int32), history()).any()


def test_the_next_item_of_a_cycle_is_found() -> None:
    cycle = sequences(*[[(start + step) % 12 for step in range(8)] for start in range(12)])
    lists = Markov().fit(cycle).recommend(np.arange(12, dtype=np.int32), cycle.matrix, 1)
    assert lists.items[:, 0].tolist() == [(start + 8) % 12 for start in range(12)]


def test_rows_of_one_time_are_in_no_systematic_order() -> None:
    frame = pd.DataFrame([(user, item, 0) for user in range(400) for item in range(2)])
    frame.columns = pd.Index(["user_id", "item_id", "timestamp"])
    model = Markov(shrinkage=1.0).fit(Interactions.from_frame(frame, rating=None))
    ups = sum(model.places_[user, 0] == 2 for user in range(400))
    assert 140 < ups < 260


def test_data_without_times_are_refused() -> None:
    data = contract_data()
    untimed = Interactions(data.users, data.items, data.ratings, None, data.catalogue)
    with pytest.raises(ValueError, match="Markov needs timestamps and these data have none; use ItemKNN"):
        Markov().fit(untimed)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_last": 0}, "n_last must be at least 1; found 0"),
        ({"window": 0}, "window must be at least 1; found 0"),
        ({"decay": 0.0}, r"decay must be above 0 and at most 1; found 0\.0"),
        ({"shrinkage": -1.0}, r"shrinkage must be 0 or more; found -1\.0"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Markov(**wrong).fit(contract_data())
