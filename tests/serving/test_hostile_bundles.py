"""Bundles changed by somebody who can write to the registry: refused, or they give the lists of the true one.

The changes are drawn: of the tree, of arrays, of the manifest and of raw bytes, the hashes in the manifest made right
again in most of them, as an attacker would. While a bundle is loaded nothing may be imported, and no process, socket or
file outside the bundle opened.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from recsys_lab import make_algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE, algorithm_class
from recsys_lab.data import synthetic
from recsys_lab.serving.bundle import MANIFEST, STATE, make_bundle, save_bundle
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.models import open_model
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.trial import same_list, trial_lists
from tests.serving.apps import SMALL

N_CHANGES = 2000
N_USERS, N_ITEMS = 30, 40  # fewer users than a trial asks for: what passes is right for all
VERSION = Version("recommender", "1", "", "", {})
ATTACKS = (
    {"is": "own", "class": "subprocess:Popen", "fields": {"args": ["touch", "/tmp/owned"]}},
    {"is": "named", "class": "recsys_lab.serving.model_store.reading:subprocess.call", "fields": {"args": ["true"]}},
    {"is": "algorithm", "name": "os:system", "parameters": {"command": "true"}, "learned": {}},
    {"is": "algorithm", "name": "antigravity:fly", "parameters": {}, "learned": {}},
    {"is": "part", "fields": {}},
    {"is": "array", "array": "a0"},
)
VALUES = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2**31,
    2**63,
    -(2**70),
    0.5,
    -1e308,
    "",
    "x",
    "../../x",
    "\x00",
    [],
    {},
    *ATTACKS,
)
NUMBERS = (np.nan, np.inf, -np.inf, -1, 0, 1, 2**31 - 1, -(2**31), 1e30)


@cache
def _names() -> list[str]:
    """The algorithms that this machine can serve."""
    names = []
    for name, entry in CATALOGUE.items():
        try:
            algorithm_class(name)
        except ImportError:
            continue
        if "truth" not in entry.needs:
            names.append(name)
    return names


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a replica; waking a second one for each of 100,000 small lists would cost more than all else here."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="module")
def true(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[dict[str, Any]]]]:
    """The bundle of each algorithm, and its lists of all users."""
    folder, data = tmp_path_factory.mktemp("true"), synthetic.generate(N_USERS, N_ITEMS, 620, seed=1)
    found = {}
    for name in _names():
        blank = make_algorithm(name)
        algorithm = make_algorithm(name, **{key: value for key, value in SMALL.items() if hasattr(blank, key)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the small networks have not converged
            bundle = make_bundle(algorithm.fit(data), data)
        lists = trial_lists(Recommender(bundle))
        save_bundle(bundle, folder / name, {"run_id": ""}, lists)
        open_model("champion", VERSION, folder / name, ())  # what loading imports and compiles is there from now on
        found[name] = folder / name, lists
    return found


class _Watch:
    """What the interpreter does while ``on``, as its audit hook tells; a hook stays for the life of a process."""

    def __init__(self) -> None:
        self.on, self.seen, self.inside = False, list[str](), ""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        inside = (self.inside, "/proc/self/maps")  # where threadpoolctl finds the libraries whose threads it sets
        outside = event == "open" and (not str(args[0]).startswith(inside) or "r" not in str(args[1] or "r"))
        started = event.split(".")[0] in ("subprocess", "socket", "os", "ctypes", "pty", "shutil", "urllib", "winreg")
        harmless = event in ("os.listdir", "os.scandir", "os.getxattr", "os.listxattr")
        bad = outside or event in ("import", "pickle.find_class") or (started and not harmless)
        if bad and not _is_compiling():
            self.seen.append(f"{event} {args[:2]}")


def _is_compiling() -> bool:
    """Whether Numba compiles one of our loops anew, or reads it from its cache: for a number of another type."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if f"{Path('numba') / 'core'}/" in frame.f_code.co_filename:
            return True
    return False


WATCH = _Watch()


@contextmanager
def _nothing_outside(folder: Path) -> Iterator[None]:
    WATCH.seen, WATCH.inside, WATCH.on = [], str(folder), True
    try:
        yield
    finally:
        WATCH.on = False
    assert WATCH.seen == []


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Container and key of everything in a tree."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    return [(node, key) for key in keys] + [place for key in keys for place in _places(node[key])]


