"""Rows with a value that its column cannot mean: SQLite takes any value in any column."""

from __future__ import annotations

from contextlib import suppress

import sqlalchemy as sa

from recsys_lab.serving.storage import TABLES, Database, NoTables

LARGEST = 1e300  # of a number; infinity is none


def mistyped_row(database: Database) -> str:
    """The first such row and what is wrong with it, in words; empty where there is none."""
    if database.engine.dialect.name != "sqlite":
        return ""
    with suppress(NoTables), database.connect() as connection:
        for table in TABLES.values():
            for column in table.columns:
                expected, fits = _expected(column)
                keys = tuple(table.primary_key.columns)
                query = sa.select(*keys, sa.func.typeof(column)).where(sa.not_(fits)).order_by(*keys).limit(1)
                for *key, kind in connection.execute(query):
                    where = ", ".join(f"{one.name} {value!r}" for one, value in zip(keys, key, strict=True))
                    found = f"column {column.name} holds a value of type {kind}"
                    return f"the table {table.name}, {where}: {found}; expected {expected}; fix or delete the row"
    return ""


def _expected(column: sa.Column[object]) -> tuple[str, sa.ColumnElement[bool]]:
    """What a column holds, and the condition that it does."""
    kind = sa.func.typeof(column)
    if isinstance(column.type, sa.Float):
        return "a finite number", kind.in_(("real", "integer")) & (sa.func.abs(column) < LARGEST)
    if isinstance(column.type, sa.Integer):
        return "a whole number", kind == "integer"
    if isinstance(column.type, sa.JSON):
        text = sa.type_coerce(column, sa.Text)
        parts = sa.func.json_each(text).table_valued("type")
        others = sa.exists().select_from(parts).where(parts.c.type != "text")
        is_list = sa.case((sa.func.json_type(text) == "array", ~others), else_=False)
        is_json = sa.case((sa.func.json_valid(text) == 1, is_list), else_=False)
        return "a list of texts as JSON", sa.case((kind == "text", is_json), else_=False) == sa.true()
    fits = kind == "text"
    return "text", fits | column.is_(None) if column.nullable else fits
