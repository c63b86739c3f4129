"""What a replica serves from: a fitted algorithm, the ids and titles behind its codes, and what its users have.

bundle/manifest.json    what it is: algorithm, parameters, data, run, capabilities, smoke lists, sha256 of the files
bundle/state/           ``recsys_lab.algorithms.state``: one JSON tree and one npz, no pickle
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.state import load_state, save_state
from recsys_lab.data.folders import written_whole
from recsys_lab.data.genres import genre_names
from recsys_lab.data.interactions import Int32, Int64, Interactions

FORMAT = 1
MANIFEST, STATE = "manifest.json", "state"
N_SMOKE = 3  # users whose lists are kept, to be compared after loading


@dataclass(frozen=True, eq=False)
class Bundle:
    """Everything that answering needs; arrays by user and item code."""

    algorithm: Algorithm
    user_ids: list[Any]  # (n_users,) external ids, int or str
    item_ids: list[Any]  # (n_items,)
    titles: list[str]  # (n_items,)
    genres: list[list[str]]  # (n_items,) names; empty where none is known
    histories: sparse.csr_matrix  # (n_users, n_items) float32: what users have, masked in their lists
    candidates: Int32  # codes of the items that may be listed, sorted
    popularity: Int64  # (n_items,) rows of each item: the order where nothing is known of a user
    tie_seed: int = 0

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)


def make_bundle(
    algorithm: Algorithm, history: Interactions, candidates: Int32 | None = None, *, tie_seed: int = 0
) -> Bundle:
    """The bundle of a fitted algorithm. ``history``: what is known of the users when they are served.

    ``candidates``: codes that may be listed; None = the items with a row in the history.
    """
    catalogue = history.catalogue
    popularity = history.item_popularity
    codes = np.flatnonzero(popularity > 0).astype(np.int32) if candidates is None else np.unique(candidates)
    everything = np.arange(catalogue.n_items, dtype=np.int32)
    return Bundle(
        algorithm=algorithm,
        user_ids=catalogue.user_ids.tolist(),
        item_ids=catalogue.item_ids.tolist(),
        titles=catalogue.titles(everything),
        genres=[genre_names(value) for value in catalogue.items["genres"]]
        if "genres" in catalogue.items
        else [[] for _ in everything],
        histories=history.matrix,
        candidates=codes.astype(np.int32),
        popularity=popularity,
        tie_seed=tie_seed,
    )


def save_bundle(bundle: Bundle, folder: Path, about: Mapping[str, Any], smoke: Mapping[str, Sequence[Any]]) -> None:
    """Write ``bundle`` and its manifest to ``folder``, whole or not at all.

    ``about``: facts of the run (JSON values). ``smoke``: user id -> item ids that must come out again after loading.
    """
    with written_whole(folder) as fresh:
        save_state(bundle, fresh / STATE)
        manifest = {
            "format": FORMAT,
            "algorithm": type(bundle.algorithm).__name__,
            "parameters": json.loads(json.dumps(bundle.algorithm.get_params(deep=False), default=str)),
            "n_users": bundle.n_users,
            "n_items": bundle.n_items,
            "n_candidates": len(bundle.candidates),
            "folds_in": bool(bundle.algorithm.serves_new_users),
            "smoke": [{"user": user, "items": list(items)} for user, items in smoke.items()],
            "files": {path.name: _sha256(path) for path in sorted((fresh / STATE).iterdir())},
            **about,
        }
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")


def load_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle. FileNotFoundError without one, ValueError for another format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no bundle ({MANIFEST}); recsys-lab promote makes one")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{folder} is a bundle of format {manifest.get('format')}; this version reads {FORMAT}")
    return manifest


def load_bundle(folder: Path, *, own_modules: Collection[str] = ()) -> tuple[Bundle, dict[str, Any]]:
    """The bundle and its manifest, after the hash of every file was compared.

    Raises FileNotFoundError, and ValueError for a changed, damaged or foreign file.
    """
    manifest = load_manifest(folder)
    for name, expected in manifest["files"].items():
        found = _sha256(folder / STATE / name)
        if found != expected:
            raise ValueError(f"{folder}: {name} has sha256 {found[:12]}..., its manifest says {expected[:12]}...")
    bundle = load_state(folder / STATE, own_modules=own_modules)
    if not isinstance(bundle, Bundle):
        raise ValueError(f"{folder} holds a {type(bundle).__name__} and no bundle")
    return bundle, manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
