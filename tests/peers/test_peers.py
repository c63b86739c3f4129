"""Our tables of other libraries' definitions, against the libraries themselves.

Each library has an environment of its own, made by ``make peers``; where there is none the test is skipped. What ours
has (pytrec_eval, implicit) is used from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys_lab.data.interactions import Interactions
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation import by_convention, score_lists

ROOT = Path(__file__).parents[2]
LIBRARIES = {  # our name -> module of the library
    "trec_eval": "pytrec_eval",
    "implicit": "implicit",
    "ranx": "ranx",
    "rectools": "rectools",
    "recommenders": "recommenders",
    "lenskit": "lenskit",
    "recbole": "recbole",
}
NOT_ASKED = {"IntraListDiversity(Hamming)"}  # needs features; held by the hand-checked case
FULL_LISTS_ONLY = {"recbole"}

pytestmark = pytest.mark.peers


def python_of(library: str) -> str:
    """The Python that has the library; skips the test where there is none."""
    folder = Path(os.environ.get("RECSYS_LAB_PEERS", ROOT / "benchmarks" / ".peers")) / library
    python = folder / "bin" / "python"
    if python.is_file():
        return str(python)
    if find_spec(LIBRARIES[library]):
        return sys.executable
    pytest.skip(f"{library} is not installed: make peers")


def example(seed: int, k: int, full: bool) -> tuple[Any, Any, dict[str, Any]]:
    """Random lists, some short, some missing (unless ``full``), as an evaluation with its split and as plain ids."""
    rng = np.random.default_rng(seed)
    n_users, n_items = 30, 25
    rows = []
    for user in range(n_users):
        items = rng.permutation(n_items)
        n_train, n_test = rng.integers(3, 7), rng.integers(1, 9)
        rows += [(f"u{user:02}", f"i{item:03}", 1, "train") for item in items[:n_train]]
        rows += [(f"u{user:02}", f"i{item:03}", int(rng.integers(1, 6)), "test") for item in items[-n_test:]]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "part"])
    every = pd.DataFrame(index=[f"i{item:03}" for item in range(n_items)])
    data = Interactions.from_frame(frame, timestamp=None, items=every)
    train = data.select((frame["part"] == "train").to_numpy())
    test = data.select((frame["part"] == "test").to_numpy())
    card = SimpleNamespace(dataset_hash="data", fingerprint="split")
    split = SimpleNamespace(train=train, history=train, test=test, validation=None, candidates=None, card=card)
    width = k + 3
    items = np.full((n_users, width), -1, dtype=np.int32)
    for user in range(n_users):
        unseen = np.setdiff1d(np.arange(n_items), train.matrix[[user]].indices)
        length = width if full else int(rng.choice([0, 1, 2, k - 1, width]))
        items[user, :length] = rng.permutation(unseen)[:length]
    scores = np.where(items >= 0, -np.arange(width), -np.inf).astype(np.float32)
    lists = RankedLists(np.arange(n_users, dtype=np.int32), items, scores)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluation = score_lists(lists, split, cutoffs=[k, width], candidates="catalogue")
    ids = data.catalogue.item_ids
    plain = {
        "k": k,
        "n_items": n_items,
        "lists": {f"u{user:02}": [ids[item] for item in row if item >= 0] for user, row in enumerate(items)},
        "truth": {
            user: dict(zip(part["item_id"], part["rating"]))
            for user, part in frame[frame["part"] == "test"].groupby("user_id")
        },
        "train": frame.loc[frame["part"] == "train", ["user_id", "item_id"]].to_numpy().tolist(),
    }
    return evaluation, split, plain


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_library_prints_the_same(library: str) -> None:
    python = python_of(library)
    examples = [(k, *example(seed, k, library in FULL_LISTS_ONLY)) for seed, k in ((0, 5), (1, 3), (2, 10))]
    done = subprocess.run(
        [python, str(Path(__file__).with_name("answers.py")), library],
        input=json.dumps([plain for _, _, _, plain in examples]),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for (k, evaluation, split, _), theirs in zip(examples, json.loads(done.stdout), strict=True):
        ours = by_convention(evaluation, split, library, cutoffs=[k])["value"].to_dict()
        assert set(theirs) == {name for name in ours if name.partition("@")[0] not in NOT_ASKED}
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, abs=2e-6, nan_ok=True), (library, k, name)
