"""What a replica serves from: a fitted algorithm, the ids and titles behind its codes, and what its users have.

bundle/manifest.json    what it is: algorithm, parameters, data, run, capabilities, trial lists, size and hash of files
bundle/state/           ``recsys_lab.algorithms.state``: one JSON tree and one npz, no pickle
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.layout import Layout, Several
from recsys_lab.algorithms.state import load_state, save_state
from recsys_lab.data.folders import written_whole
from recsys_lab.data.genres import genre_names
from recsys_lab.data.interactions import Int32, Int64, Interactions

FORMAT = 2
MANIFEST, STATE = "manifest.json", "state"
FILES = ("arrays.npz", "state.json")  # of the state


@dataclass(frozen=True, eq=False)
class Bundle:
    """Everything that answering needs; arrays by user and item code."""

    stored: ClassVar[Layout] = {
        "user_ids": "ids users",
        "item_ids": "ids items",
        "titles": Several("text", n="items"),
        "genres": Several(Several("text"), n="items"),
        "histories": "csr float32 users items",
        "candidates": "codes items n",
        "popularity": "int64 items",
        "tie_seed": "number",
        "algorithm": "algorithm",
    }

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

    def require_sound(self) -> None:
        """Raise ValueError for what the layout cannot say: ids that are not distinct, codes that cannot be listed."""
        for name, ids in (("user", self.user_ids), ("item", self.item_ids)):
            if len({str(one) for one in ids}) != len(ids):
                raise ValueError(f"{len(ids)} {name} ids are not distinct as text")
        if len(self.candidates) and (self.candidates[0] < 0 or (np.diff(self.candidates) <= 0).any()):
            raise ValueError("candidates are not rising codes from 0")
        if (self.popularity < 0).any():
            raise ValueError("an item has a popularity below 0")


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


def save_bundle(bundle: Bundle, folder: Path, about: Mapping[str, Any], trial: Sequence[Mapping[str, Any]]) -> None:
    """Write ``bundle`` and its manifest to ``folder``, whole or not at all.

    ``about``: facts of the run (JSON values). ``trial``: the lists that must come out again before a replica serves it
    (``trial.trial_lists``).
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
            "files": {
                path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
                for path in sorted((fresh / STATE).iterdir())
            },
            "trial": list(trial),
            **about,
        }
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")


def load_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle. FileNotFoundError without one, ValueError for another format and other files."""
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no bundle ({MANIFEST}); recsys-lab promote makes one")
    return read_manifest(path.read_bytes(), str(folder))


def read_manifest(text: bytes, place: str) -> dict[str, Any]:
    """The manifest in ``text``. ValueError, naming the ``place``, unless it is one of this format."""
    try:
        manifest = json.loads(text)
        json.dumps(manifest, ensure_ascii=False).encode()  # half of a surrogate pair would be in no answer
        if manifest["format"] != FORMAT:
            raise ValueError(f"{place} is a bundle of format {manifest['format']}; this version reads {FORMAT}")
        files = {name: (one["bytes"], one["sha256"]) for name, one in manifest["files"].items()}
        sound = set(files) == set(FILES) and all(
            type(n_bytes) is int and n_bytes >= 0 and isinstance(digest, str) for n_bytes, digest in files.values()
        )
        about = (manifest["algorithm"], manifest["folds_in"], manifest["trial"])
        sound = sound and [type(one) for one in about] == [str, bool, list]
    except (KeyError, TypeError, AttributeError, RecursionError, UnicodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{place} has no manifest of a bundle: {type(error).__name__}: {error}") from error
    if not sound:
        raise ValueError(f"{place} has a manifest without the size and hash of {', '.join(FILES)}, or of other types")
    return dict(manifest)


def load_bundle(folder: Path, *, own_modules: Collection[str] = ()) -> tuple[Bundle, dict[str, Any]]:
    """The bundle and its manifest, after the hash of every file was compared.

    Raises FileNotFoundError, and ValueError for a changed, damaged or foreign file.
    """
    manifest = load_manifest(folder)
    for name, expected in manifest["files"].items():
        found = _sha256(folder / STATE / name)
        if found != expected["sha256"]:
            raise ValueError(
                f"{folder}: {name} has sha256 {found[:12]}..., its manifest says {expected['sha256'][:12]}"
            )
    bundle = load_state(folder / STATE, Bundle, own_modules=own_modules)
    bundle.require_sound()
    if manifest["algorithm"] != type(bundle.algorithm).__name__:
        wrong = f"{manifest['algorithm'][:50]!r}, its model is {type(bundle.algorithm).__name__}"
        raise ValueError(f"{folder}: the manifest names the algorithm {wrong}")
    if manifest["folds_in"] != bundle.algorithm.serves_new_users:
        raise ValueError(f"{folder}: the manifest says folds_in {manifest['folds_in']}, its model does not")
    return bundle, manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
