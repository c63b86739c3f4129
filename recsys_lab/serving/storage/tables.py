"""The tables, and rows for them. A table with other columns or another uniqueness is refused, never changed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from recsys_lab.serving.model_store import Version
from recsys_lab.serving.schemas import EVENTS
from recsys_lab.serving.settings import MAX_ID
from recsys_lab.serving.storage.sqlite_file import file_of

Kind: TypeAlias = Literal["event", "impression"]
Row: TypeAlias = Mapping[str, Any]

SKEW = 60.0  # seconds by which clocks may differ

META = sa.MetaData()
IMPRESSIONS = sa.Table(
    "impressions",
    META,
    sa.Column("list_id", sa.Text, primary_key=True),  # made by the service
    sa.Column("role", sa.Text, primary_key=True),  # champion, challenger, or shadow: computed and not shown
    sa.Column("ts", sa.Float, nullable=False, index=True),  # Unix seconds
    sa.Column("user_id", sa.Text),  # NULL for a fold-in without a user
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("item_ids", sa.JSON, nullable=False),
)
FEEDBACK = sa.Table(
    "feedback",
    META,
    # drawn when a row is inserted, never twice; PostgreSQL's writers commit in another order (following.py)
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    sa.Column("event_id", sa.Text, nullable=False),  # made by a client, who knows nothing of other users' events
    sa.Column("ts", sa.Float, nullable=False, index=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("list_id", sa.Text),  # of the list the item stood in
    sa.UniqueConstraint("user_id", "event_id"),
    sqlite_autoincrement=True,
)
FORGOTTEN = sa.Table(
    "forgotten",
    META,
    sa.Column("user_hash", sa.Text, primary_key=True),
    sa.Column("ts", sa.Float, nullable=False, index=True),  # rows up to SKEW after it are not written any more
)
EXPORTS = sa.Table(
    "exports",
    META,
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),  # absolute
    sa.Column("ts", sa.Float, nullable=False),
)
TABLES: dict[Kind, sa.Table] = {"event": FEEDBACK, "impression": IMPRESSIONS}


class OldTables(LookupError):
    """The database was made by another version; rows wait until it is moved away. The message says how."""


def require_current(connection: sa.Connection) -> None:
    """Raise OldTables where a table is not made as it is here."""
    inspector = sa.inspect(connection)
    for name in sorted(set(inspector.get_table_names()) & set(META.tables)):
        table = META.tables[name]
        unique = [one["column_names"] for one in inspector.get_unique_constraints(name)]
        found = _layout([column["name"] for column in inspector.get_columns(name)], unique)
        constraints = [one for one in table.constraints if isinstance(one, sa.UniqueConstraint)]
        expected = _layout(table.columns.keys(), [one.columns.keys() for one in constraints])
        if found != expected:
            where = connection.engine.url.render_as_string(hide_password=True)
            raise OldTables(
                f"the table {name} of {where} has {found}; expected {expected}: another version made it. "
                f"Fix: {_fix(connection)}; new tables are made by themselves"
            )


def _layout(columns: Iterable[str], unique: Iterable[Iterable[str | None]]) -> str:
    """What tells a table from one of another version, in words."""
    constraints = sorted(f", unique ({', '.join(sorted(map(str, names)))})" for names in unique)
    return f"the columns {', '.join(sorted(columns))}{''.join(constraints)}"


def _fix(connection: sa.Connection) -> str:
    if (file := file_of(connection.engine)) is not None:
        old = _unused(str(file.with_name(f"old_{file.name}")), lambda name: Path(name).exists())
        move = f"mkdir -m 700 {quote(old)} && mv {quote(str(file))}* {quote(old)}/"
        return f"stop what writes to it, and move it away, with what SQLite keeps beside it: {move}"
    old = _unused("old", set(sa.inspect(connection).get_schema_names()).__contains__)
    moved = "".join(f"; ALTER TABLE IF EXISTS {name} SET SCHEMA {old}" for name in ("impressions", "feedback"))
    return f"move its tables away: CREATE SCHEMA {old}{moved}"


def _unused(name: str, is_used: Callable[[str], bool]) -> str:
    """The name, or the first of those with a number behind it that nobody uses: what was moved there stays."""
    return next(one for one in (name, *(f"{name}{n}" for n in range(2, 1000))) if not is_used(one))


def misfit(kind: Kind, row: Row) -> str:
    """The first column with a value that it is not for; "" where all fit. SQLite takes anything."""
    return next((column.name for column in TABLES[kind].c if not fits(column, row[column.name])), "")


def fits(column: sa.Column[Any], value: Any) -> bool:
    """Whether the service could have written a value."""
    if isinstance(column.type, sa.Float):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(column.type, sa.JSON):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(column.type, sa.Integer):
        return isinstance(value, int)
    if column is FEEDBACK.c.event:
        return value in EVENTS
    return bool(column.nullable) if value is None else isinstance(value, str) and len(value) <= MAX_ID


def event_row(event: Row, now: float) -> dict[str, Any]:
    """A row of the feedback table."""
    return {**{name: event.get(name) for name in ("event_id", "user_id", "item_id", "event", "list_id")}, "ts": now}


def impression_row(
    list_id: str, role: str, now: float, user_id: str | None, version: Version, source: str, items: list[str]
) -> dict[str, Any]:
    """A row of the impressions table."""
    return {
        "list_id": list_id,
        "role": role,
        "ts": now,
        "user_id": user_id,
        "model": version.name,
        "version": version.number,
        "source": source,
        "item_ids": items,
    }


def hash_of(user_id: str) -> str:
    """What the table of forgotten users has of an id."""
    return hashlib.blake2b(user_id.encode("utf-8", "replace"), digest_size=16, person=b"recsysForgotten").hexdigest()
