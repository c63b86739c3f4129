"""A new version is tried in a process of its own: what kills, hangs or fills that process does not reach a replica."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab import make_algorithm
from recsys_lab.data import synthetic
from recsys_lab.serving.bundle import MANIFEST, STATE, make_bundle, save_bundle
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.models import open_model
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.rehearsal import rehearse
from recsys_lab.serving.trial import trial_lists
from tests.serving.apps import SMALL

OWN = """
import os, time
import numpy as np
from recsys_lab import Algorithm

class Bad(Algorithm):
    def __init__(self):
        self.does = ""
    def fit(self, train):
        return self
    def score(self, users, histories):
        if self.does == "die":
            os.abort()
        if self.does == "fill":
            np.ones(3_000_000_000, dtype=np.uint8)
        if self.does == "hang":
            time.sleep(600)
        return np.zeros(histories.shape, dtype=np.float32)
"""


def _bundle(name: str, folder: Path, **changes: Any) -> Path:
    """A bundle of a small model, with learned attributes set after its trial lists were noted."""
    data = synthetic.generate(30, 40, 620, seed=1)
    blank = make_algorithm(name)
    small = {key: value for key, value in SMALL.items() if hasattr(blank, key)}
    bundle = make_bundle(make_algorithm(name, **small).fit(data), data)
    lists = trial_lists(Recommender(bundle))
    for key, value in changes.items():
        setattr(bundle.algorithm, key, value)
    save_bundle(bundle, folder, {}, lists)
    return folder


def test_a_sound_version_passes(tmp_path: Path) -> None:
    rehearse(_bundle("IALS", tmp_path / "sound"), ())


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    folder = _bundle("Popularity", tmp_path / "bundle")
    (folder / STATE / "state.json").write_text("{}")
    with pytest.raises(ValueError, match=r"^ValueError: .*state\.json has sha256"):
        rehearse(folder, ())


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("die", "the trial's process ended by SIGABRT"),
        ("fill", "needs more memory than its size allows|Unable to allocate"),
        ("hang", "the trial did not end within 15 s"),
    ],
)
def test_a_version_that_kills_fills_or_hangs_a_process_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    (tmp_path / "bad_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.delitem(sys.modules, "bad_models", raising=False)
    folder = _bundle("bad_models:Bad", tmp_path / "bundle", does=does)
    with pytest.raises(ValueError, match=said):
        rehearse(folder, ("bad_models",), seconds=15 if does == "hang" else 60)


def test_a_trial_that_would_take_years_is_refused(tmp_path: Path) -> None:
    folder = _bundle("RankingNMF", tmp_path / "bundle", loss="kullback-leibler", solver="mu", n_epochs=10**15)
    with pytest.raises(ValueError, match="the trial did not end within 15 s"):
        rehearse(folder, (), seconds=15)


# what a file of some KB could do to the memory of whoever loads it; (the tree, its arrays, the manifest) are changed


def _array(arrays: dict[str, Any], one: Any) -> str:
    arrays[f"x{len(arrays)}"] = one
    return f"x{len(arrays) - 1}"


def _algorithm(tree: Any) -> Any:
    return tree["root"]["fields"]["algorithm"]


def _too_many_factors(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    _algorithm(tree)["parameters"]["n_factors"] = 1_000_000


def _a_range_for_a_parameter(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    index = {"is": "range", "name": None, "bounds": [0, 10**10, 1]}
    columns = [{"name": "x", "labels": 1}]
    _algorithm(tree)["parameters"]["n_factors"] = {"is": "frame", "columns": columns, "index": index}


def _one_array_for_all(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    learned = _algorithm(tree)["learned"]
    learned["item_gram_"] = learned["item_factors_"]


def _empty_columns(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    tree["root"]["fields"]["histories"]["shape"][1] = 4 * 10**8


def _two_at_one_place(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    _, indices, pointers = tree["root"]["fields"]["histories"]["arrays"]
    arrays[indices][: arrays[pointers][1]] = 0


def _pointers_that_go_back(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    pointers = tree["root"]["fields"]["histories"]["arrays"][2]
    arrays[pointers][1:-1] = 2**30
    arrays[pointers][-1] = 0  # by which SciPy takes the matrix for an empty one


def _a_surrogate_in_an_id(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    tree["root"]["fields"]["titles"]["values"][0] = "\ud800"


def _an_endless_title(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    tree["root"]["fields"]["titles"]["values"][0] = "x" * 10_001


def _another_name(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    manifest["algorithm"] = "x" * 1_000_000


def _a_surrogate_in_the_manifest(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    manifest["label"] = "\ud800"


def _numbers_that_scores_cannot_hold(tree: Any, arrays: dict[str, Any], manifest: Any) -> None:
    node = _algorithm(tree)["learned"]["item_factors_"]
    node["array"] = _array(arrays, np.full_like(arrays[node["array"]], 1e38))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_too_many_factors, r"item_factors_ has shape \(40, \d+\), expected \(items=40, n_factors=1000000\)"),
        (_a_range_for_a_parameter, "n_factors is a 'frame', expected a plain value"),
        (_one_array_for_all, "is mentioned twice"),
        (_empty_columns, "no such emptiness|expected"),
        (_two_at_one_place, "two numbers at one place"),
        (_pointers_that_go_back, "pointers that do not rise"),
        (_a_surrogate_in_an_id, "expected UTF-8"),
        (_an_endless_title, "of at most 10,000 characters"),
        (_another_name, "its model is IALS"),
        (_a_surrogate_in_the_manifest, "has no manifest of a bundle: UnicodeEncodeError"),
        (_numbers_that_scores_cannot_hold, "not finite, or beyond"),
    ],
)
def test_a_forged_bundle_is_refused_before_it_is_tried(
    tmp_path: Path, change: Callable[[Any, dict[str, Any], Any], None], said: str
) -> None:
    folder = _bundle("IALS", tmp_path / "bundle")
    tree = json.loads((folder / STATE / "state.json").read_text())
    manifest = json.loads((folder / MANIFEST).read_text())
    with np.load(folder / STATE / "arrays.npz") as stored:
        arrays = dict(stored)
    change(tree, arrays, manifest)
    (folder / STATE / "state.json").write_text(json.dumps(tree))
    np.savez(folder / STATE / "arrays.npz", **arrays)
    for name in ("state.json", "arrays.npz"):
        content = (folder / STATE / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=said):
        open_model("champion", Version("m", "1", "", "", {}), folder, ())
    shutil.rmtree(folder)
