"""The file of a SQLite database, which somebody may move or delete while it is used: SQLite would not notice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import sqlalchemy as sa

from recsys_lab.serving.private import BESIDE, make_private_file


def file_of(engine: sa.Engine) -> Path | None:
    """The file of a SQLite database; None for one in memory, and for PostgreSQL."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name == ":memory:":
        return None
    return Path(name.removeprefix("file:"))


def checkpoint(engine: sa.Engine) -> None:
    """Bring what SQLite has in its log into the file, as far as other processes let us."""
    with suppress(sa.exc.DBAPIError), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


class SQLiteFile:
    """The file that an engine is connected to, and whether it still stands at its path."""

    def __init__(self, engine: sa.Engine, path: Path) -> None:
        self.path = path
        self._engine = engine
        self._known: dict[str, tuple[int, int]] = {}  # device and inode of the file and those beside it, by ending

    def make(self) -> None:
        """Make the file where it is missing, and close it to others."""
        with nullcontext() if self.path.exists() else self._alone():
            if not self.path.exists():
                for beside in self._beside().values():  # of a file that was there: SQLite would read them into this one
                    beside.unlink(missing_ok=True)
            make_private_file(self.path)

    def note(self) -> None:
        """Remember what stands there: before a connection, and again when SQLite has made the files beside it."""
        files = {**self._beside(), "": self.path}  # the file last: what was beside it belongs to it
        found = {ending: one for ending, file in files.items() if (one := _identity(file)) is not None}
        if "" not in self._known or found.get("") == self._known[""]:
            self._known = found

    def is_replaced(self) -> bool:
        """Whether nothing, or another file, stands there now."""
        return "" in self._known and _identity(self.path) != self._known[""]

    def leave(self) -> None:
        """Close the connections: the next one is to what stands there now."""
        if isinstance(self._engine.pool, sa.pool.QueuePool) and self._engine.pool.checkedin():
            checkpoint(self._engine)  # by a connection to the old file, wherever that is
        with self._alone():
            for ending, file in self._beside().items():
                if ending in self._known and _identity(file) == self._known[ending]:  # left behind
                    file.unlink()
        self._known.clear()
        self._engine.dispose()  # last: the inode of a file that is open is not given to another one

    def _beside(self) -> dict[str, Path]:
        return {ending: self.path.with_name(self.path.name + ending) for ending in BESIDE if ending}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time: what is removed may have been made by another one just now.

        By a file of its own: an export beside the database holds the folder for as long as it is written.
        """
        with ExitStack() as stack:
            with suppress(OSError):  # no folder yet, or one without locks
                lock = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
