"""Each rule against a plain reading of its words, and against the libraries whose protocols it repeats."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import folds, split

seeds = st.integers(0, 2**32 - 1)
shares = st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5, 0.7])
few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(seed=seeds, share=shares)
@few
def test_temporal_global_parts_do_not_overlap_in_time(seed, share, frame_of):
    data = Interactions.from_frame(frame_of(seed))
    cut = split(data, "temporal_global", test=share, validation=share)
    assert cut.train.timestamps.max() < cut.validation.timestamps.min()
    assert cut.validation.timestamps.max() < cut.test.timestamps.min()


@given(seed=seeds, share=shares)
@few
def test_temporal_global_is_the_moment_nearest_to_the_share(seed, share, frame_of):
    data = Interactions.from_frame(frame_of(seed))
    cut = split(data, "temporal_global", test=share)
    sizes = [int((data.timestamps >= moment).sum()) for moment in np.unique(data.timestamps)[1:]]
    best = min(abs(size - share * len(data)) for size in sizes)
    assert abs(len(cut.test) - share * len(data)) == pytest.approx(best)


@pytest.mark.parametrize("at", [20, "1970-01-01 00:00:20", "1970-01-01T01:00:20+01:00", pd.Timestamp(20, unit="s")])
def test_temporal_global_at_a_moment(at, frame_of):
    data = Interactions.from_frame(frame_of(4))
    cut = split(data, "temporal_global", at=at, validation_at=10, validation=0.1)
    assert cut.test.timestamps.min() >= 20 > cut.validation.timestamps.max()
    assert cut.validation.timestamps.min() >= 10 > cut.train.timestamps.max()


def test_temporal_global_needs_a_moment_and_two_times(frame_of):
    with pytest.raises(TypeError, match=r"Unix seconds or a date.*found 2\.5"):
        split(Interactions.from_frame(frame_of(4)), "temporal_global", at=2.5)
    with pytest.raises(ValueError, match="have one timestamp"):
        split(Interactions.from_frame(frame_of(4, n_times=1)), "temporal_global")


@given(seed=seeds, share=st.sampled_from([0.1, 0.2, 0.5, 0.9, 1, 3, 50]), min_train=st.integers(0, 4))
@few
def test_temporal_user_is_the_last_share_of_each_user(seed, share, min_train, frame_of, rows_of):
    frame = frame_of(seed)
    frame["timestamp"] = np.random.default_rng(seed).permutation(len(frame))
    expected = set()
    for _, rows in frame.groupby("user_id"):
        ordered = rows.sort_values("timestamp")
        wanted = share if share >= 1 else -(-round(share * 10) * len(rows) // 10)  # ceil in whole numbers
        n_test = max(min(wanted, len(rows) - min_train), 0)
        expected |= set(map(tuple, ordered.tail(n_test).itertuples(index=False))) if n_test else set()
    if share == 50 and min_train == 0:
        with pytest.raises(ValueError, match="leaves no train rows"):
            split(Interactions.from_frame(frame), "temporal_user", test=share, min_train=min_train)
        return
    cut = split(Interactions.from_frame(frame), "temporal_user", test=share, min_train=min_train)
    assert set(rows_of(cut.test)) == expected
    assert cut.card.ambiguous_last_share == 0.0


def test_a_tenth_of_thirty_is_three():
    """0.1 · 30 is 3.0000000000000004 in floating point, and its ceiling would be 4."""
    frame = pd.DataFrame({"user_id": 1, "item_id": np.arange(30), "rating": 1.0, "timestamp": np.arange(30)})
    assert len(split(Interactions.from_frame(frame), "temporal_user", test=0.1).test) == 3


@given(seed=seeds, share=shares)
@few
def test_ties_are_broken_within_the_tied_rows_only(seed, share, frame_of):
    data = Interactions.from_frame(frame_of(seed, n_times=4))
    cut = split(data, "temporal_user", test=share, seed=seed)
    ambiguous = 0
    for user in range(data.n_users):
        train, test = (part.timestamps[part.users == user] for part in (cut.train, cut.test))
        assert len(test) == int(np.ceil(share * (len(train) + len(test)) - 1e-9))
        assert train.max() <= test.min()
        ambiguous += train.max() == test.min()
    assert cut.card.ambiguous_last_share == pytest.approx(ambiguous / data.n_users)


def test_huge_time_spans_are_ranked_first(frame_of, rows_of):
    frame = frame_of(8)
    wide = frame.assign(timestamp=(frame["timestamp"] - 15) * 2**57)
    narrow, far = (split(Interactions.from_frame(table), "temporal_user") for table in (frame, wide))
    same = {(row[0], row[1]) for row in rows_of(narrow.test)} & {(row[0], row[1]) for row in rows_of(far.test)}
    certain = [
        (row[0], row[1])
        for row in rows_of(far.test)
        if row[3] > far.train.timestamps[far.train.users == row[0] - 1].max()
    ]
    assert certain  # rows later than all of the user's train rows do not depend on how ties are broken
    assert set(certain) <= same


@given(seed=seeds)
@few
def test_leave_last_one_out_holds_one_last_row(seed, frame_of):
    frame = pd.concat([frame_of(seed), pd.DataFrame({"user_id": [90], "item_id": [101], "rating": 3, "timestamp": 5})])
    data = Interactions.from_frame(frame)
    cut = split(data, "leave_last_one_out", validation=0.1)
    loner = data.n_users - 1
    assert (cut.test.user_activity[:loner] == 1).all()
    assert (cut.validation.user_activity[:loner] == 1).all()
    assert cut.test.user_activity[loner] == 0  # one row is too short to be tested
    assert cut.card.counts["n_users_untested"] == 1
    for user, time in zip(cut.test.users, cut.test.timestamps, strict=True):
        assert time == data.timestamps[data.users == user].max()


def test_ambiguous_last_share_counts_users_whose_last_time_is_shared():
    frame = pd.DataFrame({"user_id": [1, 1, 1, 2, 2, 2, 3, 3], "item_id": [1, 2, 3, 1, 2, 3, 1, 2], "rating": 1.0})
    frame["timestamp"] = [1, 2, 2, 1, 1, 2, 7, 7]
    cut = split(Interactions.from_frame(frame), "leave_last_one_out")
    assert cut.card.ambiguous_last_share == pytest.approx(2 / 3)


def test_the_hash_gives_every_tied_row_its_chance(frame_of):
    frame = pd.DataFrame({"user_id": 1, "item_id": [1, 2, 3, 4], "rating": 1.0, "timestamp": 7})
    data = Interactions.from_frame(frame)
    chosen = Counter(int(split(data, "leave_last_one_out", seed=seed).test.items[0]) for seed in range(400))
    assert len(chosen) == 4
    assert max(chosen.values()) < 140  # expected 100, standard deviation 8.7


@pytest.mark.parametrize("timestamp", [None, "timestamp"])
def test_users_who_look_alike_are_not_cut_alike(timestamp):
    """60 users with the same items at one time: their held-out items must not be the same for all."""
    frame = pd.DataFrame({"user_id": np.repeat(np.arange(60), 10), "item_id": np.tile(np.arange(10), 60)})
    frame = frame.assign(rating=1.0, timestamp=5)
    cut = split(Interactions.from_frame(frame, timestamp=timestamp), "random_user")
    assert (cut.test.user_activity == 2).all()
    assert cut.test.item_popularity.max() < 30
    assert cut.test.item_popularity.min() > 0


@given(seed=seeds, share=shares)
@few
def test_random_user_rounds_half_to_even(seed, share, frame_of):
    data = Interactions.from_frame(frame_of(seed))
    cut = split(data, "random_user", test=share, seed=seed)
    for n, kept in zip(data.user_activity, cut.train.user_activity, strict=True):
        assert kept == max(round((1 - share) * n), 1)
    three = split(data, "random_user", test=3, seed=seed)
    assert (three.test.user_activity == 3).all()


@given(seed=seeds, share=shares)
@few
def test_stratified_item_is_the_rule_word_for_word(seed, share, frame_of, rows_of):
    """One uniform number a row from the seed; an item's rows sorted by it; the first round((1 - test) · n) train."""
    frame = frame_of(seed)
    canonical = sorted(map(tuple, frame.itertuples(index=False)), key=lambda row: (row[0], row[1], row[3], row[2]))
    numbers = np.random.default_rng(seed).random(len(canonical))
    of_item = defaultdict(list)
    for number, row in zip(numbers, canonical, strict=True):
        of_item[row[1]].append((number, row))
    train = {row for rows in of_item.values() for _, row in sorted(rows)[: round((1 - share) * len(rows))]}
    cut = split(Interactions.from_frame(frame), "stratified_item", test=share, seed=seed)
    assert set(rows_of(cut.train)) == train