def _change_tree(rng: np.random.Generator, tree: Any) -> None:
    places = _places(tree)
    container, key = places[rng.integers(len(places))]
    value = container[key]
    match rng.integers(6):
        case 0:
            del container[key]
        case 1:
            container[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        case 2:
            other, its = places[rng.integers(len(places))]
            container[key] = copy.deepcopy(other[its])
        case 3 if isinstance(container, dict):
            container[str(VALUES[rng.integers(len(VALUES))])] = container.pop(key)
        case 4 if isinstance(value, int | float):
            container[key] = [value + 1, -value, value * 1e6, str(value)][rng.integers(4)]
        case _:
            deep: Any = value
            for _ in range(int(rng.integers(1, 2000))):
                deep = {"is": "list", "values": [deep]}
            container[key] = deep


def _change_array(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> None:
    name = list(arrays)[rng.integers(len(arrays))]
    array = arrays[name].copy()
    match rng.integers(9):
        case 0:
            del arrays[name]
            return
        case 1:
            with np.errstate(all="ignore"):
                array = array.astype(
                    [np.float64, np.float32, np.int64, np.int32, np.int8, ">i4", bool][rng.integers(7)]
                )
        case 2 if array.ndim:
            array = array[: rng.integers(len(array) + 1)]
        case 3 if array.ndim:
            array = np.concatenate([array, array])
        case 4:
            array = array.T if array.ndim > 1 else array.reshape(1, -1)
        case 5:
            array = arrays[list(arrays)[rng.integers(len(arrays))]]
        case 6 if array.size:
            rng.shuffle(array.reshape(-1))
        case _ if array.size:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                array.flat[rng.integers(array.size)] = np.asarray(NUMBERS[rng.integers(len(NUMBERS))]).astype(
                    array.dtype
                )
    arrays[name] = array


def _change_bytes(rng: np.random.Generator, file: Path) -> None:
    text = bytearray(file.read_bytes())
    start = int(rng.integers(len(text)))
    match rng.integers(3):
        case 0:
            text[start] ^= 1 << int(rng.integers(8))
        case 1:
            del text[start:]
        case _:
            text[start:start] = rng.bytes(int(rng.integers(1, 50)))
    file.write_bytes(text)


def _change(rng: np.random.Generator, folder: Path) -> None:
    """One to three changes; the manifest's sizes and hashes follow in most cases."""
    tree_file, array_file, manifest_file = (
        folder / STATE / "state.json",
        folder / STATE / "arrays.npz",
        folder / MANIFEST,
    )
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.choice(["tree", "array", "bytes", "manifest"], p=[0.45, 0.35, 0.1, 0.1])
        try:
            if kind in ("tree", "manifest"):
                file = tree_file if kind == "tree" else manifest_file
                tree = json.loads(file.read_text())
                _change_tree(rng, tree)
                file.write_text(json.dumps(tree))
            elif kind == "array":
                with np.load(array_file) as found:
                    arrays = dict(found)
                _change_array(rng, arrays)
                (np.savez_compressed if rng.random() < 0.02 else np.savez)(array_file, **arrays)
            else:
                _change_bytes(rng, [tree_file, array_file, manifest_file][rng.integers(3)])
        except Exception:  # an earlier change left nothing that can be changed in this way
            continue
    if rng.random() < 0.85:
        _make_hashes_right(manifest_file, tree_file, array_file)


def _make_hashes_right(manifest_file: Path, *files: Path) -> None:
    try:
        manifest = json.loads(manifest_file.read_text())
        for file in files:
            content = file.read_bytes()
            manifest["files"][file.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest_file.write_text(json.dumps(manifest))
    except Exception:  # the manifest is none any more
        return


@pytest.mark.parametrize("part", range(4))
def test_a_changed_bundle_is_refused_or_gives_the_true_lists(
    part: int, true: dict[str, tuple[Path, list[dict[str, Any]]]], tmp_path: Path
) -> None:
    refused = taken = 0
    for n in range(part, N_CHANGES, 4):
        rng = np.random.default_rng([n, 7])
        name = _names()[n % len(_names())]
        source, lists = true[name]
        place = tmp_path / "bundle"
        shutil.copytree(source, place)
        _change(rng, place)
        try:
            with _nothing_outside(tmp_path):
                loaded = open_model("champion", VERSION, place, ())
        except ValueError:
            refused += 1
        else:
            taken += 1
            found = trial_lists(loaded.recommender)
            for one, other in zip(lists, found, strict=True):
                same = one["source"] == other["source"] and one["user"] == other["user"] and same_list(one, other)
                assert same, (n, name, one, other)
        shutil.rmtree(place)
    assert refused > N_CHANGES / 4 * 0.6
    assert taken > 10  # a change of what decides no list, such as a hyper-parameter of training


def _replace(old: str, new: str) -> Callable[[str], str]:
    def act(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return act


@pytest.mark.parametrize(
    "attack", [one for one in ATTACKS if one["is"] not in ("part", "array")], ids=lambda one: one["is"]
)
def test_no_class_of_another_kind_is_built(
    attack: dict[str, Any], true: dict[str, tuple[Path, list[dict[str, Any]]]], tmp_path: Path
) -> None:
    """In every place of the tree, as in the attack that a replica fell for."""
    tree = json.loads((true["EASE"][0] / STATE / "state.json").read_text())
    for n in range(len(_places(tree))):
        place = tmp_path / "bundle"
        shutil.copytree(true["EASE"][0], place)
        changed = copy.deepcopy(tree)
        container, key = _places(changed)[n]
        container[key] = attack
        (place / STATE / "state.json").write_text(json.dumps(changed))
        _make_hashes_right(place / MANIFEST, place / STATE / "state.json", place / STATE / "arrays.npz")
        with pytest.raises(ValueError), _nothing_outside(tmp_path):  # noqa: PT011 (each place has its own words)
            open_model("champion", VERSION, place, ())
        shutil.rmtree(place)
    assert "antigravity" not in sys.modules
