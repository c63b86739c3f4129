"""Search spaces: their ends and choices are legal, and a condition names what there is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE, Range, algorithm_class, make_algorithm
from recsys_lab.algorithms.contract import recommend_all
from recsys_lab.algorithms.contract_cases import contract_data, installed
from recsys_lab.data.interactions import Int32, Interactions

SEARCHED = [name for name in installed() if CATALOGUE[name].space]


def corners(name: str) -> Iterator[dict[str, Any]]:
    """Both ends of all ranges, and from the lower ones each choice of each other hyper-parameter."""
    space = CATALOGUE[name].space
    low = {key: values.low if isinstance(values, Range) else values[0] for key, values in space.items()}
    high = {key: values.high if isinstance(values, Range) else values[-1] for key, values in space.items()}
    points = [low, high]
    for key, values in space.items():
        if not isinstance(values, Range):
            points += [{**low, key: value} for value in values[1:]]
    yield from (CATALOGUE[name].active(point) for point in points)


@pytest.mark.parametrize("name", SEARCHED)
def test_every_end_and_choice_of_a_space_can_be_fitted(name: str) -> None:
    train = contract_data()
    fields = inspect.signature(algorithm_class(name)).parameters
    few = {"n_epochs": 1} if "n_epochs" in fields else {}  # as many as the space says are but longer
    for point in corners(name):
        lists = recommend_all(make_algorithm(name, **{**point, **few}).fit(train), train)
        assert (lists.items >= 0).any(axis=1).all(), point
        assert np.isfinite(lists.scores[lists.items >= 0]).all(), point


def outcome(model: Algorithm, train: Interactions) -> Int32 | str:
    """Lists, or the words with which a value is refused."""
    try:
        return recommend_all(model.fit(train), train).items
    except ValueError as error:
        return str(error)


CONDITIONS = [(name, key) for name in SEARCHED for key in CATALOGUE[name].conditions]


@pytest.mark.parametrize(("name", "key"), CONDITIONS)
def test_what_does_not_matter_changes_nothing_and_is_left_out(name: str, key: str) -> None:
    train, entry = contract_data(), CATALOGUE[name]
    values = entry.space[key]
    ends = (values.low, values.high) if isinstance(values, Range) else values
    ((other, choices),) = entry.conditions[key].items()
    offered = entry.space[other]
    assert isinstance(offered, tuple)
    assert 0 < len(set(choices) & set(offered)) < len(offered)
    for choice in offered:
        point = {other: choice, key: ends[-1]}
        assert (key in entry.active(point)) == (choice in choices)
        if choice in choices:
            continue
        found = [outcome(make_algorithm(name, **{other: choice, key: value}), train) for value in ends]
        assert isinstance(found[0], np.ndarray)
        assert all(key in end if isinstance(end, str) else np.array_equal(end, found[0]) for end in found)


def test_a_condition_on_what_is_not_searched_leaves_the_value_to_the_user() -> None:
    assert CATALOGUE["ItemKNN"].active({"alpha": 0.5, "n_neighbors": 9}) == {"alpha": 0.5, "n_neighbors": 9}
    assert CATALOGUE["ItemKNN"].active({"alpha": 0.5, "similarity": "cosine"}) == {"similarity": "cosine"}
