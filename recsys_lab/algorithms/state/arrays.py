"""The arrays of a stored tree: an npz read without pickles, never taking more memory than the file has bytes.

``np.load`` inflates what is compressed and allocates what a header claims; both are the word of whoever wrote the file.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

KINDS = "biuf"  # booleans, whole numbers, floats
CHUNK = 1 << 20  # bytes that are read at a time


class Arrays:
    """The arrays in an npz file, by name. Close it, or use it in a ``with`` block."""

    def __init__(self, path: Path) -> None:
        self._file = zipfile.ZipFile(path)
        members = self._file.infolist()
        packed = [one.filename for one in members if one.compress_type or one.file_size != one.compress_size]
        if packed or sum(one.file_size for one in members) > path.stat().st_size:
            raise ValueError(f"{path.name} is compressed, or its members overlap: {packed[:3]}; expected plain arrays")
        self._read: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        """The array called ``name``, once. KeyError where there is none, ValueError for one that is not what it claims.

        An array that is mentioned a thousand times would take the memory of a thousand.
        """
        if name in self._read:
            raise ValueError(f"{name} is mentioned twice; expected each array once")
        self._read.add(name)
        member = self._file.getinfo(f"{name}.npy")
        with self._file.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise ValueError(f"{name} is written in npy format {version}, expected (1, 0)")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            n_bytes = math.prod(shape) * dtype.itemsize
            if dtype.kind not in KINDS or n_bytes != member.file_size - stream.tell():
                raise ValueError(f"{name} claims {dtype} {shape}, which its {member.file_size} bytes do not hold")
            values = np.empty(math.prod(shape), dtype=dtype)
            into, at = values.view(np.uint8), 0
            while chunk := stream.read(CHUNK):  # to the end, where the checksum is compared
                into[at : at + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
                at += len(chunk)
        return values.reshape(shape, order="F" if fortran else "C")
