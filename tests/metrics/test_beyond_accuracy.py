"""Coverage, concentration and popularity on lists whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.metrics import beyond_accuracy as beyond

EMPTY = np.full((2, 3), -1, dtype=np.int32)
POPULARITY = np.array([8, 4, 2, 1, 0], dtype=np.int64)


@given(st.integers(1, 12), st.integers(1, 5))
def test_equal_exposure_and_one_item_only(n_items: int, times: int) -> None:
    popularity = np.ones(n_items, dtype=np.int64)
    uniform = np.tile(np.arange(n_items, dtype=np.int32), times)[:, None]
    single = np.zeros((times, 1), dtype=np.int32)
    assert beyond.gini(uniform, popularity) == 0
    assert beyond.gini(single, popularity) == pytest.approx((n_items - 1) / n_items)
    assert beyond.item_coverage(uniform, popularity) == 1
    assert beyond.item_coverage(single, popularity) == 1 / n_items
    assert beyond.entropy(uniform, popularity) == pytest.approx(np.log2(n_items))
    assert beyond.entropy(single, popularity) == 0
    if n_items > 1:
        assert beyond.entropy_normalised(uniform, popularity) == pytest.approx(1)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_gini_is_half_the_mean_difference_over_the_mean(listed: list[int]) -> None:
    items = np.array(listed, dtype=np.int32)[:, None]
    counts = np.bincount(listed, minlength=8)
    expected = np.abs(counts[:, None] - counts).mean() / (2 * counts.mean())
    assert beyond.gini(items, np.zeros(8, dtype=np.int64)) == pytest.approx(expected)


def test_when_nothing_is_listed() -> None:
    assert beyond.item_coverage(EMPTY, POPULARITY) == 0
    assert np.isnan(beyond.gini(EMPTY, POPULARITY))
    assert np.isnan(beyond.entropy(EMPTY, POPULARITY))
    assert np.isnan(beyond.novelty(EMPTY, POPULARITY, 8)).all()
    assert np.isnan(beyond.arp(EMPTY, POPULARITY)).all()
    assert np.isnan(beyond.popularity_lift(EMPTY, POPULARITY, np.ones(2)))
    assert np.isnan(beyond.entropy_normalised(np.zeros((1, 1), dtype=np.int32), np.ones(1, dtype=np.int64)))


def test_short_lists_are_averaged_over_their_length() -> None:
    items = np.array([[0, 1, -1], [3, 4, 2]], dtype=np.int32)
    np.testing.assert_allclose(beyond.arp(items, POPULARITY), [6, 1])
    np.testing.assert_allclose(beyond.novelty(items, POPULARITY, 8), [0.5, (3 + 3 + 2) / 3])  # never seen counts as 1
    np.testing.assert_allclose(beyond.epc(items, POPULARITY, 8), [1 - 6 / 8, 1 - 1 / 8])
    np.testing.assert_allclose(beyond.aplt(items, POPULARITY), [0.5, 1])  # the head is item 0


def test_serendipity_counts_hits_outside_the_most_popular_k() -> None:
    items = np.array([[0, 1, 3], [3, 4, -1], [0, 3, 4]], dtype=np.int32)
    hits = np.array([[True, True, True], [True, False, False], [False, False, False]])
    values = beyond.serendipity(hits, np.array([3, 1, 0]), items, POPULARITY)
    np.testing.assert_allclose(values, [1 / 3, 1 / 3, np.nan])


def test_popularity_lift_is_0_for_lists_as_popular_as_the_histories() -> None:
    items = np.array([[0, 2], [1, 1], [-1, -1]], dtype=np.int32)
    assert beyond.popularity_lift(items, POPULARITY, np.array([5.0, 4.0, 100.0])) == 0
    assert beyond.popularity_lift(items, POPULARITY, np.array([2.0, 2.5, np.nan])) == pytest.approx(1)


def test_ties_in_popularity_go_to_the_lower_code() -> None:
    np.testing.assert_array_equal(beyond.most_popular(np.array([1, 2, 2, 2]), 2), [False, True, True, False])
