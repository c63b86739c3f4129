"""Filters: what is kept, what is reported, and that codes keep their meaning."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.data.content import with_features
from recsys_lab.data.filters import FILTERS, apply_filters, binarise, compact, duplicates, k_core, minimum_rating
from recsys_lab.data.interactions import Interactions

Row = tuple[int, int, float, int]
rows = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([1.0, 2.0, 4.0, 5.0]), st.integers(0, 4)),
    min_size=1,
    max_size=40,
)


def make(table: list[Row]) -> Interactions:
    frame = pd.DataFrame(table, columns=["user_id", "item_id", "rating", "timestamp"])
    items = pd.DataFrame({"title": [f"item {item}" for item in range(7)]}, index=range(7))
    data = Interactions.from_frame(frame, items=items, info={"name": "test", "filters": []})
    return with_features(data, (sparse.csr_matrix(np.eye(7, dtype=np.float32)), [f"f{item}" for item in range(7)]))


def ids(data: Interactions) -> list[tuple[int, int, float]]:
    frame = data.to_frame()
    return list(zip(frame["user_id"], frame["item_id"], frame["rating"]))


def test_minimum_rating_keeps_the_threshold_itself_and_shrinks_the_catalogue() -> None:
    data = make([(1, 1, 5, 0), (1, 2, 3, 0), (2, 2, 4, 0), (3, 3, 1, 0)])
    kept = minimum_rating(data, 4)
    assert ids(kept) == [(1, 1, 5.0), (2, 2, 4.0)]
    assert kept.catalogue.user_ids.tolist() == [1, 2]
    assert kept.catalogue.item_ids.tolist() == [1, 2]
    assert kept.catalogue.items["title"].tolist() == ["item 1", "item 2"]
    assert kept.catalogue.item_features is not None
    assert kept.catalogue.item_features.toarray()[:, 1:3].tolist() == [[1, 0], [0, 1]]
    assert kept.catalogue.info["filters"] == [
        {
            "name": "minimum_rating",
            "parameters": {"minimum": 4},
            "rows_before": 4,
            "rows_after": 2,
            "users_before": 3,
            "users_after": 2,
            "items_before": 3,
            "items_after": 2,
        }
    ]


def test_filters_leave_their_input_as_it_was() -> None:
    data = make([(1, 1, 5, 0), (1, 2, 3, 0), (1, 1, 2, 1)])
    before = data.fingerprint
    binarise(duplicates(minimum_rating(data, 3), "mean"))
    assert data.catalogue.info["filters"] == []
    assert (data.fingerprint, data.n_items) == (before, 7)


def test_binarise_sets_every_rating_to_one_zeros_too() -> None:
    data = binarise(make([(1, 1, 0, 0), (1, 2, 3, 0)]))
    assert data.ratings.tolist() == [1.0, 1.0]
    assert data.ratings.dtype == np.float32


def brute_core(table: list[tuple[int, int]], n_user: int, n_item: int) -> list[tuple[int, int]]:
    while True:
        users, items = Counter(user for user, _ in table), Counter(item for _, item in table)
        smaller = [(user, item) for user, item in table if users[user] >= n_user and items[item] >= n_item]
        if smaller == table:
            return table
        table = smaller


@given(rows, st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_k_core_agrees_with_a_loop(table: list[Row], n_user: int, n_item: int) -> None:
    expected = brute_core([(user, item) for user, item, _, _ in table], n_user, n_item)
    if not expected:
        with pytest.raises(ValueError, match="leaves no row"):
            k_core(make(table), users=n_user, items=n_item)
        return
    data = k_core(make(table), users=n_user, items=n_item)
    assert [(user, item) for user, item, _ in ids(data)] == expected
    assert data.user_activity.min() >= n_user
    assert data.item_popularity.min() >= n_item
    assert k_core(data, users=n_user, items=n_item).fingerprint == data.fingerprint


def test_k_core_has_one_minimum_for_both_or_one_for_each() -> None:
    data = make([(1, 1, 5, 0), (1, 2, 5, 0), (2, 1, 5, 0), (2, 2, 5, 0), (3, 1, 5, 0)])
    assert len(k_core(data, 2)) == 4
    assert len(k_core(data, items=3)) == 3
    assert k_core(data, 2).catalogue.info["filters"][-1]["parameters"] == {"users": 2, "items": 2}
    assert k_core(data, users=2).catalogue.info["filters"][-1]["parameters"] == {"users": 2, "items": 1}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep_first", [(2, 1, 4.0), (1, 1, 2.0)]),
        ("keep_last", [(1, 1, 5.0), (2, 1, 4.0)]),
        ("mean", [(1, 1, 3.0), (2, 1, 4.0)]),
        ("sum", [(1, 1, 9.0), (2, 1, 4.0)]),
    ],
)
def test_duplicates_go_by_time(policy: str, expected: list[tuple[int, int, float]]) -> None:
    data = duplicates(make([(1, 1, 5, 30), (2, 1, 4, 5), (1, 1, 2, 10), (1, 1, 2, 20)]), policy)
    assert ids(data) == expected
    report = data.catalogue.info["filters"][-1]
    assert (report["name"], report["parameters"]) == ("duplicates", {"policy": policy})
    assert (report["rows_before"], report["rows_after"]) == (4, 2)


def test_duplicates_without_times_go_by_position() -> None:
    frame = pd.DataFrame({"user_id": [1, 1, 1], "item_id": [1, 2, 1], "rating": [5.0, 3.0, 4.0]})
    data = Interactions.from_frame(frame, timestamp=None)
    assert ids(duplicates(data, "keep_first")) == [(1, 1, 5.0), (1, 2, 3.0)]
    assert ids(duplicates(data, "keep_last")) == [(1, 2, 3.0), (1, 1, 4.0)]


@given(rows, st.sampled_from(["keep_first", "keep_last", "mean", "sum"]))
@settings(max_examples=60, deadline=None)
def test_each_pair_is_there_once_afterwards(table: list[Row], policy: str) -> None:
    data = make(table)
    single = duplicates(data, policy)
    pairs = [(user, item) for user, item, _ in ids(single)]
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == {(user, item) for user, item, _, _ in table}
    if policy == "sum":
        assert np.array_equal(single.matrix.toarray(), data.matrix.toarray())
    assert duplicates(single).fingerprint == single.fingerprint


def test_duplicates_error_names_the_pair_and_the_rows() -> None:
    with pytest.raises(ValueError, match=r"user 1 has item 2 in rows 0 and 2 \(and 0 more such rows\); choose"):
        duplicates(make([(1, 2, 5, 30), (2, 1, 4, 5), (1, 2, 2, 10)]))


def test_filters_are_applied_in_the_order_given() -> None:
    table = [(1, 1, 5, 0), (1, 2, 2, 0), (2, 1, 5, 0), (2, 2, 5, 0), (3, 3, 5, 0)]
    core_last = apply_filters(make(table), {"minimum_rating": 4, "binarise": True, "k_core": {"users": 1, "items": 2}})
    core_first = apply_filters(make(table), {"k_core": {"users": 1, "items": 2}, "minimum_rating": 4})
    assert ids(core_last) == [(1, 1, 1.0), (2, 1, 1.0)]
    assert len(core_first) == 3
    assert [report["name"] for report in core_last.catalogue.info["filters"]] == [
        "minimum_rating", "binarise", "k_core",
    ]  # fmt: skip
    chain = core_last.catalogue.info["filters"]
    assert all(one["rows_after"] == two["rows_before"] for one, two in itertools.pairwise(chain))


def test_filters_set_to_none_or_false_do_nothing() -> None:
    data = make([(1, 1, 5, 0)])
    assert apply_filters(data, {"binarise": False, "k_core": None, "minimum_rating": None}) is data


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"minimum_ratings": 4}, "unknown filter 'minimum_ratings'; did you mean 'minimum_rating'\\? Known: minimum"),
        ({"minimum_rating": 6}, "minimum_rating=6 leaves no row; the ratings go from 2 to 5"),
        ({"minimum_rating": float("nan")}, "finite number"),
        ({"minimum_rating": "four"}, "minimum_rating needs a number, found 'four'"),
        ({"minimum_rating": {"users": 4}}, "only k_core takes users and items"),
        ({"k_core": 0}, "whole number >= 1 for users, found 0"),
        ({"k_core": 2.5}, "whole number >= 1"),
        ({"k_core": True}, "k_core needs a number, found True"),
        ({"k_core": {"user": 2}}, "k_core does not take"),
        ({"k_core": 9}, "k_core with users >= 9 and items >= 9 rows leaves no row"),
        ({"binarise": 4}, "binarise is true or false, found 4; the threshold is minimum_rating"),
        ({"duplicates": "last"}, "unknown duplicates policy 'last'"),
        ({"duplicates": "keep_frst"}, "did you mean 'keep_first'"),
    ],
)
def test_wrong_filters_say_what_is_right(filters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply_filters(make([(1, 1, 5, 0), (1, 2, 2, 0)]), filters)


def test_every_filter_is_known_by_its_own_name() -> None:
    assert all(function.__name__ == name for name, function in FILTERS.items())


def test_compact_returns_the_same_object_when_nothing_is_to_drop() -> None:
    data = compact(make([(1, 1, 5, 0)]))
    assert data.n_items == 1
    assert compact(data) is data