@given(seed=seeds, share=shares)
@few
def test_random_keeps_the_share_of_all_rows(seed, share, frame_of):
    data = Interactions.from_frame(frame_of(seed))
    assert len(split(data, "random", test=share, seed=seed).train) == round((1 - share) * len(data))


def _numbered(n: int) -> Interactions:
    """Rows 0 ... n - 1 whose time is their number, in an order that is not the canonical one."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user_id": rng.integers(0, 9, n), "item_id": rng.permutation(n), "rating": 1.0})
    return Interactions.from_frame(frame.assign(timestamp=np.arange(n)))


@pytest.mark.parametrize("n", [100, 101, 997])
def test_file_order_random_is_sklearns_split(n):
    train, test = train_test_split(np.arange(n), train_size=0.75, random_state=42)
    cut = split(_numbered(n), "random", test=0.25, seed=42, row_order="file")
    np.testing.assert_array_equal(cut.train.timestamps, train)
    np.testing.assert_array_equal(cut.test.timestamps, test)
    assert cut.train.file_order
    assert cut.train.canonical() is cut.train
    inner_train, inner = train_test_split(train, test_size=0.2, random_state=42)
    both = split(_numbered(n), "random", test=0.25, validation=0.2, seed=42, row_order="file")
    np.testing.assert_array_equal(both.validation.timestamps, inner)
    np.testing.assert_array_equal(both.train.timestamps, inner_train)
    np.testing.assert_array_equal(both.history.timestamps, np.concatenate([inner_train, inner]))


def test_file_order_random_user_shuffles_each_user_as_pandas_does():
    data = _numbered(101)
    kept, held = [], []
    for _, rows in pd.Series(data.timestamps).groupby(data.users):
        shuffled = rows.sample(frac=1, random_state=42).to_list()
        cut = round(0.75 * len(shuffled))
        kept += shuffled[:cut]
        held += shuffled[cut:]
    ours = split(data, "random_user", test=0.25, seed=42, row_order="file")
    np.testing.assert_array_equal(ours.train.timestamps, kept)
    np.testing.assert_array_equal(ours.test.timestamps, held)


@pytest.mark.parametrize(("n", "n_folds"), [(100, 5), (103, 5), (50, 3)])
def test_file_order_k_fold_is_surprises(n, n_folds):
    surprise = pytest.importorskip("surprise", reason="needs scikit-surprise")
    data = _numbered(n)
    raw = pd.DataFrame({"user": data.users, "item": data.timestamps, "rating": 1.0})
    dataset = surprise.Dataset.load_from_df(raw, surprise.Reader())
    theirs = surprise.model_selection.KFold(n_folds, random_state=0, shuffle=True).split(dataset)
    ours = folds(data, n_folds, seed=0, row_order="file")
    for (train, test), cut in zip(theirs, ours, strict=True):
        inner = [train.to_raw_iid(item) for item in sorted(train.ir)]  # in the order of first appearance
        np.testing.assert_array_equal(cut.train.timestamps, inner)
        np.testing.assert_array_equal(cut.test.timestamps, [item for _, item, _ in test])


def test_file_order_is_another_split_and_says_so():
    data = _numbered(60)
    shuffled = data.select(np.random.default_rng(1).permutation(60))
    one, other = (split(rows, "random", row_order="file") for rows in (data, shuffled))
    assert one.card.fingerprint != other.card.fingerprint
    assert one.card.parameters["row_order"] == "file"
    assert split(data, "random").card.fingerprint == split(shuffled, "random").card.fingerprint


@pytest.mark.data
def test_published_row_orders_on_movielens(ml_100k):
    train, test = train_test_split(np.arange(100_000), train_size=0.75, random_state=42)
    cut = split(ml_100k, "random", test=0.25, seed=42, row_order="file")
    np.testing.assert_array_equal(cut.train.users, ml_100k.users[train])
    np.testing.assert_array_equal(cut.test.items, ml_100k.items[test])
    indices = np.arange(100_000)
    np.random.RandomState(0).shuffle(indices)
    for number, fold in enumerate(folds(ml_100k, 5, seed=0, row_order="file")):
        np.testing.assert_array_equal(fold.test.timestamps, ml_100k.timestamps[indices[number * 20_000 :][:20_000]])
