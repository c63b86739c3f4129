"""A fitted algorithm as plain files: equal lists after a round trip, and nothing is run that was not meant to be."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.algorithms import state
from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.contract import assert_equal_lists, recommend_all
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.state.reading import Source, read_node
from recsys_lab.algorithms.state.writing import Arrays, write_node


@dataclass(kw_only=True, eq=False)
class Constant(Algorithm):
    """An own algorithm."""

    value: float = 1.0
    keeps: Any = None

    def fit(self, train: Any) -> Constant:
        self.kept_ = self.keeps
        return self

    def score(self, users: Any, histories: Any) -> Any:
        return np.full(histories.shape, self.value, dtype=np.float32)


def _round_trip(value: Any) -> Any:
    arrays = Arrays()
    node = json.loads(json.dumps(write_node(value, "value", arrays), allow_nan=False))
    return read_node(node, Source(arrays.kept, frozenset()))


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -(2**80), "ä", 0.1, float("inf"), (1, (2.5, "x")), [None, [1]], {"a": 1, 2: (3,)}, {}, ()],
)
def test_plain_values_come_back(value: Any) -> None:
    found = _round_trip(value)
    assert found == value
    assert type(found) is type(value)


def test_arrays_come_back_bit_for_bit_with_their_types() -> None:
    values = [np.arange(6, dtype=np.int32).reshape(2, 3), np.array([np.nan, -0.0]), np.uint64(2**64 - 1), np.zeros(0)]
    for value in values:
        found = _round_trip(value)
        assert type(found) is type(value)
        assert found.dtype == value.dtype
        assert found.tobytes() == value.tobytes()
    names = np.array([["a", None], ["b", 3]], dtype=object)
    np.testing.assert_array_equal(_round_trip(names), names)


def test_a_sparse_matrix_keeps_its_stored_zeros() -> None:
    matrix = sparse.csr_matrix((np.array([0.0, 2.0], np.float32), np.array([1, 0]), np.array([0, 1, 2])), shape=(2, 3))
    for one in (matrix, matrix.tocsc()):
        found = _round_trip(one)
        assert found.format == one.format
        assert found.shape == one.shape
        assert found.nnz == 2
        np.testing.assert_array_equal(found.toarray(), one.toarray())


def test_tables_and_indices_come_back() -> None:
    frame = pd.DataFrame({"title": ["a", None], "year": [1.5, 2.0]}, index=pd.Index(["x", "y"], name="item"))
    pd.testing.assert_frame_equal(_round_trip(frame), frame)
    pd.testing.assert_index_equal(_round_trip(pd.RangeIndex(1, 9, 2, name="u")), pd.RangeIndex(1, 9, 2, name="u"))


def test_what_is_no_data_is_refused_with_its_place(tmp_path: Path) -> None:
    algorithm = Constant(keeps={"deep": [object()]}).fit(None)
    with pytest.raises(TypeError, match=r"Constant\.keeps\['deep'\]\[0\] is a builtins\.object"):
        state.save_algorithm(algorithm, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_a_class_outside_the_package_must_be_named(tmp_path: Path) -> None:
    state.save_algorithm(Constant(value=2.0).fit(None), tmp_path / "saved")
    with pytest.raises(ValueError, match="RECSYS_LAB_OWN_MODULES="):
        state.load_algorithm(tmp_path / "saved")
    loaded = state.load_algorithm(tmp_path / "saved", own_modules=[Constant.__module__])
    assert isinstance(loaded, Constant)
    assert loaded.value == 2.0


def test_a_file_cannot_name_a_function_of_another_library(tmp_path: Path) -> None:
    state.save_algorithm(make_algorithm("Popularity").fit(contract_data()), tmp_path / "saved")
    path = tmp_path / "saved" / "state.json"
    path.write_text(path.read_text().replace("recsys_lab.algorithms.baselines:Popularity", "os:system"))
    with pytest.raises(ValueError, match="'os:system'"):
        state.load_algorithm(tmp_path / "saved")


def test_it_is_replaced_whole_and_holds_no_pickle(tmp_path: Path) -> None:
    train = contract_data()
    for name in ("Popularity", "EASE"):
        state.save_algorithm(make_algorithm(name).fit(train), tmp_path / "saved")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["arrays.npz", "state.json"]
    with zipfile.ZipFile(tmp_path / "saved" / "arrays.npz") as arrays:
        for name in arrays.namelist():
            np.load(arrays.open(name), allow_pickle=False)
    model = make_algorithm("EASE").fit(train)
    assert_equal_lists(recommend_all(state.load_algorithm(tmp_path / "saved"), train), recommend_all(model, train))


@pytest.mark.parametrize("damage", ["cut", "format", "missing"])
def test_damage_is_said(tmp_path: Path, damage: str) -> None:
    state.save_algorithm(make_algorithm("EASE").fit(contract_data()), tmp_path / "saved")
    tree, arrays = tmp_path / "saved" / "state.json", tmp_path / "saved" / "arrays.npz"
    if damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:200])
    elif damage == "format":
        tree.write_text(tree.read_text().replace('"format": 1', '"format": 9'))
    else:
        tree.unlink()
    words = {
        "cut": "is damaged",
        "format": "format 9; this version reads format 1",
        "missing": "holds nothing that was saved",
    }
    with pytest.raises((ValueError, FileNotFoundError), match=words[damage]):
        state.load_algorithm(tmp_path / "saved")
