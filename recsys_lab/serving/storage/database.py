"""Rows in, once each, and out again. What a replica writes is bounded in time; what a command reads is not."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from recsys_lab.serving.logs import log
from recsys_lab.serving.storage.engine import Lines, engine_of, use_wal
from recsys_lab.serving.storage.mistyped import mistyped_row
from recsys_lab.serving.storage.sqlite_file import SQLiteFile, checkpoint, file_of
from recsys_lab.serving.storage.tables import (
    FEEDBACK,
    FORGOTTEN,
    IMPRESSIONS,
    META,
    SKEW,
    TABLES,
    Kind,
    OldTables,
    Row,
    hash_of,
    require_current,
)

REFUSED = (sa.exc.DataError, sa.exc.IntegrityError, ValueError)  # a row is at fault, and no later try would help
KEYS: dict[Kind, sa.Column[str]] = {"event": FEEDBACK.c.event_id, "impression": IMPRESSIONS.c.list_id}
LONGEST = 3.0  # seconds that a replica lets the database take for a statement
_MAKING = 7_217_321  # PostgreSQL's advisory lock of whoever makes the tables: two at once fail


class NoTables(LookupError):
    """Nothing was ever written to this database."""

    def __init__(self) -> None:
        super().__init__("the database has no lists and no feedback yet; the service writes them as people use it")


class BadRow(LookupError):
    """A row that the service cannot have written. The message names it."""


class Replaced(OSError):
    """The file of SQLite was moved or deleted while rows were written: they may be lost."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} was moved or deleted while rows were written; write them again")


class Written(NamedTuple):
    """What became of rows."""

    new: int
    repeated: int  # their keys were there
    forgotten: int  # of users who were forgotten since


class Database:
    """Opening does not connect: a replica starts while its database is down.

    ``longest``: seconds that the server may take for a statement; an answer that does not come a second after that
    cuts the connection. None for commands, which read for minutes.
    """

    def __init__(self, url: str, *, longest: float | None = None) -> None:
        self.engine = engine_of(url, longest)
        self.lines = Lines(self.engine)
        self.n_replaced = 0  # times that another file of SQLite took the place of the one that was read or written
        path = file_of(self.engine)
        self._file = None if path is None else SQLiteFile(self.engine, path)
        self._patience = None if longest is None else longest + 1.0  # the server speaks first, if it can
        self._made = self._is_current = False

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction that writes, with all tables there. Raises SQLAlchemy's errors, OldTables, and Replaced."""
        try:
            if self._leave_replaced():
                said = "the file of the database was moved or deleted: rows go to what is there now, or to a new file"
                log(said, level=logging.ERROR, path=self.engine.url.database)
            with self.lines.cut_after(self._patience):
                if not self._made:
                    self._make()
                with self.engine.begin() as connection:
                    yield connection
            if self._file is not None:
                if self._file.is_replaced():  # nobody may ever read what was written
                    raise Replaced(self._file.path)
                self._file.note()
        except REFUSED:
            raise
        except Exception as error:
            self._made = self._is_current = False  # after an outage it may be another database
            self._complete(error)
            raise
        self._made = self._is_current = True

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection that reads one state of the tables. Raises NoTables where there are none, and makes none."""
        if self._file is not None:
            if not self._file.path.exists():
                raise NoTables
            self._leave_replaced()
            self._file.note()
        try:
            with self.lines.cut_after(self._patience), self.engine.connect() as opened:
                connection = opened.execution_options(yield_per=10_000)
                if self.engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN")
                else:
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                if not self._is_current:
                    if not sa.inspect(connection).has_table(FEEDBACK.name):
                        raise NoTables
                    require_current(connection)
                    self._is_current = True
                yield connection
        except Exception as error:
            self._is_current = False
            self._complete(error)
            raise

    def write(self, kind: Kind, rows: Sequence[Row]) -> Written:
        """Insert ``rows``; those whose key is there already change nothing. Without rows it only makes the tables.

        Raises SQLAlchemy's errors, and OldTables.
        """
        dialect = import_module(f"sqlalchemy.dialects.{self.engine.dialect.name}")  # the other one is not paid for
        insert = dialect.insert(TABLES[kind]).on_conflict_do_nothing()
        with self.begin() as connection:
            if not rows:
                return Written(0, 0, 0)
            counted = connection.execution_options(preserve_rowcount=True)
            new: int = counted.execute(insert, list(rows)).rowcount
            forgotten, taken_back = _take_back(connection, kind, rows)
        return Written(max(0, new - taken_back), max(0, len(rows) - new - forgotten + taken_back), forgotten)

    def read(
        self, kind: Kind, *, since: float | None = None, until: float | None = None, roles: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """The rows of a kind, the earliest first; none where the table is missing.

        ``since``, ``until``: only rows noted between these times (Unix seconds, both included). ``roles``: only
        impressions of these.
        """
        table = TABLES[kind]
        order = (table.c.ts, *table.primary_key.columns)
        query = between(sa.select(table), table, since, until).order_by(*order)
        if roles:
            query = query.where(IMPRESSIONS.c.role.in_(roles))
        yield from self._stream(query)

    def answering(self, since: float | None = None, until: float | None = None) -> list[dict[str, Any]]:
        """Which versions answered: role, model, version, n_lists, first and last (Unix seconds), by role and time."""
        table = IMPRESSIONS
        columns = (table.c.role, table.c.model, table.c.version)
        counts = (sa.func.count(), sa.func.min(table.c.ts), sa.func.max(table.c.ts))
        named = [count.label(name) for count, name in zip(counts, ("n_lists", "first", "last"), strict=True)]
        query = between(sa.select(*columns, *named), table, since, until).group_by(*columns)
        return list(self._stream(query.order_by(table.c.role, sa.text("first"))))

    def events_after(self, seq: int, limit: int) -> list[dict[str, Any]]:
        """The next events by seq. One that commits late has a smaller seq than some before it: see Follower."""
        return list(self._stream(sa.select(FEEDBACK).where(FEEDBACK.c.seq > seq).order_by(FEEDBACK.c.seq).limit(limit)))

    def seq_before(self, newest: int) -> int:
        """The largest seq of the events but the ``newest``; 0 where there are no others."""
        query = sa.select(FEEDBACK.c.seq).order_by(FEEDBACK.c.seq.desc()).offset(newest).limit(1)
        return next((int(row["seq"]) for row in self._stream(query)), 0)

    def forgotten_since(self, since: float) -> dict[str, float]:
        """Users whose rows are left out: their hash, and up to what time (Unix seconds), if it is after ``since``."""
        return {str(row["user_hash"]): float(row["until"]) for row in self._stream(_forgotten(since))}

    def require_sound(self) -> None:
        """Raise BadRow for a value that is not of its column's type: SQLite takes any, PostgreSQL none."""
        if self.engine.dialect.name != "sqlite":
            return
        with suppress(NoTables), self.connect() as connection:
            if row := mistyped_row(connection):
                raise BadRow(row)

    def close(self) -> None:
        """Close the connections."""
        with suppress(OSError):
            self._leave_replaced()  # SQLite would leave the last rows in its log
        self.engine.dispose()

    def _stream(self, query: sa.Select[Any]) -> Iterator[dict[str, Any]]:
        with suppress(NoTables), self.connect() as connection:
            for row in connection.execute(query):
                yield dict(row._mapping)

    def _leave_replaced(self) -> bool:
        """Notice that the file of SQLite was moved or deleted, which SQLite does not; whether it was."""
        if self._file is None or not self._file.is_replaced():
            return False
        self._file.leave()
        self.n_replaced += 1
        self._made = self._is_current = False
        return True

    def _complete(self, error: Exception) -> None:
        """Let the file of SQLite have all rows before somebody is told to move it away."""
        if isinstance(error, OldTables) and self._file is not None:
            checkpoint(self.engine)

    def _make(self) -> None:
        if self._file is not None:
            self._file.make()
            self._file.note()
            with self.engine.connect() as connection:
                use_wal(connection)
        with self.engine.begin() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
            require_current(connection)
            META.create_all(connection)


