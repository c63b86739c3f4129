"""Strong generalisation: held-out users of whom a part is known when they are served."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.synthetic import generate
from recsys_lab.evaluation import evaluate
from recsys_lab.splits import split, validation_split, without_validation
from recsys_lab.tuning.sealed import sealed

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def data() -> Interactions:
    return generate(120, 60, 3000, seed=3)


@given(seed=st.integers(0, 2**32 - 1), order=st.sampled_from(["random", "time"]))
@few
def test_users_are_apart_and_everyone_is_folded_in(seed, order, frame_of):
    data = Interactions.from_frame(frame_of(seed, n_users=12))
    cut = split(data, "user_holdout", test=0.25, validation=0.25, seed=seed, order=order)
    users = [set(part.users) for part in (cut.train, cut.validation, cut.test)]
    assert not users[0] & users[1] | users[0] & users[2] | users[1] & users[2]
    for held, known in ((cut.test, cut.known), (cut.validation, cut.validation_known)):
        assert set(held.users) == set(known.users)  # every user has 5 rows, so 4 are known and 1 is not
        for user in set(held.users):
            n = data.user_activity[user]
            most = np.ceil(0.2 * n - 1e-9) if order == "time" else n - np.rint(0.8 * n)
            assert held.user_activity[user] == most
            if order == "time":
                assert known.timestamps[known.users == user].max() <= held.timestamps[held.users == user].min()


@given(seed=st.integers(0, 2**32 - 1))
@few
def test_what_is_known_of_a_user_does_not_depend_on_the_rows_of_others(seed, frame_of, rows_of):
    frame = frame_of(seed, n_users=12)
    data = Interactions.from_frame(frame)
    whole = split(data, "user_holdout", test=0.25, seed=seed)
    user = int(data.catalogue.user_ids[whole.test.users[0]])
    others = (frame["user_id"] != user) & (frame["item_id"] > 103)
    fewer = split(Interactions.from_frame(frame[~others]), "user_holdout", test=0.25, seed=seed)
    for name in ("known", "test"):  # the users are the same, so the same ones are held out
        mine = {row for row in rows_of(whole.parts[name]) if row[0] == user}
        assert mine == {row for row in rows_of(fewer.parts[name]) if row[0] == user}
        assert mine


def test_it_is_cold_users_with_other_defaults(data):
    one = split(data, "user_holdout", validation=0.2)
    other = split(data, "cold_users", validation=0.2, given=0.8, order="random")
    assert one.card.fingerprint == other.card.fingerprint
    assert one.card.counts == other.card.counts


def test_a_whole_number_is_a_number_of_users(data):
    cut = split(data, "user_holdout", test=15, validation=10)
    assert cut.card.counts["n_users_test"] == 15
    assert cut.card.counts["n_users_validation"] == 10
    assert cut.card.counts["n_users_known"] == 15
    with pytest.raises(ValueError, match="whole number of users; found 1"):
        split(data, "user_holdout", test=1.5)
    with pytest.raises(ValueError, match="leaves no train rows"):
        split(data, "user_holdout", test=500)


def test_the_card_counts_who_is_folded_in_and_who_cannot_be(data):
    card = split(data, "user_holdout").card
    assert any("folded in and tested; below 200" in text for text in card.warnings)
    assert not any("without train rows" in text for text in card.warnings)
    assert card.counts["n_known"] + card.counts["n_test"] + card.counts["n_train"] == len(data)
    single = data.select(np.unique(data.users, return_index=True)[1])  # one row a user: known, nothing left to find
    both = Interactions.from_frame(_joined(data, single))
    counts = split(both, "user_holdout", test=0.5).card.counts
    assert counts["n_users_untested"] > counts["n_users_train"]


def _joined(data, single):
    frame, more = data.to_frame(), single.to_frame()
    frame["user_id"], more["user_id"] = frame["user_id"].astype(str), "single " + more["user_id"].astype(str)
    return pd.concat([frame, more])


def test_models_are_searched_and_tested_on_users_that_they_fold_in(data):
    outer = split(data, "user_holdout", validation=0.2)
    inner = validation_split(sealed(outer))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in (inner, without_validation(outer)):
            ease, popular = (evaluate(make_algorithm(name), part).summary for name in ("EASE", "Popularity"))
            assert ease["n_users_cold"] == 0
            assert ease["user_coverage"] == 1
            assert ease["ndcg@10"] > popular["ndcg@10"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"given": 0}, "use 'cold_users' where nothing is known"),
        ({"given": 1.0}, "given must be a share from 0 to below 1"),
        ({"order": "tim"}, "order must be 'random' or 'time'; found 'tim'; did you mean 'time'"),
        ({"givn": 0.5}, "did you mean 'given'"),
    ],
)
def test_what_is_wrong_is_said(options, message, data):
    with pytest.raises(ValueError, match=message):
        split(data, "user_holdout", **options)
    with pytest.raises(ValueError, match="order 'time' needs timestamps"):
        split(replace(data, timestamps=None), "user_holdout", order="time")


def test_a_model_that_cannot_fold_in_is_named(data: Interactions) -> None:
    held_out = split(data, "user_holdout", test=0.2)
    n_users = len(np.unique(held_out.test.users))
    with pytest.warns(UserWarning, match=rf"BPR cannot fold in: {n_users} of {n_users} test users have no training"):
        found = evaluate(make_algorithm("BPR", n_epochs=1, n_factors=4), held_out)
    assert sum("cannot fold in" in note for note in found.warnings) == 1
    for name, parts in (("EASE", held_out), ("BPR", split(data, "temporal_user")), ("BPR", split(data, "cold_users"))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = evaluate(make_algorithm(name), parts)
        assert not any("cannot fold in" in note for note in found.warnings), name
