"""What is kept of one person outside the models: in the database, in files that wait for it, and in exported files.

Ids are compared as text. Everything can be done again: what is gone is not found any more.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from recsys_lab.serving.export import UNFINISHED
from recsys_lab.serving.private import PARTIAL, opened, written_privately
from recsys_lab.serving.spool import DAMAGED, ROWS, Piece, entries_of, locked, pieces_of
from recsys_lab.serving.storage import EXPORTS, FORGOTTEN, TABLES, Database, Kind, NoTables, Row, hash_of
from recsys_lab.serving.table_files import Columns, held, read_table, written_table

AT_A_TIME = 500  # rows in a transaction: no writer waits for long
WAIT_FOR_WRITERS = 10  # seconds


@dataclass(frozen=True)
class InFile:
    """What a file has of a person."""

    path: str
    rows: Sequence[Row] = ()
    n_damaged: int = 0  # lines that are not rows and hold the id
    problem: str = ""  # why it was not looked at, or not changed


def rows_in_database(database: Database, user_id: str) -> dict[Kind, list[dict[str, Any]]]:
    """The rows of a user. Raises NoTables where nothing was ever written."""
    queries = {kind: sa.select(table).where(table.c.user_id == user_id) for kind, table in TABLES.items()}
    found: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in TABLES}
    with database.connect() as connection:
        for kind, query in queries.items():
            found[kind] = [dict(row._mapping) for row in connection.execute(query.order_by(TABLES[kind].c.ts))]
    return found


def forget_in_database(database: Database, user_id: str) -> dict[Kind, int]:
    """Delete the rows of a user, and let no replica write what it has of them until now; how many rows of each kind.

    Raises NoTables where nothing was ever written: a database is not made for this.
    """
    n_deleted = dict.fromkeys(TABLES, 0)
    with database.connect():
        pass
    _note(database, user_id, time.time())
    for kind, table in TABLES.items():
        keys = tuple(table.primary_key.columns)
        with database.connect() as connection:
            query = sa.select(*keys).where(table.c.user_id == user_id)
            found = [tuple(row) for row in connection.execute(query)]
        for place in range(0, len(found), AT_A_TIME):
            with database.begin() as connection:
                connection.execute(sa.delete(table).where(sa.tuple_(*keys).in_(found[place : place + AT_A_TIME])))
        n_deleted[kind] = len(found)
    if database.engine.dialect.name == "sqlite":
        with database.engine.connect() as connection:  # what was deleted stands in the log of SQLite until then
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return n_deleted


def _note(database: Database, user_id: str, now: float) -> None:
    """Note that a user is forgotten, at a moment when nobody writes.

    A writer looks at this table after its insert: one that inserted before is done and its rows are seen by whoever
    deletes, one that inserts later sees the note. SQLite has one writer at a time anyway.
    """
    dialect = database.engine.dialect.name
    insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(FORGOTTEN)
    note = insert.values(user_hash=hash_of(user_id), ts=now)
    note = note.on_conflict_do_update(index_elements=["user_hash"], set_={"ts": now})
    with database.begin() as connection:
        connection.execute(note)
        if dialect == "postgresql":
            names = ", ".join(table.name for table in TABLES.values())
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_FOR_WRITERS}s'")
            connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")


def in_spool(folder: Path, user_id: str, *, forget: bool) -> list[InFile]:
    """What waits of a user in files; with ``forget`` these are written again without it."""
    try:
        files = entries_of(folder)
    except OSError as error:
        return [InFile(str(folder), problem=f"it cannot be read ({error})")]
    known = [file for file in files if file.suffix in (ROWS, DAMAGED) or file.name.startswith(PARTIAL)]
    found = [_in_lines(file, user_id, forget) for file in known]
    return [one for one in found if one.rows or one.n_damaged or one.problem]


def _in_lines(file: Path, user_id: str, forget: bool) -> InFile:
    quoted = orjson.dumps(user_id)

    def is_theirs(piece: Piece) -> bool:
        return piece.row[1]["user_id"] == user_id if piece.row is not None else quoted in piece.content

    rows: list[Row] = []
    n_damaged = 0
    try:
        with opened(file) as stream:
            rows = [piece.row[1] for piece in pieces_of(stream) if piece.row is not None and is_theirs(piece)]
            n_damaged = sum(piece.row is None and is_theirs(piece) for piece in pieces_of(stream))
        if not forget or not (rows or n_damaged):
            return InFile(str(file), rows, n_damaged)
        if file.name.startswith(PARTIAL):
            why = "half-written by a process that is at it or was killed: run this again in an hour, which deletes it"
            return InFile(str(file), rows, n_damaged, why)
        lock = locked(file)
        if lock is None:
            return InFile(str(file), rows, n_damaged, "a running replica has it: it writes none of these rows")
        with lock, written_privately(file) as left:
            left.writelines(piece.content for piece in pieces_of(lock) if not is_theirs(piece))
    except FileNotFoundError:
        return InFile(str(file))
    except OSError as error:
        return InFile(str(file), rows, n_damaged, f"it cannot be read or written ({error})")
    return InFile(str(file), rows, n_damaged)


def in_exports(database: Database, user_id: str, *, forget: bool) -> list[InFile]:
    """What exported files have of a user; with ``forget`` these are written again without it.

    Named are also those that are gone, and those on other machines.
    """
    noted: Sequence[Any] = ()
    with suppress(NoTables), database.connect() as connection:
        noted = connection.execute(sa.select(EXPORTS).order_by(EXPORTS.c.ts)).all()
    here = socket.gethostname()
    found = [
        _in_table(Path(one.path), user_id, forget, one.ts != UNFINISHED)
        if one.host == here
        else InFile(one.path, problem=f"it is on {one.host}: run this there with the same database, or delete it")
        for one in noted
    ]
    return [one for one in found if one.rows or one.problem]


def _in_table(file: Path, user_id: str, forget: bool, was_there: bool) -> InFile:
    try:
        with held(file) if forget else nullcontext(file) as real:
            rows = [row for columns in read_table(real) for row in _theirs(columns, user_id)]
            if forget and rows:
                with written_table(real) as write:
                    for columns in read_table(real):
                        kept = [place for place, user in enumerate(columns["user_id"]) if user != user_id]
                        write({name: [values[place] for place in kept] for name, values in columns.items()})
    except FileNotFoundError:
        if not was_there:
            return InFile(str(file))
        return InFile(str(file), problem="it is gone; if it was moved, delete the rows of this user there")
    except (OSError, ValueError, TypeError, NotImplementedError, ImportError) as error:  # pyarrow's are among them
        return InFile(str(file), problem=f"it cannot be read ({error}); delete it, or the rows of this user in it")
    return InFile(str(file), rows)


def _theirs(columns: Columns, user_id: str) -> list[dict[str, Any]]:
    places = [place for place, user in enumerate(columns["user_id"]) if user == user_id]
    return [{name: values[place] for name, values in columns.items()} for place in places]