def between(query: sa.Select[Any], table: sa.Table, since: float | None, until: float | None) -> sa.Select[Any]:
    """``query``, of rows noted between these times."""
    if since is not None:
        query = query.where(table.c.ts >= since)
    return query if until is None else query.where(table.c.ts <= until)


def _forgotten(since: float) -> sa.Select[Any]:
    """user_hash of the forgotten, and until when their rows are left out: as long as a clock may be ahead, and later
    than ``since``."""
    return sa.select(FORGOTTEN.c.user_hash, (FORGOTTEN.c.ts + SKEW).label("until")).where(FORGOTTEN.c.ts > since - SKEW)


def _take_back(connection: sa.Connection, kind: Kind, rows: Sequence[Row]) -> tuple[int, int]:
    """Delete what was just written of users who were forgotten meanwhile; how many rows are theirs, and deleted.

    After the insert, not before it: ``forget`` waits until nobody inserts, and sees the rows of who came before.
    """
    oldest = min(float(row["ts"]) for row in rows)
    query = _forgotten(oldest - 1.0)  # sums of floating point numbers
    forgotten: Mapping[str, float] = {row.user_hash: row.until for row in connection.execute(query)}
    if not forgotten:
        return 0, 0
    named = [row for row in rows if row["user_id"] is not None]
    theirs = [row for row in named if row["ts"] <= forgotten.get(hash_of(row["user_id"]), -1.0)]
    table, key = TABLES[kind], KEYS[kind]
    same = sa.tuple_(table.c.user_id, key, table.c.ts)  # and the time: a row of this key may have come later
    written = sa.delete(table).where(same.in_([(row["user_id"], row[key.name], row["ts"]) for row in theirs]))
    return len(theirs), connection.execute(written).rowcount if theirs else 0
