"""A fitted algorithm as a folder of plain files, and back: one JSON tree and one npz of arrays, never a pickle.

    state.json   {"format": 2, "root": tree}; arrays are named by their place in arrays.npz
    arrays.npz   uncompressed, read with allow_pickle=False

A file names algorithms of the catalogue and, where the caller allows their modules, own classes; every other class that
reading builds stands in a layout (``layout``) beside the class that keeps it. So a file runs no code but the lab's own.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.layout import Layout, Maybe, Part, Several, Sizes, Spec
from recsys_lab.algorithms.state.arrays import Arrays
from recsys_lab.algorithms.state.reading import Source, read
from recsys_lab.data.folders import written_whole

__all__ = ["Layout", "Maybe", "Part", "Several", "load_algorithm", "load_state", "save_algorithm", "save_state"]

FORMAT = 2
STATE, ARRAYS = "state.json", "arrays.npz"
T = TypeVar("T")


def save_state(value: Any, folder: str | Path) -> None:
    """Write ``value``, a fitted algorithm or a class with a layout; a crash leaves the old folder or the new one.

    Raises TypeError, with the place where it stands, for what is no plain data and for what no layout describes.
    """
    from recsys_lab.algorithms.state import writing  # it needs pandas, and reading rarely does

    folder, arrays = Path(folder), writing.Arrays()
    root = writing.write(value, _spec(type(value)), type(value).__name__, arrays)
    with written_whole(folder) as fresh:
        (fresh / STATE).write_text(json.dumps({"format": FORMAT, "root": root}, allow_nan=False), encoding="utf-8")
        np.savez(fresh / ARRAYS, **arrays.kept)  # type: ignore[arg-type]


def load_state(folder: str | Path, kind: type[T], *, own_modules: Collection[str] = ()) -> T:
    """The ``kind`` that ``save_state`` wrote. ``own_modules``: modules outside recsys_lab whose classes may be built.

    Raises FileNotFoundError where there is none, ImportError for a missing package, and ValueError for everything else
    that is not as it should be: another format, another class, another shape, a damaged file.
    """
    folder = Path(folder)
    if not (folder / STATE).is_file():
        raise FileNotFoundError(f"{folder} holds nothing that was saved ({STATE}); save_state writes it")
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"), parse_constant=_refuse)
        if state["format"] != FORMAT:
            raise ValueError(f"{folder} is written in format {state['format']}; this version reads format {FORMAT}")
        with Arrays(folder / ARRAYS) as arrays:
            found = read(state["root"], _spec(kind), Sizes(), Source(arrays, frozenset(own_modules)), kind.__name__)
    except ImportError:  # a package that is not here
        raise
    except Exception as error:  # whatever a file that save_state did not write brings about
        reason = str(error) if type(error) is ValueError else f"it is damaged: {type(error).__name__}: {error}"
        raise ValueError(f"{folder} cannot be read: {reason}") from error
    if not isinstance(found, kind):
        raise ValueError(f"{folder} holds a {type(found).__name__}, expected {kind.__name__}")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _spec(kind: type) -> Spec:
    return "algorithm" if issubclass(kind, Algorithm) else Part(kind, users="users", items="items")


def save_algorithm(algorithm: Algorithm, folder: str | Path) -> None:
    """Write the fitted ``algorithm`` to ``folder``; errors as in ``save_state``."""
    save_state(algorithm, folder)


def load_algorithm(folder: str | Path, *, own_modules: Collection[str] = ()) -> Algorithm:
    """The fitted algorithm of ``folder``; its lists are those of the saved one. Errors as in ``load_state``."""
    return load_state(folder, Algorithm, own_modules=own_modules)  # type: ignore[type-abstract]
