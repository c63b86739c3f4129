"""Rows that no database took before the end, in files that the next start reads.

spool/<id>.jsonl        a row a line: [kind, row]; locked by the process whose queue holds its rows
spool/<id>.jsonl.bad    the lines of such a file that are not rows: kept for whoever looks, read by nobody
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from recsys_lab.serving.logs import log
from recsys_lab.serving.private import (
    PARTIAL,
    close_to_others,
    is_regular,
    make_private_folder,
    opened,
    take_lock,
    written_privately,
)
from recsys_lab.serving.storage import TABLES, Kind, Row, fits

ROWS, DAMAGED = ".jsonl", ".bad"
LONGEST_LINE = 1_000_000  # bytes; a list of 100 items whose ids are as long as may be has 130,000
OLD_PARTIAL = 3600.0  # seconds after which nobody is writing a file any more
_COLUMNS = {kind: {column.name: column for column in table.c if column.name != "seq"} for kind, table in TABLES.items()}


class Piece(NamedTuple):
    """A line of a file, or a part of one that is too long to be a row."""

    content: bytes
    begins: bool  # a line
    row: tuple[Kind, dict[str, Any]] | None  # None: damaged


class Spool:
    """The files in ``folder``. A file is taken by one process only, which removes it when its rows are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: list[tuple[Path, BinaryIO]] = []  # open, for the lock

    def take(self) -> Iterator[tuple[Path, list[tuple[Kind, dict[str, Any]]], int]]:
        """Lock and read what an earlier process left: each file, its rows, and how many of its lines are damaged.

        Damaged lines are on the disk as a file of their own before the first of the rows is written; the file itself
        goes when all are. A process that dies in between finds the same again.
        """
        for file in self._files():
            try:
                stream = locked(file)
                if stream is None:
                    log("another process has this file of feedback", path=str(file))
                    continue
                self._taken.append((file, stream))
                rows = [piece.row for piece in pieces_of(stream) if piece.row is not None]
                n_damaged = sum(piece.begins for piece in pieces_of(stream) if piece.row is None)
                if n_damaged:
                    with written_privately(bad_of(file)) as bad:
                        bad.writelines(piece.content for piece in pieces_of(stream) if piece.row is None)
            except OSError as error:
                log("a file of feedback is left for the next start", level=logging.ERROR, error=error, path=str(file))
                self._taken = [(other, stream) for other, stream in self._taken if other != file]
                continue
            yield file, rows, n_damaged

    def keep(self, kind: Kind, rows: Iterable[Row]) -> Path:
        """Write rows to a file that the next start takes. OSError when the disk does not."""
        make_private_folder(self.folder)
        file = self.folder / f"{uuid.uuid4().hex}{ROWS}"
        with written_privately(file) as stream:
            stream.writelines(orjson.dumps((kind, row)) + b"\n" for row in rows)
        return file

    def _files(self) -> list[Path]:
        """The files of rows. All are closed to others, with the folder, and the one around it, which has the models."""
        try:
            for folder in (self.folder.parent, self.folder):
                make_private_folder(folder)
            found = entries_of(self.folder)
        except OSError as error:
            log("no feedback can be kept here", level=logging.ERROR, path=str(self.folder), reason=str(error))
            return []
        for file in found:
            try:
                if is_regular(file):
                    close_to_others(file)
            except OSError as error:  # another process may be done with it
                log("this was not closed to others", level=logging.WARNING, path=str(file), reason=str(error))
        return [file for file in found if file.suffix == ROWS]

    def done(self) -> None:
        """Remove the files that were taken: their rows are written."""
        for file, _ in self._taken:
            file.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Leave the files that were taken to the next start."""
        for _, stream in self._taken:
            stream.close()
        self._taken.clear()


def entries_of(folder: Path) -> list[Path]:
    """What is in a folder, without what a killed process left half-written, which is removed; OSError when closed."""
    found = []
    for entry in sorted(folder.iterdir()) if folder.exists() else ():
        if entry.name.startswith(PARTIAL) and _is_left_over(entry):
            with suppress(OSError):  # the next start tries again
                entry.unlink()
                continue
        found.append(entry)
    return found


def _is_left_over(partial: Path) -> bool:
    try:
        return is_regular(partial) and time.time() - partial.lstat().st_mtime > OLD_PARTIAL
    except FileNotFoundError:
        return False


def bad_of(file: Path) -> Path:
    """Where the damaged lines of a file are kept."""
    return file.with_name(f"{file.name}{DAMAGED}")


def locked(file: Path) -> BinaryIO | None:
    """The file, open and locked until it is closed; None where another process has it, or had it and is done.

    OSError for what is no regular file.
    """
    try:
        stream = opened(file, "r+b")
    except FileNotFoundError:
        return None
    try:
        take_lock(stream)  # without locks a row may be written twice, which changes nothing
        if os.path.samestat(os.fstat(stream.fileno()), file.stat()):
            return stream
    except (BlockingIOError, FileNotFoundError):
        pass
    stream.close()
    return None


def pieces_of(stream: BinaryIO) -> Iterator[Piece]:
    """The lines of a file, from its beginning."""
    stream.seek(0)
    begins = True
    while content := stream.readline(LONGEST_LINE):
        ended = content.endswith(b"\n")
        whole = begins and (ended or len(content) < LONGEST_LINE)
        yield Piece(content, begins, row_of(content) if whole else None)
        begins = ended


def row_of(line: bytes) -> tuple[Kind, dict[str, Any]] | None:
    """The row that a line says, if it is one that a table takes."""
    try:
        kind, row = orjson.loads(line)
    except (ValueError, TypeError):
        return None
    columns = _COLUMNS.get(kind) if isinstance(kind, str) else None  # type: ignore[call-overload]
    if columns is None or not isinstance(row, dict) or row.keys() != columns.keys():
        return None
    return (kind, row) if all(fits(columns[name], value) for name, value in row.items()) else None
