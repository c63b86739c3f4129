"""L05, L09 and L12: algorithms that know too much, and sound ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest

from recsys_lab import Algorithm, Interactions, make_algorithm, split
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.checks import canary_check, candidate_order_check, permuted_users_check
from recsys_lab.data.ranked_lists import RankedLists

WORLD: dict[str, Interactions] = {}  # what a careless module keeps


@pytest.fixture
def cut():
    return split(contract_data(), "random_user", test=0.3)


@dataclass(kw_only=True, eq=False)
class Counts(Algorithm):
    """Popularity, of whatever rows a subclass lays its hands on."""

    serves_new_users: ClassVar[bool] = True

    def fit(self, train):
        self.counts_ = np.asarray(self.rows(train), dtype=np.float32)
        return self

    def rows(self, train: Interactions) -> Any:
        return train.item_popularity

    def score(self, users, histories):
        return np.repeat(self.counts_[None, :], len(users), axis=0)


class ReadsAGlobal(Counts):
    def rows(self, train):
        return WORLD["full"].item_popularity


class ReadsAnObjectOfTheCatalogue(Counts):
    def rows(self, train):
        return train.catalogue.info["all rows"].item_popularity


class ReadsNumbersOfTheCatalogue(Counts):
    def rows(self, train):
        return train.catalogue.info["popularity"]


@cache
def loaded() -> Interactions:
    return WORLD["full"].select(np.arange(len(WORLD["full"])))


class ReadsACache(Counts):
    def rows(self, train):
        return loaded().item_popularity


class ReadsWhileScoring(Counts):
    def score(self, users, histories):
        return np.repeat(WORLD["test"].item_popularity[None, :].astype(np.float32), len(users), axis=0)


class Unrepeatable(Counts):
    def rows(self, train):
        return np.random.default_rng().random(train.n_items)


def closing_over(data: Interactions) -> type[Counts]:
    class ReadsAClosure(Counts):
        def rows(self, train):
            return data.item_popularity

    return ReadsAClosure


def fitted(algorithm: Algorithm, cut: Any) -> Algorithm:
    return algorithm.fit(cut.train)


LEAKY = (ReadsAGlobal, ReadsAnObjectOfTheCatalogue, ReadsNumbersOfTheCatalogue, ReadsACache, ReadsWhileScoring)


@pytest.mark.parametrize("kind", [*LEAKY, "closure", "given"])
def test_l05_the_canary_shows_who_reads_more_than_train(kind, cut, monkeypatch):
    data = contract_data()
    monkeypatch.setitem(WORLD, "full", data)
    monkeypatch.setitem(WORLD, "test", cut.test)
    loaded.cache_clear()
    info = {**cut.train.catalogue.info, "all rows": data, "popularity": data.item_popularity.tolist()}
    leaky = replace(cut, train=replace(cut.train, catalogue=replace(cut.train.catalogue, info=info)))
    algorithm = closing_over(data)() if kind in ("closure", "given") else kind()
    before = [cut.test.item_popularity.copy(), data.item_popularity.copy(), len(data), len(cut.test)]
    others = (data,) if kind == "given" else ()
    check = canary_check(fitted(algorithm, leaky), leaky, others)
    assert (check.id, check.level, check.passed) == ("L05", "E", False)
    assert check.value == len(np.unique(cut.test.users[cut.test.users >= 0]))
    assert "reads more than its training rows" in check.message
    # all is as it was
    np.testing.assert_array_equal(cut.test.item_popularity, before[0])
    np.testing.assert_array_equal(data.item_popularity, before[1])
    assert (len(data), len(cut.test)) == (before[2], before[3])
    assert leaky.train.catalogue.info == info


@pytest.mark.parametrize("name", ["Random", "Popularity", "EASE", "ItemKNN", "PureSVD", "BPR", "Bias", "Oracle", "SVD"])
def test_l05_sound_algorithms_do_not_see_the_canary(name, cut):
    check = canary_check(fitted(make_algorithm(name), cut), cut, (contract_data(),))
    assert check.passed, check.message
    assert check.value == 0.0
    assert int(check.message.split()[0]) > 100  # canary rows were planted


def test_l05_decides_nothing_where_two_fits_differ(cut):
    check = canary_check(fitted(Unrepeatable(), cut), cut)
    assert (check.passed, check.value) == (True, None)
    assert "random_state" in check.message


class OwnRanking(Counts):
    """Ties go to whatever candidate comes first."""

    def recommend(self, users, histories, k, candidates=None, *, exclude_seen=True, tie_seed=0):
        items = np.full((len(users), k), -1, dtype=np.int32)
        for row in range(len(users)):
            open_ = [item for item in candidates if item not in histories[row].indices][:k]
            items[row, : len(open_)] = open_
        return RankedLists(users, items, np.where(items >= 0, 0.0, -np.inf).astype(np.float32))


class NewScoresEachTime(Counts):
    def score(self, users, histories):
        return np.random.default_rng().random(histories.shape).astype(np.float32)


@pytest.mark.parametrize(("kind", "words"), [(OwnRanking, "another order"), (NewScoresEachTime, "each time")])
def test_l09_lists_that_depend_on_the_order_of_candidates(kind, words, cut):
    check = candidate_order_check(fitted(kind(), cut), cut, {"cutoffs": (5,)})
    assert (check.id, check.level, check.passed, check.value) == ("L09", "E", False, 16.0)
    assert words in check.message


@pytest.mark.parametrize("given", [None, "catalogue", "own"])
def test_l09_the_order_changes_nothing_for_sound_ones(given, cut):
    candidates = contract_data().matrix if given == "own" else given
    protocol = {"cutoffs": (5, 10), "candidates": candidates, "exclude_seen": given != "own"}
    for name in ("Random", "Popularity", "EASE"):
        check = candidate_order_check(fitted(make_algorithm(name), cut), cut, protocol)
        assert (check.passed, check.value) == (True, 0.0)
    assert candidate_order_check(make_algorithm("Bias"), cut, {"task": "rating"}).passed


class KnowsTheTest(Counts):
    """Its fit looks up what will be tested; shuffled users do not hurt it."""

    def fit(self, train):
        self.right_ = WORLD["test"].matrix
        return self

    def score(self, users, histories):
        return self.right_[users].toarray()


def test_l12_on_shuffled_users_only_a_leak_beats_popularity(cut, monkeypatch):
    monkeypatch.setitem(WORLD, "test", cut.test)
    protocol = {"cutoffs": (5, 10)}
    check = permuted_users_check(KnowsTheTest(), cut, protocol)
    assert (check.id, check.level, check.passed) == ("L12", "W", False)
    assert check.value > 0.2
    for name in ("EASE", "ItemKNN", "ContentKNN", "PureSVD"):
        sound = permuted_users_check(make_algorithm(name), cut, protocol)
        assert sound.passed, sound.message
    assert permuted_users_check(make_algorithm("Bias"), cut, {"task": "rating"}).value is None
