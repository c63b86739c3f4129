"""A fitted algorithm as a folder of plain files, and back: one JSON tree and one npz of arrays, never a pickle.

    state.json   {"format": 1, "root": tree}; arrays are named by their place in arrays.npz
    arrays.npz   uncompressed, read with allow_pickle=False

Reading builds classes of recsys_lab only, and of the modules that the caller names: a file cannot run other code.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.state.reading import Source, read_node
from recsys_lab.algorithms.state.writing import Arrays, write_node

__all__ = ["load_algorithm", "save_algorithm"]

FORMAT = 1
STATE, ARRAYS = "state.json", "arrays.npz"


def save_algorithm(algorithm: Algorithm, folder: str | Path) -> None:
    """Write the fitted ``algorithm`` to ``folder``; a crash leaves the old folder or the new one, never half of it.

    Raises TypeError for a learnt attribute that is no plain data (an open file, a foreign object), with its place.
    """
    folder = Path(folder)
    arrays = Arrays()
    root = write_node(algorithm, type(algorithm).__name__, arrays)
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    partial.mkdir(parents=True)
    try:
        (partial / STATE).write_text(json.dumps({"format": FORMAT, "root": root}, allow_nan=False), encoding="utf-8")
        np.savez(partial / ARRAYS, **arrays.kept)  # type: ignore[arg-type]
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_algorithm(folder: str | Path, *, own_modules: Collection[str] = ()) -> Algorithm:
    """The fitted algorithm that ``save_algorithm`` wrote; its lists are those of the one that was saved.

    ``own_modules``: modules outside recsys_lab whose classes may be built. Raises FileNotFoundError where there is
    none, and ValueError for another format, a class that may not be built or a damaged file.
    """
    folder = Path(folder)
    if not (folder / STATE).is_file():
        raise FileNotFoundError(f"{folder} holds no saved algorithm ({STATE}); save_algorithm writes it")
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise ValueError(f"{folder} is written in format {state['format']}; this version reads format {FORMAT}")
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            found = read_node(state["root"], Source(arrays, frozenset(own_modules)))
    except (KeyError, OSError, zipfile.BadZipFile, json.JSONDecodeError) as error:
        raise ValueError(f"{folder} is damaged: {type(error).__name__}: {error}; save the algorithm again") from error
    if not isinstance(found, Algorithm):
        raise ValueError(f"{folder} holds a {type(found).__name__} and no algorithm")
    return found
