"""Blends against a plain reading of their definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.baselines import Popularity
from recsys_lab.algorithms.blend import Blend, normalised
from recsys_lab.algorithms.contract import recommend_all
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.linear import EASE
from recsys_lab.data.interactions import Float32, Int32, Interactions

NORMALISATIONS = ["minmax", "zscore", "rank", "reciprocal_rank"]


@dataclass(kw_only=True, eq=False)
class Given(Algorithm):
    """The same given scores for everyone."""

    scores: tuple[float, ...] = ()
    serves_new_users = True

    def fit(self, train: Interactions) -> Self:
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        return np.repeat(np.array([self.scores], dtype=np.float32), len(users), axis=0)


GIVEN = f"{__name__}:Given"


def plain(scores: np.ndarray, counted: np.ndarray, normalisation: str) -> np.ndarray:
    """One row, word for word."""
    among = scores[counted]
    if normalisation == "minmax":
        width = among.max() - among.min()
        return (scores - among.min()) / width if width else 0 * scores
    if normalisation == "zscore":
        return (scores - among.mean()) / among.std() if among.std() else 0 * scores
    if normalisation == "rank":
        return np.array([np.mean(among < one) + np.mean(among == one) / 2 for one in scores])
    ranks = np.empty(len(scores))
    ranks[counted] = stats.rankdata(-among)
    for place in np.flatnonzero(~counted):  # stands where it would among them
        ranks[place] = 0.5 + np.sum(among > scores[place]) + np.sum(among == scores[place]) / 2
    return 1 / (60 + ranks)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_one_scale_is_what_it_says(normalisation: Any, data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 9))
    scores = np.array(data.draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n)), dtype=np.float32)
    counted = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    counted[data.draw(st.integers(0, n - 1))] = True
    found = normalised(scores[None], counted[None], normalisation)[0]
    np.testing.assert_allclose(found, plain(scores, counted, normalisation), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_an_item_that_cannot_be_served_is_lowest(normalisation: Any) -> None:
    scores = np.array([[3, -np.inf, 1, 2]], dtype=np.float32)
    found = normalised(scores, np.ones((1, 4), dtype=bool), normalisation)[0]
    assert np.isfinite(found).all()
    assert found[1] <= found[2] < found[3] < found[0]


def test_scores_are_the_weighted_mean_over_what_is_not_seen() -> None:
    model = Blend(
        first=GIVEN,
        second=GIVEN,
        first_parameters={"scores": (9, 0, 1, 4)},
        second_parameters={"scores": (0, 10, 0, 5)},
        weight=0.25,
        normalisation="minmax",
    )
    train = contract_data()
    history = sparse.csr_matrix(np.array([[1, 0, 0, 0]], dtype=np.float32))
    scores = model.fit(train).score(np.zeros(1, dtype=np.int32), history)[0]
    np.testing.assert_allclose(scores[1:], 0.25 * np.array([0, 0.25, 1]) + 0.75 * np.array([1, 0, 0.5]))


def test_the_candidates_set_the_scale_of_a_list() -> None:
    model = Blend(
        first=GIVEN,
        second=GIVEN,
        first_parameters={"scores": (900, 3, 1, 2)},
        second_parameters={"scores": (0, 1, 3, 1.4)},
        weight=0.6,
        normalisation="minmax",
    ).fit(contract_data())
    none = sparse.csr_matrix((1, 4), dtype=np.float32)
    user = np.zeros(1, dtype=np.int32)
    among = model.recommend(user, none, 3, np.array([1, 2, 3], dtype=np.int32))
    assert among.items[0].tolist() == [1, 2, 3]  # the outlier, no candidate, flattens nothing
    np.testing.assert_allclose(among.scores[0], [0.6, 0.4, 0.38], atol=1e-6)
    own = sparse.csr_matrix(np.array([[0, 1, 1, 1]], dtype=np.float32))
    assert model.recommend(user, none, 3, own).scores.tolist() == among.scores.tolist()
    assert model.recommend(user, none, 3).items[0].tolist() == [0, 2, 3]
    seen = sparse.csr_matrix(np.array([[1, 0, 0, 0]], dtype=np.float32))
    assert model.recommend(user, seen, 3).scores.tolist() == among.scores.tolist()
    kept = model.recommend(user, seen, 4, exclude_seen=False).items[0]  # what may be listed again sets the scale too
    assert kept[:2].tolist() == [0, 2]


def test_what_one_part_cannot_serve_is_lowest_among_the_candidates() -> None:
    scores = np.array([[-900, 3, 1, -np.inf]], dtype=np.float32)
    counted = np.array([[False, True, True, True]])
    np.testing.assert_allclose(normalised(scores, counted, "minmax")[0, 1:], [1, 0, 0])


def test_what_no_part_can_serve_is_not_listed() -> None:
    low = float("-inf")
    model = Blend(
        first=GIVEN, second=GIVEN, first_parameters={"scores": (low, low, 1)}, second_parameters={"scores": (low, 2, 1)}
    )
    none = sparse.csr_matrix((1, 3), dtype=np.float32)
    lists = model.fit(contract_data()).recommend(np.zeros(1, dtype=np.int32), none, 3)
    assert sorted(lists.items[0].tolist()) == [-1, 1, 2]


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize(("weight", "alone"), [(1.0, EASE()), (0.0, Popularity())])
def test_the_whole_weight_gives_the_list_of_one_part(normalisation: Any, weight: float, alone: Algorithm) -> None:
    data = contract_data()
    blend = Blend(second="Popularity", weight=weight, normalisation=normalisation).fit(data)
    found, expected = recommend_all(blend, data, k=10), recommend_all(alone.fit(data), data, k=10)
    own = alone.score(found.users, data.matrix)
    by_blend = np.take_along_axis(own, found.items, axis=1)
    np.testing.assert_allclose(by_blend, expected.scores, rtol=1e-5)  # equal up to ties


def test_a_blend_of_a_blend_is_a_blend_of_three() -> None:
    data = contract_data()
    parameters = {"first": "ItemKNN", "second": "Popularity", "normalisation": "rank"}
    model = Blend(second="Blend", second_parameters=parameters).fit(data)
    assert (recommend_all(model, data).items >= 0).all()
