"""What algorithms made of others share: names, hyper-parameters and seeds of the parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from recsys_lab.algorithms.blend import Blend
from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.hybrid import all_parts, is_stochastic, unit_range
from recsys_lab.algorithms.linear import EASE
from recsys_lab.algorithms.rerank import Calibrated, PopularityDebiased
from recsys_lab.seeds import child_seed


def test_parts_get_their_hyper_parameters() -> None:
    first, second = Blend(first_parameters={"regularization": 3.0}, second="PureSVD").make_parts()
    assert isinstance(first, EASE)
    assert first.regularization == 3.0
    assert second.get_params()["n_factors"] == make_algorithm("PureSVD").get_params()["n_factors"]


def test_a_stochastic_part_gets_a_seed_of_its_own_unless_it_has_one() -> None:
    parts = Blend(first="Random", second="Random", random_state=7).make_parts()
    assert [part.get_params()["random_state"] for part in parts] == [
        child_seed(7, "fit/first/Random"),
        child_seed(7, "fit/second/Random"),
    ]
    given = Blend(first="Random", first_parameters={"random_state": 1}).make_parts()[0]
    assert given.get_params()["random_state"] == 1


def test_only_parts_make_it_stochastic() -> None:
    assert not is_stochastic(Calibrated(base="EASE"))
    assert is_stochastic(Calibrated(base="PureSVD"))
    assert is_stochastic(Calibrated(base="Blend", base_parameters={"second": "Random"}))
    assert not is_stochastic(EASE())


def test_parts_of_parts_are_found() -> None:
    nested = Calibrated(base="Blend", base_parameters={"first": "ItemKNN", "second": "Popularity"})
    assert [type(part).__name__ for part in all_parts(nested)] == ["Blend", "ItemKNN", "Popularity"]
    assert all_parts(EASE()) == []


def test_a_clone_owns_its_parameters() -> None:
    model = Blend(first_parameters={"regularization": 3.0})
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.first_parameters is not model.first_parameters


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Blend(first="esae"), "unknown algorithm 'esae'; did you mean 'EASE'"),
        (Blend(first_parameters={"regularisation": 1.0}), "did you mean 'regularization'"),
        (Blend(first=EASE()), r"first is the name of an algorithm, such as 'EASE'; found EASE"),  # type: ignore[arg-type]
        (Blend(second_parameters=[1]), r"second_parameters are hyper-parameters of ItemKNN"),  # type: ignore[arg-type]
        (Blend(weight=1.5), "weight must lie between 0 and 1; found 1.5"),
        (Blend(weight=float("nan")), "weight must lie between 0 and 1; found nan"),
        (Blend(normalisation="max"), "normalisation must be one of minmax"),  # type: ignore[arg-type]
        (PopularityDebiased(n_candidates=0), "n_candidates must be at least 1; found 0"),
        (Calibrated(weight=-0.1), "weight must lie between 0 and 1"),
    ],
)
def test_wrong_values_are_answered_by_fit(model: Blend, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.fit(contract_data())


@pytest.mark.parametrize("model", [Blend(second="SVD"), PopularityDebiased(base="SVD")])
def test_new_users_are_served_if_every_part_serves_them(model: Blend) -> None:
    pytest.importorskip("surprise")
    data = contract_data()
    model.fit(data)
    assert not model.serves_new_users
    with pytest.raises(ValueError, match="cannot serve users unknown to fit"):
        model.recommend(np.array([-1], dtype=np.int32), sparse.csr_matrix((1, data.n_items), dtype=np.float32), 3)
    with pytest.raises(ValueError, match="SVD cannot serve users unknown to fit"):
        model.score(np.array([-1], dtype=np.int32), sparse.csr_matrix((1, data.n_items), dtype=np.float32))
    assert type(model).serves_new_users


def test_unit_range_stretches_what_counts() -> None:
    scores = np.array([[1, 3, 2, 5], [4, 4, 4, 9], [-np.inf, 2, 1, 0]], dtype=np.float32)
    counted = np.array([[True, True, True, False]] * 3)
    expected = np.array([[0, 1, 0.5, 2], [0, 0, 0, 0], [-np.inf, 1, 0, -1]])
    np.testing.assert_allclose(unit_range(scores, counted), expected)
