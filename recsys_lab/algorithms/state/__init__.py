"""A fitted algorithm as a folder of plain files, and back: one JSON tree and one npz of arrays, never a pickle.

    state.json   {"format": 1, "root": tree}; arrays are named by their place in arrays.npz
    arrays.npz   uncompressed, read with allow_pickle=False

Reading builds classes of recsys_lab only, and of the modules that the caller names: a file cannot run other code.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.state.reading import Source, read_node
from recsys_lab.data.folders import written_whole

__all__ = ["load_algorithm", "load_state", "save_algorithm", "save_state"]

FORMAT = 1
STATE, ARRAYS = "state.json", "arrays.npz"


def save_state(value: Any, folder: str | Path) -> None:
    """Write ``value``, plain data all through, to ``folder``; a crash leaves the old folder or the new one, no half.

    Plain data: arrays, sparse matrices, numbers, texts, tables, fitted algorithms, and dataclasses, lists and mappings
    of these. Raises TypeError for anything else, with the place where it stands.
    """
    from recsys_lab.algorithms.state.writing import Arrays, write_node  # it needs pandas, and reading rarely does

    folder = Path(folder)
    arrays = Arrays()
    root = write_node(value, type(value).__name__, arrays)
    with written_whole(folder) as fresh:
        (fresh / STATE).write_text(json.dumps({"format": FORMAT, "root": root}, allow_nan=False), encoding="utf-8")
        np.savez(fresh / ARRAYS, **arrays.kept)  # type: ignore[arg-type]


def load_state(folder: str | Path, *, own_modules: Collection[str] = ()) -> Any:
    """What ``save_state`` wrote. ``own_modules``: modules outside recsys_lab whose classes may be built.

    Raises FileNotFoundError where there is none, and ValueError for another format, a class that may not be built or a
    damaged file.
    """
    folder = Path(folder)
    if not (folder / STATE).is_file():
        raise FileNotFoundError(f"{folder} holds nothing that was saved ({STATE}); save_state writes it")
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise ValueError(f"{folder} is written in format {state['format']}; this version reads format {FORMAT}")
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            return read_node(state["root"], Source(arrays, frozenset(own_modules)))
    except (KeyError, OSError, zipfile.BadZipFile, json.JSONDecodeError) as error:
        raise ValueError(f"{folder} is damaged: {type(error).__name__}: {error}; save it again") from error


def save_algorithm(algorithm: Algorithm, folder: str | Path) -> None:
    """Write the fitted ``algorithm`` to ``folder``; errors as in ``save_state``."""
    save_state(algorithm, folder)


def load_algorithm(folder: str | Path, *, own_modules: Collection[str] = ()) -> Algorithm:
    """The fitted algorithm of ``folder``; its lists are those of the saved one. Errors as in ``load_state``."""
    found = load_state(folder, own_modules=own_modules)
    if not isinstance(found, Algorithm):
        raise ValueError(f"{folder} holds a {type(found).__name__} and no algorithm")
    return found
