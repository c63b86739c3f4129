"""Ranked lists are checked once, where they are made."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys_lab.data.interactions import Float32, Int32
from recsys_lab.data.ranked_lists import SHORT, RankedLists, _sound

INF = np.inf


def lists(users: list[int], items: list[list[int]], scores: list[list[float]]) -> RankedLists:
    return RankedLists(np.array(users), np.array(items), np.array(scores))  # type: ignore[arg-type]


def test_sound_lists_pass_and_are_typed() -> None:
    found = lists([4, -1, -1], [[3, 1, -1], [0, 2, 1], [-1, -1, -1]], [[2, 1, -INF], [1, 1, 1], [-INF] * 3])
    assert (found.k, len(found), found.lengths.tolist()) == (3, 3, [2, 3, 0])
    assert (found.users.dtype, found.items.dtype, found.scores.dtype) == (np.int32, np.int32, np.float32)


def test_lists_of_length_zero_pass() -> None:
    found = RankedLists(np.array([1]), np.empty((1, 0)), np.empty((1, 0)))  # type: ignore[arg-type]
    assert (found.k, found.lengths.tolist()) == (0, [0])


@pytest.mark.parametrize(
    ("users", "items", "scores", "message"),
    [
        ([0, 1], [[1, 2]], [[2, 1]], r"2 users need items and scores of one shape \(2, k\); found \(1, 2\)"),
        ([0], [[1, 2]], [[2]], r"found \(1, 2\) and \(1, 1\)"),
        ([5, 5], [[1], [2]], [[1], [1]], "user 5 has more than one list"),
        ([7], [[-1, 2]], [[-INF, 1]], r"user 7: -1 \(none\) stands before an item"),
        ([7], [[2, 3, 2]], [[3, 2, 1]], "user 7: item 2 is listed twice"),
        ([7], [[-2]], [[1]], "found -2"),
        ([7], [[2, 3]], [[1, 2]], "user 7: scores rise along the list"),
        ([7], [[2, 3]], [[1, np.nan]], "user 7, item 3: the score is nan"),
        ([7], [[2, 3]], [[INF, 1]], "user 7, item 2: the score is inf"),
        ([7], [[2, 3]], [[1, -INF]], "user 7, item 3: the score is -inf.*masks an item and is never listed"),
    ],
)
def test_what_is_wrong_names_user_and_item(
    users: list[int], items: list[list[int]], scores: list[list[float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lists(users, items, scores)


@given(
    hnp.arrays(np.int32, (2, 4), elements=st.integers(-2, 5)),
    hnp.arrays(np.float32, (2, 4), elements=st.sampled_from([-np.inf, -1.0, 0.0, 1.0, np.inf, np.nan])),
)
def test_the_quick_look_refuses_what_the_checks_name_and_nothing_else(items: Int32, scores: Float32) -> None:
    lists = object.__new__(RankedLists)
    for name, value in (("users", np.arange(2, dtype=np.int32)), ("items", items), ("scores", scores)):
        object.__setattr__(lists, name, value)
    try:
        lists._check_items()
        lists._check_scores()
        expected = True
    except ValueError:
        expected = False
    assert _sound(items, scores) == expected
    with nullcontext() if expected else pytest.raises(ValueError, match=r"user|items"):
        RankedLists(lists.users, items, scores)


def test_long_lists_are_checked_too() -> None:
    items = np.arange(SHORT + 1, dtype=np.int32)[None]
    scores = -items.astype(np.float32)
    assert RankedLists(np.zeros(1, np.int32), items, scores).k == SHORT + 1
    items[0, -1] = 3
    with pytest.raises(ValueError, match="listed twice"):
        RankedLists(np.zeros(1, np.int32), items, scores)
