"""Prepared copies of loaded data in the user's cache: the second load maps arrays instead of parsing text.

A copy is a folder named by the hash of everything it was made from; it is written beside its place and renamed whole,
so it is complete or not there. It may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.data.interactions import Catalogue, Interactions

ARRAYS = ("users", "items", "ratings", "timestamps")


def load_prepared(folder: Path) -> Interactions | None:
    """The data prepared in ``folder``, arrays memory-mapped and read-only; None where there is no copy."""
    if not folder.is_dir():
        return None
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in about["arrays"]}
        items = pd.read_parquet(folder / "items.parquet")
        users = pd.read_parquet(folder / "users.parquet")
        user_ids = pd.Index(users.pop("id"), name=about["user"])
        users.index = user_ids
        item_ids = pd.Index(items.pop("id"), name=about["item"])
        items.index = item_ids
        features = sparse.load_npz(folder / "features.npz") if about["features"] is not None else None
    except FileNotFoundError:
        return None  # deleted meanwhile
    people = users if len(users.columns) else None
    catalogue = Catalogue(user_ids, item_ids, items, features, about["features"] or (), about["info"], people)
    times = arrays.get("timestamps")
    return Interactions(arrays["users"], arrays["items"], arrays["ratings"], times, catalogue)


def save_prepared(data: Interactions, folder: Path) -> None:
    """Keep ``data`` in ``folder``. A cache that cannot be written is a warning, not an error."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        warnings.warn(f"the prepared data are not kept: {error}", stacklevel=3)
        return
    try:
        _write(data, partial)
        partial.chmod(0o755)  # mkdtemp makes it private
        os.replace(partial, folder)
    except OSError as error:
        if not folder.is_dir():  # another process was first: its copy is as good
            warnings.warn(f"the prepared data are not kept: {error}", stacklevel=3)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(data: Interactions, folder: Path) -> None:
    catalogue = data.catalogue
    names = [name for name in ARRAYS if getattr(data, name) is not None]
    for name in names:
        np.save(folder / f"{name}.npy", getattr(data, name))
    users = pd.DataFrame({"id": catalogue.user_ids})
    if catalogue.users is not None:
        users = pd.concat([users, catalogue.users.reset_index(drop=True)], axis=1)
    users.to_parquet(folder / "users.parquet", index=False)
    items = catalogue.items.reset_index(drop=True)
    items.insert(0, "id", catalogue.item_ids)
    items.to_parquet(folder / "items.parquet", index=False)
    about: dict[str, Any] = {
        "arrays": names,
        "user": catalogue.user_ids.name,
        "item": catalogue.item_ids.name,
        "features": None,
        "info": catalogue.info,
    }
    if catalogue.item_features is not None:
        sparse.save_npz(folder / "features.npz", catalogue.item_features, compressed=False)
        about["features"] = list(catalogue.feature_names)
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")
