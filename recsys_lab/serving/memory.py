"""Giving back memory that only loading a model needed. On Linux; elsewhere nothing is done.

A replica links its compiled loops by LLVM, whose code (70 MB) no request runs, and reads a model through buffers that
the allocator keeps. The pages of program files that are dropped here are as they are on the disk: those that are used
after all come back from the page cache.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DONTNEED = 4  # MADV_DONTNEED of <sys/mman.h>: of a private mapping of a file, its unchanged pages are read again
_START = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)")


def give_back() -> None:
    """Return what is free or unchanged to the system."""
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not look at it again
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # a C library without malloc_trim
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        for first, last in unchanged(Path("/proc/self/smaps").read_text()):
            libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), DONTNEED)


def unchanged(smaps: str) -> Iterator[tuple[int, int]]:
    """First and last address of every mapping in ``smaps`` of a file that nobody can write or has written to."""
    for block in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps):
        found = _START.match(block)
        if found is None or found[4] == "0" or found[3] not in ("r--p", "r-xp"):
            continue
        written = re.search(r"(?m)^Anonymous: +(\d+) kB$", block)
        if written is not None and written[1] == "0":  # what the linker has patched is written
            yield int(found[1], 16), int(found[2], 16)
