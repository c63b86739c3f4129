"""Numba's ``njit`` for the loops of the lab, compiled once and kept on the disk.

Numba's own cache knows the file of a loop and not the files of the loops that it calls: an edit of one of those would
change nothing. So what is compiled lies in a folder that carries a hash of all sources with loops.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import prange

__all__ = ["cache_folder", "njit", "prange"]

PACKAGE = Path(__file__).resolve().parent
PREFIX = "compiled-"


@cache
def sources() -> tuple[Path, ...]:
    """The files of the package that define loops, sorted."""
    files = (file for file in sorted(PACKAGE.rglob("*.py")) if file != Path(__file__).resolve())
    return tuple(file for file in files if b"from recsys_lab.compiled import" in file.read_bytes())


@cache
def sources_hash() -> str:
    """A hash of these files, and of this one."""
    digest = hashlib.sha256()
    for file in (Path(__file__), *sources()):
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def cache_folder() -> Path:
    """Where compiled loops are kept: below NUMBA_CACHE_DIR, else in the package, else in this user's cache."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    own = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "recsys_lab"
    base = Path(named) if named else PACKAGE / "__pycache__" if os.access(PACKAGE, os.W_OK) else own
    folder = base / f"{PREFIX}{sources_hash()}"
    if not named and not folder.is_dir():
        for old in base.glob(f"{PREFIX}*"):  # of sources that are no more
            shutil.rmtree(old, ignore_errors=True)
    return folder


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit(cache=True, **options)`` whose cache is ``cache_folder``."""

    def decorate(loop: Callable[..., Any]) -> Any:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(cache_folder())  # read when a loop is decorated
        try:
            return numba.njit(cache=True, **options)(loop)
        finally:
            numba.config.CACHE_DIR = before

    return decorate
