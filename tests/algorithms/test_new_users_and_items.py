"""Folding in and cold items: whoever says so does it, without a refit, and the others say that they cannot."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE, make_algorithm
from recsys_lab.algorithms.contract_cases import checkerboard, contract_data, installed
from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import split

HERE = installed()
FEW: dict[str, Any] = {"n_epochs": 1}
NEW = np.array([-1], dtype=np.int32)


def quick(name: str) -> Algorithm:
    """One epoch for neural models."""
    return make_algorithm(name, **(FEW if CATALOGUE[name].family == "neural" else {}))


@pytest.mark.parametrize("name", [name for name in HERE if CATALOGUE[name].serves_new_users])
def test_a_new_user_is_served_from_the_history_without_a_refit(name: str) -> None:
    train = contract_data()
    model = quick(name).fit(train)
    before = pickle.dumps(model)
    scores = [model.score(NEW, train.matrix[user])[0] for user in range(8)]
    assert pickle.dumps(model) == before, "serving changed the fitted model"
    differ = any(not np.array_equal(scores[0], other) for other in scores[1:])
    follows_history = CATALOGUE[name].learns in ("tastes", "order")
    assert differ == follows_history, "a new user of another history has another list where histories count"


@pytest.mark.parametrize("name", [name for name in HERE if not CATALOGUE[name].serves_new_users])
def test_the_others_say_that_they_cannot(name: str) -> None:
    train = contract_data()
    message = f"^{name} cannot serve users unknown to fit; found 1 of 1 codes below 0. Fit again"
    with pytest.raises(ValueError, match=message):
        quick(name).fit(train).recommend(NEW, train.matrix[0], 5)


# what serves items without training rows by what they are
COLD = [name for name in HERE if CATALOGUE[name].serves_cold_items]
TRAINED: dict[str, Any] = {
    "n_epochs": 60, "batch_size": 64, "n_factors": 12, "id_dropout": 0.5, "learning_rate": 0.01, "validation_share": 0.0
}  # fmt: skip


def board_with_cold_items() -> Interactions:
    """The checkerboard without the rows of items 0 and 1; features say which items are even."""
    train, _ = checkerboard()
    return train.select(train.items >= 2)


@pytest.mark.parametrize("name", COLD)
def test_a_cold_item_goes_to_those_who_love_its_kind(name: str) -> None:
    train = board_with_cold_items()
    model = make_algorithm(name, **(TRAINED if CATALOGUE[name].family == "neural" else {})).fit(train)
    users = np.arange(20, dtype=np.int32)
    lists = model.recommend(users, train.matrix, 1, np.array([0, 1], dtype=np.int32))
    assert (lists.items[:, 0] == users % 2).mean() >= 0.9


@pytest.mark.parametrize("name", [name for name in HERE if not CATALOGUE[name].serves_cold_items])
def test_the_others_cannot_tell_cold_items_apart_by_what_they_are(name: str) -> None:
    train = board_with_cold_items()
    swapped = train.catalogue.item_features[np.r_[1, 0, 2:20]]
    other = replace(train, catalogue=replace(train.catalogue, item_features=swapped))
    users = np.arange(20, dtype=np.int32)
    found = [quick(name).fit(rows).score(users, rows.matrix)[:, :2] for rows in (train, other)]
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("name", COLD)
def test_cold_items_of_a_split_are_listed(name: str) -> None:
    cut = split(contract_data(), "cold_items", test=0.3)
    cold = np.unique(cut.test.items).astype(np.int32)
    model = quick(name).fit(cut.train)
    lists = model.recommend(np.arange(60, dtype=np.int32), cut.train.matrix, 5, cold)
    assert (lists.items >= 0).all()
    assert (np.ptp(model.score(np.arange(60, dtype=np.int32), cut.train.matrix)[:, cold], axis=1) > 0).mean() > 0.9
