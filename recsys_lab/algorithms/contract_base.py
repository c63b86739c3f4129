"""What the tests of the contract share: lists of everyone, equal lists, the algorithm and the rows of a test."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.ranked_lists import RankedLists

K = 5


def recommend_all(algorithm: Algorithm, train: Interactions, k: int = K, **options: Any) -> RankedLists:
    """Lists of all users of the catalogue, whose histories are the training rows."""
    return algorithm.recommend(np.arange(train.n_users, dtype=np.int32), train.matrix, k, **options)


def assert_equal_lists(found: RankedLists, expected: RankedLists) -> None:
    """Equal items; scores equal to rounding."""
    np.testing.assert_array_equal(found.items, expected.items)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)


class Base:
    """What a class of tests is told about the algorithm it is for."""

    algorithm_class: ClassVar[type[Algorithm]]
    hyper_parameters: ClassVar[dict[str, Any]] = {}  # that suit a data set of 60 × 50, where the defaults do not
    # values to try for a hyper-parameter whose type does not say them: {"method": ["sgd"]}
    alternatives: ClassVar[dict[str, list[Any]]] = {}
    # what must be set for a hyper-parameter to matter: {"learning_rate": {"method": "sgd"}}
    companions: ClassVar[dict[str, dict[str, Any]]] = {}

    @pytest.fixture
    def algorithm(self) -> Algorithm:
        """A fresh one."""
        return self.algorithm_class(**self.hyper_parameters)

    @pytest.fixture
    def train(self) -> Interactions:
        return contract_data()
