"""L04 and L11: candidates from the future, chance out of its band."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recsys_lab import Interactions, split
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.checks import chance_check, future_items_check, protocol_floor
from recsys_lab.splits import STRATEGIES


@pytest.fixture(scope="module")
def data() -> Interactions:
    return contract_data()


def by_hand(cut, items_of) -> float:
    """The share of L04, pair by pair."""
    first = {}
    for part in (cut.train, cut.test):
        for item, time in zip(part.items.tolist(), part.timestamps.tolist(), strict=True):
            first[item] = min(time, first.get(item, time))
    later = total = 0
    for user, time in zip(cut.test.users.tolist(), cut.test.timestamps.tolist(), strict=True):
        for item in items_of(user):
            if item in first:
                total += 1
                later += first[item] > time
    return later / total


def test_l04_counts_candidates_from_the_future(data):
    cut = split(data, "random", test=0.3)
    check = future_items_check(cut)
    known = np.flatnonzero(cut.train.item_popularity).tolist()
    assert (check.id, check.level, check.passed) == ("L04", "W", False)
    assert check.value == pytest.approx(by_hand(cut, lambda user: known), abs=1e-12)
    own = sparse.random(data.n_users, data.n_items, 0.3, format="csr", random_state=1)
    given = future_items_check(replace(cut, candidates=own))
    assert given.value == pytest.approx(by_hand(cut, lambda user: own[user].indices.tolist()), abs=1e-12)


def test_l04_a_global_cut_has_none_of_them(data):
    cut = split(data, "temporal_global")
    sound = future_items_check(cut)
    assert (sound.passed, sound.value) == (True, 0.0)
    late = replace(cut, train=cut.train.select(cut.train.items != 0), history=cut.train.select(cut.train.items != 0))
    new = replace(late, test=replace(cut.test, items=np.where(np.arange(len(cut.test)) == 3, 0, cut.test.items)))
    assert future_items_check(new).passed  # not known to train, so no candidate
    assert not future_items_check(new, "catalogue").passed
    untimed = split(replace(data, timestamps=None), "random")
    assert future_items_check(untimed).value is None


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_l11_chance_is_in_its_band_on_every_split(strategy, data):
    for protocol in ({}, {"exclude_seen": False, "cutoffs": (7,)}, {"candidates": "catalogue", "cutoffs": [3]}):
        check = chance_check(split(data, strategy), protocol)
        assert check.passed, check.message
        assert check.value is None or check.value < 4


def test_l11_with_candidates_of_each_user_and_pessimistic_ties(data):
    cut = split(data, "random_user")
    own = sparse.csr_matrix(cut.test.matrix + sparse.random(60, 50, 0.3, format="csr", random_state=1))
    for policy in ("hash", "pessimistic"):
        check = chance_check(replace(cut, candidates=own), {"cutoffs": (2,), "tie_policy": policy})
        assert (check.id, check.level, check.passed) == ("L11", "E", True)
        assert check.value is not None
    floor = protocol_floor(cut, {"cutoffs": (5,)})
    assert [check.id for check in floor.checks] == ["L04", "L11"]
    assert floor.popularity.algorithm == "Popularity"
    assert protocol_floor(cut, {"task": "rating"}).checks == ()


@pytest.mark.parametrize("fault", ["ties by position", "masks forgotten"])
def test_l11_sees_ties_and_masks_that_favour_items(fault, data, monkeypatch):
    """Items of low code are the popular ones, as in many files."""
    rank = np.argsort(np.argsort(-data.item_popularity, kind="stable")).astype(np.int32)
    cut = split(replace(data, items=rank[data.items]), "random_user", test=0.4)
    assert chance_check(cut, {"cutoffs": (5,)}).passed
    from recsys_lab.algorithms import base

    def by_position(scores, k, *, exclude=None, **options):
        tilted = scores - np.arange(scores.shape[1], dtype=np.float32)[None, :] / 1e3
        return honest(tilted, k, exclude=exclude, **options)

    def unmasked(scores, k, *, exclude=None, candidates=None, **options):
        return honest(scores, k, candidates=np.arange(10, dtype=np.int32), **options)

    honest = base.top_k
    monkeypatch.setattr(base, "top_k", by_position if fault == "ties by position" else unmasked)
    protocol = {"cutoffs": (5,), "exclude_seen": fault == "ties by position"}
    check = chance_check(cut, protocol)
    assert (check.level, check.passed) == ("E", False)
    assert check.value > 4
    assert "chance gives" in check.message
