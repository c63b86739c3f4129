"""Interactions and Catalogue: the one data object."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.data.interactions import Catalogue, Interactions

rows = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 6), st.sampled_from([0.0, 0.5, 3.0, 5.0]), st.integers(0, 3)),
    min_size=1,
    max_size=30,
)


def make(table: list[tuple[int, int, float, int]]) -> Interactions:
    return Interactions.from_frame(pd.DataFrame(table, columns=["user_id", "item_id", "rating", "timestamp"]))


def catalogue(n_users: int = 2, n_items: int = 3) -> Catalogue:
    return Catalogue(pd.RangeIndex(n_users), pd.RangeIndex(n_items), pd.DataFrame(index=pd.RangeIndex(n_items)))


def test_codes_follow_the_sorted_ids_and_rows_keep_their_order() -> None:
    data = make([(30, 9, 4.0, 7), (10, 5, 3.0, 8), (30, 5, 1.0, 9)])
    assert data.catalogue.user_ids.tolist() == [10, 30]
    assert data.catalogue.item_ids.tolist() == [5, 9]
    assert data.users.tolist() == [1, 0, 1]
    assert data.items.tolist() == [1, 0, 0]
    assert data.ratings.tolist() == [4.0, 3.0, 1.0]
    assert data.timestamps is not None
    assert data.timestamps.tolist() == [7, 8, 9]
    assert (data.users.dtype, data.items.dtype, data.ratings.dtype, data.timestamps.dtype) == (
        np.int32, np.int32, np.float32, np.int64,
    )  # fmt: skip


def test_items_of_the_table_join_the_catalogue_and_missing_ones_too() -> None:
    frame = pd.DataFrame({"user_id": [1, 1], "item_id": [7, 3]})
    items = pd.DataFrame({"title": ["Nine", "Seven"]}, index=[9, 7])
    data = Interactions.from_frame(frame, rating=None, timestamp=None, items=items)
    assert data.catalogue.item_ids.tolist() == [3, 7, 9]
    assert data.items.tolist() == [1, 0]
    assert data.ratings.tolist() == [1.0, 1.0]
    assert data.timestamps is None
    assert data.catalogue.titles(np.array([0, 1, 2], dtype=np.int32)) == ["3", "Seven", "Nine"]


def test_titles_are_the_ids_where_there_are_no_titles() -> None:
    assert make([(1, 40, 1.0, 0)]).catalogue.titles(np.array([0], dtype=np.int32)) == ["40"]


def test_explicit_zeros_are_stored() -> None:
    matrix = make([(0, 0, 0.0, 0), (0, 1, 2.0, 0)]).matrix
    assert matrix.nnz == 2
    assert matrix.indices.tolist() == [0, 1]


def test_a_pair_in_two_rows_is_stored_once_as_their_sum() -> None:
    data = make([(0, 0, 2.0, 0), (0, 0, 3.0, 1), (0, 1, 1.0, 1)])
    assert data.matrix.toarray().tolist() == [[5.0, 1.0]]
    assert data.matrix.nnz == 2
    assert data.item_popularity.tolist() == [2, 1]  # rows, not pairs
    assert data.user_activity.tolist() == [3]


@given(rows)
@settings(max_examples=40, deadline=None)
def test_matrix_agrees_with_a_loop(table: list[tuple[int, int, float, int]]) -> None:
    data = make(table)
    expected = np.zeros((data.n_users, data.n_items))
    for user, item, rating in zip(data.users, data.items, data.ratings):
        expected[user, item] += rating
    assert np.array_equal(data.matrix.toarray(), expected)
    assert data.matrix.nnz == len(set(zip(data.users.tolist(), data.items.tolist())))
    assert data.matrix.has_sorted_indices


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_fingerprint_and_canonical_rows_do_not_depend_on_the_order_of_rows(
    table: list[tuple[int, int, float, int]], random: object
) -> None:
    shuffled = list(table)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = make(table), make(shuffled)
    assert first.fingerprint == second.fingerprint
    assert first.canonical().to_frame().equals(second.canonical().to_frame())


@given(rows)
@settings(max_examples=30, deadline=None)
def test_fingerprint_sees_every_change_of_a_row(table: list[tuple[int, int, float, int]]) -> None:
    before = make(table).fingerprint
    user, item, rating, time = table[0]
    for changed in ((user + 10, item, rating, time), (user, item + 10, rating, time), (user, item, rating + 1, time)):
        assert make([changed, *table[1:]]).fingerprint != before
    assert make([(user, item, rating, time + 1), *table[1:]]).fingerprint != before
    assert make([*table, table[0]]).fingerprint != before


def test_fingerprint_is_the_same_for_int_and_str_ids_and_for_other_codes() -> None:
    frame = pd.DataFrame({"user_id": [2, 10], "item_id": [1, 1], "rating": [1.0, -0.0], "timestamp": [5, 6]})
    text = frame.astype({"user_id": str, "item_id": str})
    more = pd.DataFrame(index=pd.Index([0, 1, 2]))
    expected = Interactions.from_frame(frame).fingerprint
    assert Interactions.from_frame(text).fingerprint == expected
    assert Interactions.from_frame(frame, items=more).fingerprint == expected
    assert Interactions.from_frame(frame.assign(rating=[1.0, 0.0])).fingerprint == expected


def test_canonical_respects_file_order() -> None:
    data = make([(1, 0, 1.0, 0), (0, 0, 1.0, 0)])
    kept = Interactions(data.users, data.items, data.ratings, data.timestamps, data.catalogue, file_order=True)
    assert kept.canonical() is kept
    assert data.canonical().users.tolist() == [0, 1]


def test_arrays_are_read_only_and_the_given_ones_stay_as_they_were() -> None:
    users = np.array([0, 1], dtype=np.int32)
    data = Interactions(users, users, np.ones(2, dtype=np.float32), None, catalogue())
    with pytest.raises(ValueError, match="read-only"):
        data.users[0] = 1
    users[0] = 1
    assert users.flags.writeable


def test_select_keeps_the_catalogue() -> None:
    data = make([(1, 5, 1.0, 3), (2, 6, 2.0, 4), (3, 7, 3.0, 5)])
    part = data.select(np.array([False, True, True]))
    assert part.catalogue is data.catalogue
    assert part.to_frame()["user_id"].tolist() == [2, 3]
    assert data.select(np.array([2, 0])).to_frame()["timestamp"].tolist() == [5, 3]
    assert (part.n_users, len(part)) == (3, 2)


def test_frame_round_trip() -> None:
    data = make([(1, 5, 1.0, 3), (2, 6, 2.5, 4)])
    again = Interactions.from_frame(data.to_frame())
    assert again.to_frame().equals(data.to_frame())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([0, 1], [0], [1, 1], None), r"items has shape \(1,\); expected \(2,\)"),
        (([0, 2], [0, 0], [1, 1], None), r"users must be codes 0 \.\.\. 1; found 0 \.\.\. 2"),
        (([0, -1], [0, 0], [1, 1], None), "found -1"),
        (([0, 1], [0, 3], [1, 1], None), "items must be codes"),
        (([0, 1], [0, 0], [1, np.nan], None), "ratings must be finite; row 1"),
        (([0, 1], [0, 0], [1, np.inf], None), "ratings must be finite; row 1"),
        (([0, 1], [0, 0], [1, 1], [1]), r"timestamps has shape \(1,\)"),
    ],
)
def test_wrong_arrays_are_named(arrays: tuple[list[float] | None, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Interactions(*(None if values is None else np.asarray(values) for values in arrays), catalogue())  # type: ignore[arg-type]


def test_codes_must_be_integers() -> None:
    with pytest.raises(TypeError, match="users must be integers, found float64"):
        Interactions(np.array([0.5]), np.array([0]), np.array([1.0]), None, catalogue())  # type: ignore[arg-type]


def test_a_missing_id_is_an_error() -> None:
    with pytest.raises(ValueError, match="column 'user_id' has a missing id in row 1"):
        Interactions.from_frame(pd.DataFrame({"user_id": ["a", None], "item_id": [1, 2]}), rating=None, timestamp=None)


def test_a_catalogue_checks_its_parts() -> None:
    two = pd.DataFrame(index=pd.RangeIndex(2))
    with pytest.raises(ValueError, match="item_ids must be unique; found twice: 7"):
        Catalogue(pd.Index([1]), pd.Index([7, 7]), two)
    with pytest.raises(ValueError, match="one row an item: 2 rows for 3 items"):
        Catalogue(pd.Index([1]), pd.Index([1, 2, 3]), two)
    with pytest.raises(ValueError, match="2 items and 1 feature names"):
        Catalogue(pd.Index([1]), pd.Index([1, 2]), two, sparse.csr_matrix((2, 2), dtype=np.float32), ["a"])


def test_repr_says_what_it_is() -> None:
    assert repr(make([(1, 5, 1.0, 3)])) == "Interactions(unnamed: 1 rows, 1 users, 1 items, timed)"


def test_no_rows_are_allowed() -> None:
    empty = make([(1, 5, 1.0, 3)]).select(np.array([], dtype=np.int64))
    assert (len(empty), empty.matrix.nnz, empty.item_popularity.tolist()) == (0, 0, [0])
    assert len(empty.fingerprint) == 64
