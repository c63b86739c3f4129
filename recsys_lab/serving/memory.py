"""Giving back the memory of program code that only loading a model needed. On Linux; elsewhere nothing is done.

A replica links its compiled loops by LLVM, of whose code (52 MB) no request runs any. Pages of code are as they are on
the disk: those that are used after all come back from the page cache.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DONTNEED = 4  # MADV_DONTNEED of <sys/mman.h>: unchanged pages of a private mapping are read again


def give_back() -> None:
    """Return what is unused or unchanged to the system."""
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not look at it again, which would hold up requests
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for first, last in code(Path("/proc/self/maps").read_text()):
            libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), DONTNEED)


def code(maps: str) -> Iterator[tuple[int, int]]:
    """First and last address of every mapping in ``maps`` of a file that may be run and not written."""
    for line in maps.splitlines():
        addresses, rights, _, _, inode = line.split()[:5]
        if rights == "r-xp" and inode != "0":
            first, last = addresses.split("-")
            yield int(first, 16), int(last, 16)
