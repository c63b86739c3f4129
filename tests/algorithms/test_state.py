"""A fitted algorithm as plain files: equal lists after a round trip, and nothing is run that was not meant to be."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.algorithms import state
from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE, algorithm_class, make_algorithm
from recsys_lab.algorithms.contract import assert_equal_lists, recommend_all
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.similarity import Vectors, vectors
from recsys_lab.algorithms.state import Maybe, Part
from recsys_lab.algorithms.state.reading import Source, read_own
from recsys_lab.algorithms.state.writing import Arrays, write_node


@dataclass(frozen=True, eq=False)
class Kept:
    """A part of an own algorithm."""

    stored = {"codes": "codes items n", "values": "float32 n nan"}  # noqa: RUF012

    codes: Any
    values: Any


@dataclass(kw_only=True, eq=False)
class Declared(Algorithm):
    """An own algorithm that says what it learns."""

    stored = {"part_": Part(Kept, items="items"), "space_": Maybe(Part(Vectors)), "n_": "number"}  # noqa: RUF012

    def fit(self, train: Any) -> Declared:
        self.part_ = Kept(np.arange(3, dtype=np.int32), np.array([1, np.nan, 2], np.float32))
        self.space_, self.n_ = vectors(sparse.csr_matrix(np.eye(3, dtype=np.float32)), "cosine"), 3
        return self

    def score(self, users: Any, histories: Any) -> Any:
        return np.zeros(histories.shape, dtype=np.float32)


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
    return read_own(node, Source(arrays.kept))


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -(2**80), "ä", 0.1, float("inf"), (1, (2.5, "x")), [None, [1]], {"a": 1, 2: (3,)}, {}, ()],
)
def test_plain_values_come_back(value: Any) -> None:
    found = _round_trip(value)
    assert found == value
    assert type(found) is type(value)


def test_arrays_come_back_bit_for_bit_with_their_types() -> None:
    values = [np.arange(6, dtype=np.int32).reshape(2, 3), np.array([1e29, -0.0]), np.uint64(2**64 - 1), np.zeros(0)]
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


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "recsys_lab.serving.model_store.reading:subprocess.call",  # an import of a module of the lab
        "recsys_lab.algorithms.baselines:Popularity",  # the lab's own algorithms go by their names in the catalogue
        "recsys_lab.data.folders:replace_folder",
        "antigravity:",
        "Pop",
        "",
    ],
)
def test_a_file_names_nothing_but_algorithms_of_the_catalogue(tmp_path: Path, name: str) -> None:
    state.save_algorithm(make_algorithm("Popularity").fit(contract_data()), tmp_path / "saved")
    path = tmp_path / "saved" / "state.json"
    path.write_text(path.read_text().replace('"name": "Popularity"', f'"name": "{name}"'))
    with pytest.raises(ValueError, match=r"the saved algorithm names '.*own_modules="):
        state.load_algorithm(tmp_path / "saved")
    assert "antigravity" not in sys.modules


def helper() -> None:
    """No class."""


class Plain:
    """Neither an algorithm nor a dataclass."""


@pytest.mark.parametrize(
    "own", ["helper", "Plain", "Algorithm", "Path", "json", "json.loads", "Nothing", "", "Constant.fit"]
)
def test_of_a_module_that_may_be_imported_only_algorithms_that_it_defines_are_built(tmp_path: Path, own: str) -> None:
    state.save_algorithm(Constant(value=2.0).fit(None), tmp_path / "saved")
    path = tmp_path / "saved" / "state.json"
    path.write_text(path.read_text().replace(f"{__name__}:Constant", f"{__name__}:{own}"))
    with pytest.raises(ValueError, match=r"is not an algorithm that .* defines"):
        state.load_algorithm(tmp_path / "saved", own_modules=[__name__])


@pytest.mark.parametrize("name", ["score", "__class__", "fit", "recommend", "serves_new_users", "a b"])
def test_what_is_learned_replaces_no_attribute_of_the_class(tmp_path: Path, name: str) -> None:
    for algorithm, own in ((make_algorithm("Popularity").fit(contract_data()), ()), (Constant().fit(None), [__name__])):
        state.save_algorithm(algorithm, tmp_path / "saved")
        path = tmp_path / "saved" / "state.json"
        path.write_text(path.read_text().replace('"learned": {', f'"learned": {{"{name}": 1, '))
        with pytest.raises(ValueError, match=r"unexpected|are attributes of its class"):
            state.load_algorithm(tmp_path / "saved", own_modules=own)


def test_an_own_algorithm_may_declare_what_it_learns(tmp_path: Path) -> None:
    """Then a NaN may have a meaning, and parts of the lab may be kept."""
    state.save_algorithm(Declared().fit(None), tmp_path / "saved")
    loaded = state.load_algorithm(tmp_path / "saved", own_modules=[__name__])
    assert isinstance(loaded, Declared)
    np.testing.assert_array_equal(loaded.part_.values, np.array([1, np.nan, 2], np.float32))
    assert isinstance(loaded.space_, Vectors)
    with pytest.raises(TypeError, match="declares it in a layout"):
        state.save_algorithm(Constant(keeps=loaded.space_).fit(None), tmp_path / "saved")
    state.save_algorithm(Constant(keeps=np.array([np.nan])).fit(None), tmp_path / "saved")
    with pytest.raises(ValueError, match="are not finite"):
        state.load_algorithm(tmp_path / "saved", own_modules=[__name__])


def test_every_algorithm_that_is_served_declares_what_it_learns() -> None:
    """The other half, that it learns no more and no less, is what saving checks (test_parity saves them all)."""
    for name, entry in CATALOGUE.items():
        if not entry.extra and "truth" not in entry.needs:
            assert algorithm_class(name).stored is not None, name
    with pytest.raises(TypeError, match="the Oracle, which cannot be stored"):
        write_node(make_algorithm("Oracle"), "value", Arrays())


def _saved(folder: Path, name: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """A saved algorithm: its tree, and its arrays by name."""
    state.save_algorithm(make_algorithm(name, **options).fit(contract_data()), folder)
    with np.load(folder / "arrays.npz") as arrays:
        return json.loads((folder / "state.json").read_text()), dict(arrays)


def _changed(name: str, change: Callable[[Any], Any]) -> Callable[[Any, dict[str, Any]], None]:
    """Change the array, or one of a sparse matrix ("weights_/1": its indices), of what is learned."""

    def act(tree: Any, arrays: dict[str, Any]) -> None:
        key, _, part = name.partition("/")
        node = tree["root"]["learned"]
        for step in key.split("."):
            node = node[step] if step in node else node["fields"][step]
        place = node["arrays"][int(part)] if part else node["array"]
        arrays[place] = change(arrays[place])

    return act


def _with(place: Any, value: Any) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        changed = array.copy()
        changed.flat[place] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("algorithm", "change", "said"),
    [
        ("EASE", _changed("weights_", lambda a: a[:-1]), r"EASE\.weights_ has shape \(\d+, \d+\), expected"),
        ("EASE", _changed("weights_", lambda a: a.astype(np.float64)), "is float64, expected float32"),
        ("EASE", _changed("weights_", _with(3, np.nan)), "numbers that are not finite"),
        ("EASE", _changed("weights_", _with(3, -np.inf)), "numbers that are not finite"),
        ("SLIM", _changed("weights_/1", _with(0, 10**6)), r"SLIM\.weights_: "),
        ("SLIM", _changed("weights_/1", _with(0, -1)), r"SLIM\.weights_: "),
        ("SLIM", _changed("weights_/2", _with(1, 10**6)), "pointers that do not rise"),
        ("SLIM", _changed("weights_/2", lambda a: a[::-1].copy()), "pointers that do not rise"),
        ("SLIM", _changed("weights_/1", lambda a: a.astype(np.float32)), "expected whole numbers"),
        ("KNNWithMeans", _changed("state_.inner_users", _with(0, 10**6)), "has codes from -1 to 1000000"),
        ("KNNWithMeans", _changed("state_.raters.codes", _with(0, -2)), "has codes from -2"),
        ("KNNWithMeans", _changed("state_.raters.pointers", _with(1, 10**6)), "does not rise from 0"),
        ("KNNWithMeans", _changed("state_.similarity", lambda a: a[:-1, :-1]), "expected"),
        ("KNNWithMeans", _changed("state_.x_base", _with(0, np.inf)), "numbers that are not finite"),
        ("Markov", _changed("places_/1", _with(0, 10**6)), r"Markov\.places_: "),
        ("ItemKNN", _changed("space_.norms", lambda a: a[:-1]), r"ItemKNN\.space_\.norms has shape"),
    ],
)
def test_arrays_that_loops_would_trust_are_refused(
    tmp_path: Path, algorithm: str, change: Callable[[Any, dict[str, Any]], None], said: str
) -> None:
    tree, arrays = _saved(tmp_path / "saved", algorithm)
    change(tree, arrays)
    np.savez(tmp_path / "saved" / "arrays.npz", **arrays)
    with pytest.raises(ValueError, match=said):
        state.load_algorithm(tmp_path / "saved")


def test_an_archive_takes_no_more_memory_than_it_has_bytes(tmp_path: Path) -> None:
    _, arrays = _saved(tmp_path / "saved", "EASE")
    file = tmp_path / "saved" / "arrays.npz"
    np.savez_compressed(file, **{name: np.zeros_like(array) for name, array in arrays.items()})
    with pytest.raises(ValueError, match="is compressed, or its members overlap"):
        state.load_algorithm(tmp_path / "saved")
    claim = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a0.npy", b"\x93NUMPY\x01\x00" + len(claim).to_bytes(2, "little") + claim + b"few bytes")
    with pytest.raises(ValueError, match=r"a0 claims float32 \(1000000, 1000000\), which its \d+ bytes do not hold"):
        state.load_algorithm(tmp_path / "saved")
    with zipfile.ZipFile(file, "w") as archive, archive.open("a0.npy", "w") as stream:
        np.lib.format.write_array(stream, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="a0 claims object"):
        state.load_algorithm(tmp_path / "saved")


def test_a_tree_without_end_is_refused(tmp_path: Path) -> None:
    _saved(tmp_path / "saved", "EASE")
    (tmp_path / "saved" / "state.json").write_text('{"format": 2, "root": ' + "[" * 100_000)
    with pytest.raises(ValueError, match="RecursionError"):
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
        tree.write_text(tree.read_text().replace('"format": 2', '"format": 9'))
    else:
        tree.unlink()
    words = {
        "cut": "is damaged",
        "format": "format 9; this version reads format 2",
        "missing": "holds nothing that was saved",
    }
    with pytest.raises((ValueError, FileNotFoundError), match=words[damage]):
        state.load_algorithm(tmp_path / "saved")
