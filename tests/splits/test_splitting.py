"""What holds for every strategy: the invariants of a split, as properties of random data."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import STRATEGIES, folds, split

ALL = sorted(STRATEGIES)
PER_USER = ["leave_last_one_out", "random_user", "temporal_user"]
seeds = st.integers(0, 2**32 - 1)
ASKED = {"rolling": {"n_windows": 2, "window": 1, "test": 0.4}}  # few rows do not fill five windows


def cut_of(data, strategy, **more):
    return split(data, strategy, **{**ASKED.get(strategy, {}), **more})


few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("strategy", ALL)
@given(seed=seeds)
@few
def test_parts_are_disjoint_and_together_the_data(strategy, seed, frame_of, rows_of):
    data = Interactions.from_frame(frame_of(seed))
    cut = cut_of(data, strategy, validation=0.2, seed=seed)
    assert sum((rows_of(part) for part in cut.parts.values()), rows_of(None)) == rows_of(data)
    assert rows_of(cut.history) + rows_of(cut.test) == rows_of(data)
    assert rows_of(cut.validation_history) == rows_of(cut.train) + rows_of(cut.validation_known)
    assert len(cut.validation) > 0
    assert (cut.known is not None) == (cut.validation_known is not None) == (strategy == "user_holdout")
    assert cut.train.catalogue is cut.test.catalogue is data.catalogue


@pytest.mark.parametrize("strategy", ALL)
@given(seed=seeds)
@few
def test_the_order_of_rows_changes_nothing(strategy, seed, frame_of, rows_of):
    frame = frame_of(seed)
    one = cut_of(Interactions.from_frame(frame), strategy, validation=0.2)
    other = cut_of(Interactions.from_frame(frame.sample(frac=1, random_state=seed)), strategy, validation=0.2)
    assert one.card.fingerprint == other.card.fingerprint
    assert one.card == other.card
    for name in one.parts:
        assert rows_of(one.parts[name]) == rows_of(other.parts[name])


@pytest.mark.parametrize("strategy", ALL)
@given(seed=seeds)
@few
def test_renaming_that_keeps_the_order_of_ids_changes_nothing(strategy, seed, frame_of, rows_of):
    frame = frame_of(seed)
    renamed = frame.assign(
        user_id=[f"user {code:05d}" for code in frame["user_id"]], item_id=[f"{code:05d}" for code in frame["item_id"]]
    )
    one = cut_of(Interactions.from_frame(frame), strategy, validation=0.2)
    other = cut_of(Interactions.from_frame(renamed), strategy, validation=0.2)
    back = {(int(row[0][5:]), int(row[1]), *row[2:]) for row in rows_of(other.test)}
    assert back == set(rows_of(one.test))
    assert one.card.fingerprint != other.card.fingerprint  # other ids are other rows


@pytest.mark.parametrize("strategy", ["temporal_global", *PER_USER])
@given(seed=seeds)
@few
def test_any_renaming_of_users_changes_nothing_where_times_tell_them_apart(strategy, seed, frame_of, rows_of):
    frame = frame_of(seed)
    names = np.random.default_rng(seed).permutation(1000)[: frame["user_id"].max() + 1]
    renamed = frame.assign(user_id=names[frame["user_id"]])
    one = split(Interactions.from_frame(frame), strategy)
    other = split(Interactions.from_frame(renamed), strategy)
    assert {(names[row[0]], *row[1:]) for row in rows_of(one.test)} == set(rows_of(other.test))


@given(seed=seeds)
@few
def test_temporal_strategies_without_ties_stand_any_renaming(seed, frame_of, rows_of):
    frame = frame_of(seed)
    rng = np.random.default_rng(seed)
    frame["timestamp"] = rng.permutation(len(frame))
    users, items = rng.permutation(1000), rng.permutation(1000)
    renamed = frame.assign(user_id=users[frame["user_id"]], item_id=items[frame["item_id"]])
    for strategy in ("temporal_global", "temporal_user", "leave_last_one_out"):
        one, other = (split(Interactions.from_frame(table), strategy, validation=0.2) for table in (frame, renamed))
        assert {(users[row[0]], items[row[1]], *row[2:]) for row in rows_of(one.test)} == set(rows_of(other.test))


@pytest.mark.parametrize("strategy", PER_USER)
@given(seed=seeds)
@few
def test_rows_of_other_users_do_not_change_a_user(strategy, seed, frame_of, rows_of):
    frame = frame_of(seed)
    rng = np.random.default_rng(seed)
    user = int(rng.choice(frame["user_id"]))
    others = frame[(frame["user_id"] != user) & (rng.random(len(frame)) < 0.4)]
    fewer = pd.concat([others, frame[frame["user_id"] == user]])
    whole = split(Interactions.from_frame(frame), strategy, validation=0.2)
    alone = split(Interactions.from_frame(fewer), strategy, validation=0.2)
    for name in ("validation", "test"):
        mine = {row for row in rows_of(getattr(whole, name)) if row[0] == user}
        assert mine == {row for row in rows_of(getattr(alone, name)) if row[0] == user}
        assert mine


@pytest.mark.parametrize("strategy", ALL)
@given(seed=seeds)
@few
def test_validation_is_cut_from_train_alone(strategy, seed, frame_of, rows_of):
    data = Interactions.from_frame(frame_of(seed))
    without, with_it = cut_of(data, strategy), cut_of(data, strategy, validation=0.2)
    assert rows_of(without.test) == rows_of(with_it.test)
    kept_back = rows_of(with_it.validation) + rows_of(with_it.validation_known)
    assert rows_of(without.train) == rows_of(with_it.train) + kept_back


@given(seed=seeds)
@few
def test_validation_follows_the_rule_of_the_test_part(seed, frame_of, rows_of):
    frame = frame_of(seed)
    frame["timestamp"] = np.random.default_rng(seed).permutation(len(frame))  # no ties, so no seed plays a part
    data = Interactions.from_frame(frame)
    for strategy in ("temporal_global", "temporal_user", "leave_last_one_out"):
        cut = split(data, strategy, test=0.3, validation=0.2)
        rest = split(data, strategy, test=0.3).train
        assert rows_of(cut.validation) == rows_of(split(rest, strategy, test=0.2).test)


def test_same_seed_same_split_in_another_process(frame_of, tmp_path):
    frame = frame_of(5)
    frame.to_parquet(tmp_path / "rows.parquet")
    program = (
        "import sys, pandas as pd\n"
        "from recsys_lab.data.interactions import Interactions\n"
        "from recsys_lab.splits import STRATEGIES, split\n"
        "data = Interactions.from_frame(pd.read_parquet(sys.argv[1]))\n"
        f"asked = {ASKED}\n"
        "cut = [split(data, name, validation=.2, seed=7, **asked.get(name, {})) for name in sorted(STRATEGIES)]\n"
        "print([one.card.fingerprint for one in cut])\n"
    )
    here = [cut_of(Interactions.from_frame(frame), name, validation=0.2, seed=7).card.fingerprint for name in ALL]
    for hash_seed in ("1", "77"):
        run = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "rows.parquet")],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == str(here)


@pytest.mark.parametrize("strategy", ["random", "random_user", "stratified_item", "k_fold", "user_holdout"])
def test_the_seed_matters_where_chance_does(strategy, frame_of):
    data = Interactions.from_frame(frame_of(1))
    prints = {split(data, strategy, seed=seed).card.fingerprint for seed in range(5)}
    assert len(prints) == 5


def test_fingerprint_says_where_rows_are_and_nothing_else(frame_of):
    frame = frame_of(3)
    data = Interactions.from_frame(frame)
    fold = split(data, "k_fold", n_folds=4, fold=0, seed=9)
    same = split(data, "random", test=len(fold.test) / len(data), seed=9)
    assert (
        fold.card.fingerprint != same.card.fingerprint
    )  # the folds start with the smallest numbers, random ends there
    cut = split(data, "temporal_global", test=0.3)
    again = split(data, "temporal_global", test=0.9, at=int(cut.test.timestamps.min()))
    assert again.card.fingerprint == cut.card.fingerprint  # other parameters, the same parts
    as_text = frame.assign(user_id=frame["user_id"].astype(str), item_id=frame["item_id"].astype(str))
    assert split(Interactions.from_frame(as_text), "temporal_global", test=0.3).card.fingerprint == cut.card.fingerprint
    changed = frame.assign(rating=frame["rating"].where(frame.index != 0, 99.0))
    assert split(Interactions.from_frame(changed), "temporal_global", test=0.3).card.fingerprint != cut.card.fingerprint


def test_folds_share_a_group_and_test_every_row_once(frame_of, rows_of):
    data = Interactions.from_frame(frame_of(2))
    parts = folds(data, 4, seed=1)
    assert sum((rows_of(one.test) for one in parts), rows_of(None)) == rows_of(data)
    assert [one.card.fold for one in parts] == [0, 1, 2, 3]
    assert len({one.card.fingerprint for one in parts}) == 4
    assert len({one.card.group for one in parts}) == 1
    assert folds(data, 4, seed=2)[0].card.group != parts[0].card.group
    assert max(len(one.test) for one in parts) - min(len(one.test) for one in parts) <= 1
    plain = split(data, "random")
    assert plain.card.group == plain.card.fingerprint
    assert plain.card.fold is None


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        ("temporal_globl", {}, "did you mean 'temporal_global'"),
        ("fixed", {}, "fixed_split"),
        ("random", {"min_trian": 3}, "no option 'min_trian'.*Known: row_order"),
        ("temporal_user", {"min_trian": 3}, "did you mean 'min_train'"),
        ("temporal_user", {"row_order": "file"}, "row_order='file' is for k_fold, random, random_user"),
        ("random", {"row_order": "shuffled"}, "'canonical' or 'file'; found 'shuffled'"),
        ("random", {"test": 0}, "test must be a share between 0 and 1; found 0"),
        ("random", {"test": 3}, "share between 0 and 1; found 3"),
        ("temporal_user", {"test": 1.5}, "whole number of rows a user; found 1.5"),
        ("random", {"validation": 1.0}, "validation must be"),
        ("k_fold", {"fold": 5}, "fold must lie between 0 and 4; found 5"),
        ("k_fold", {"n_folds": 1}, "n_folds must lie between 2"),
        ("random", {"seed": -1}, "seed must lie between"),
        ("temporal_user", {"min_train": 10**6}, "leaves no test rows"),
        ("temporal_global", {"at": 10**9}, "leaves no test rows"),
        ("temporal_global", {"at": -5}, "leaves no train rows"),
    ],
)
def test_what_is_wrong_is_said(strategy, options, message, frame_of):
    with pytest.raises(ValueError, match=message):
        split(Interactions.from_frame(frame_of(0)), strategy, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"seed": 1.5}, "seed"), ({"test": "a fifth"}, "test"), ({"test": True}, "test")],
)
def test_wrong_types_are_said(options, message, frame_of):
    with pytest.raises(TypeError, match=message):
        split(Interactions.from_frame(frame_of(0)), "random", **options)
    with pytest.raises(TypeError, match="n_folds must be a whole number"):
        folds(Interactions.from_frame(frame_of(0)), 2.5)


@pytest.mark.parametrize(
    ("strategy", "instead"),
    [("temporal_global", "'random'"), ("temporal_user", "'random_user'"), ("leave_last_one_out", "'random_user'")],
)
def test_without_times_another_strategy_is_named(strategy, instead, frame_of):
    data = Interactions.from_frame(frame_of(0), timestamp=None)
    with pytest.raises(ValueError, match=f"needs timestamps and the data have none; use {instead}"):
        split(data, strategy)


def test_no_rows_cannot_be_split(frame_of):
    data = Interactions.from_frame(frame_of(0))
    with pytest.raises(ValueError, match="without rows"):
        split(data.select(np.zeros(len(data), dtype=bool)), "random")
