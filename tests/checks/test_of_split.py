"""Every check finds the fault that was planted for it, and passes what is sound."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from recsys_lab.checks import Check, failed, leak_check
from recsys_lab.data.filters import binarise, k_core, minimum_rating
from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import STRATEGIES, fixed_split, folds, split, windows


@pytest.fixture
def data() -> Interactions:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((20, 30)) < 0.5)
    frame = pd.DataFrame({"user_id": users, "item_id": items, "rating": rng.integers(1, 6, len(users)).astype(float)})
    return Interactions.from_frame(frame.assign(timestamp=rng.integers(0, 500, len(users))))


def outcome(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.id == name)


@dataclass(frozen=True)
class Fake:
    per_user: pd.DataFrame


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_sound_splits_pass_what_stops_a_run(strategy, data):
    checks = leak_check(split(data, strategy, validation=0.2))
    assert [check.id for check in checks] == ["L01", "L02", "L03", "L06", "L13"]
    assert failed(checks) == []
    assert [check.level for check in checks] == ["E", "E", "W", "W", "W"]


def test_l01_finds_pairs_in_two_parts(data):
    cut = split(data, "random", validation=0.2)
    leaky = replace(cut, train=cut.train.select(np.append(np.arange(len(cut.train)), 0)))
    assert not outcome(leak_check(leaky), "L01").passed  # one row twice in train
    for name in ("train", "validation"):
        part = getattr(cut, name)
        repeated = replace(
            part.select(np.arange(3)), timestamps=part.timestamps[:3] + 1000
        )  # other rows, the same pairs
        joined = replace(
            cut.test,
            **{
                key: np.concatenate([getattr(cut.test, key), getattr(repeated, key)])
                for key in ("users", "items", "ratings")
            },
            timestamps=np.concatenate([cut.test.timestamps, repeated.timestamps]),
        )
        check = outcome(leak_check(replace(cut, test=joined)), "L01")
        assert (check.passed, check.level, check.value) == (False, "E", 3.0)
        assert f"3 pairs (user, item) are in {name} and in test" in check.message
        assert failed(leak_check(replace(cut, test=joined))) == [check]
        assert outcome(leak_check(replace(cut, test=joined), repeat_consumption=True), "L01").passed


def test_l01_finds_rows_that_occur_twice(data):
    twice = data.select(np.append(np.arange(len(data)), [0, 1]))
    check = outcome(leak_check(split(twice, "temporal_global"), repeat_consumption=True), "L01")
    assert (check.passed, check.value) == (False, 2.0)
    assert "2 rows occur more than once" in check.message
    untimed = fixed_split(
        pd.DataFrame({"user_id": [1, 2], "item_id": [1, 2]}), pd.DataFrame({"user_id": [2], "item_id": [2]})
    )
    assert outcome(leak_check(untimed), "L01").value == 2.0  # a pair in both parts, and a row twice


@pytest.mark.parametrize("shift", [0, 1])
def test_l02_finds_ties_and_rows_out_of_order(shift, data):
    cut = split(data, "temporal_global", validation=0.2)
    assert outcome(leak_check(cut), "L02").passed
    times = cut.train.timestamps.copy()
    times[0] = cut.validation.timestamps.min() + shift
    check = outcome(leak_check(replace(cut, train=replace(cut.train, timestamps=times))), "L02")
    assert (check.passed, check.level, check.value) == (False, "E", 1.0)
    assert "1 rows of train are not before the first of validation" in check.message
    late = cut.validation.timestamps.copy()
    late[0] = cut.test.timestamps.min() + shift
    moved = replace(cut, validation=replace(cut.validation, timestamps=late))
    assert "of validation are not before the first of test" in outcome(leak_check(moved), "L02").message
    timeless = replace(cut, train=replace(cut.train, timestamps=None))
    assert not outcome(leak_check(timeless), "L02").passed


def test_l02_promises_nothing_for_other_strategies(data):
    check = outcome(leak_check(split(data, "random")), "L02")
    assert check.passed
    assert check.value is None


def test_l03_shows_how_much_lies_in_the_future(data):
    leaky = split(data, "random")
    check = outcome(leak_check(leaky), "L03")
    assert (check.passed, check.level, check.value) == (False, "W", leaky.card.future_leak_share)
    assert failed(leak_check(leaky)) == []
    assert failed(leak_check(leaky), "W") == [check]
    sound = outcome(leak_check(split(data, "temporal_global")), "L03")
    assert (sound.passed, sound.value) == (True, 0.0)
    untimed = replace(data, timestamps=None)
    assert outcome(leak_check(split(untimed, "random")), "L03").value is None


def test_l13_warns_of_filters_that_drop_much_or_look_at_test_rows(data):
    assert outcome(leak_check(split(data, "random")), "L13").message == "no filters"
    mild = outcome(leak_check(split(binarise(minimum_rating(data, 2)), "random")), "L13")
    assert mild.passed == (mild.value <= 0.2)
    strict = outcome(leak_check(split(minimum_rating(data, 4), "random")), "L13")
    assert (strict.passed, strict.level) == (False, "W")
    assert strict.value == pytest.approx(1 - (data.ratings >= 4).mean())
    core = k_core(data, users=int(data.user_activity.min()) + 1)
    assert len(core) < len(data)
    check = outcome(leak_check(split(core, "random")), "L13")
    assert check.value < 0.2
    assert not check.passed
    assert "k_core looked at all rows" in check.message
    assert outcome(leak_check(split(k_core(data, 1), "random")), "L13").passed  # it dropped nothing


def test_l14_needs_the_same_users_for_all(data):
    cut = split(data, "random")
    one = pd.DataFrame({"n_relevant": [1, 2, 0]}, index=[4, 5, 6])
    same = {"a": Fake(one), "b": Fake(one.iloc[:2]), "c": Fake(pd.DataFrame({"n_pairs": [1, 1]}, index=[5, 4]))}
    check = outcome(leak_check(cut, same), "L14")
    assert (check.passed, check.level, check.value) == (True, "E", 0.0)
    other = outcome(leak_check(cut, same | {"d": Fake(one.iloc[1:])}), "L14")
    assert (other.passed, other.value) == (False, 1.0)
    assert "of 2 users d lacks 1" in other.message
    bare = outcome(leak_check(cut, {"a": Fake(pd.DataFrame(index=[1])), "b": Fake(pd.DataFrame(index=[2]))}), "L14")
    assert bare.value == 2.0
    assert outcome(leak_check(cut, {}), "L14").passed


def test_l01_and_l02_of_folds_and_within_users(data):
    three = folds(data, 3)
    assert failed(leak_check(three)) == []
    other = folds(data, 3, seed=1)
    mixed = [
        three[0],
        replace(three[1], test=other[0].test.select(np.isin(pairs(other[0].test), pairs(three[0].test)))),
    ]
    mixed[1] = replace(mixed[1], train=three[1].train.select(~np.isin(pairs(three[1].train), pairs(mixed[1].test))))
    check = outcome(leak_check(mixed), "L01")
    assert (check.passed, check.value) == (False, float(len(mixed[1].test)))
    assert "tested in more than one of 2 folds" in check.message
    cut = split(data, "temporal_user", validation=0.2)
    assert outcome(leak_check(cut), "L02").passed
    late = cut.train.timestamps.copy()
    late[0] = 10**6
    wrong = outcome(leak_check(replace(cut, train=replace(cut.train, timestamps=late))), "L02")
    assert (wrong.passed, wrong.value) == (False, 1.0)
    assert "1 rows of train are not before the first of their user in validation" in wrong.message
    with pytest.raises(ValueError, match="found an empty list"):
        leak_check([])


def pairs(part):
    return part.users.astype(np.int64) * part.n_items + part.items


def _with(part: Interactions, more: Interactions) -> Interactions:
    columns = ("users", "items", "ratings", "timestamps")
    return replace(part, **{name: np.concatenate([getattr(part, name), getattr(more, name)]) for name in columns})


@pytest.mark.parametrize("strategy", ["user_holdout", "cold_users", "cold_items"])
def test_l01_finds_held_out_users_and_items_in_train(strategy, data):
    cut = split(data, strategy, validation=0.2)
    assert outcome(leak_check(cut), "L01").value == 0
    fresh = cut.test.select(np.arange(1))
    unseen = "users" if strategy == "cold_items" else "items"
    apart = STRATEGIES[strategy].apart
    own = set(getattr(data.select(getattr(data, apart) == getattr(fresh, apart)), unseen))
    other = next(code for code in range(getattr(data, f"n_{unseen}")) if code not in own)
    planted = replace(fresh, **{unseen: np.array([other], dtype=np.int32)})  # a pair that is nowhere else
    check = outcome(leak_check(replace(cut, train=_with(cut.train, planted))), "L01")
    assert (check.passed, check.value) == (False, 1.0)
    assert f"1 {apart} are in train and in test" in check.message


def test_l01_finds_test_rows_among_the_known(data):
    cut = split(data, "user_holdout")
    check = outcome(leak_check(replace(cut, known=_with(cut.known, cut.test.select(np.arange(2))))), "L01")
    assert not check.passed
    assert "2 pairs (user, item) are in test and in known" in check.message


def test_l02_finds_late_rows_in_the_train_part_of_a_window(data):
    made = windows(data, 3, test=0.4)
    assert failed(leak_check(made)) == []
    late = made[1].test.select(np.arange(2))
    later = replace(
        made[1], train=_with(made[1].train, late), test=made[1].test.select(np.arange(2, len(made[1].test)))
    )
    assert not outcome(leak_check(later), "L02").passed
    both = replace(made[2], test=_with(made[2].test, made[1].test.select(np.arange(3))))
    assert not outcome(leak_check([*made[:2], both]), "L01").passed  # three rows are tested twice
