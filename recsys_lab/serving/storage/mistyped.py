"""Rows with a value that its column cannot mean: SQLite takes any value in any column."""

from __future__ import annotations

import sqlalchemy as sa

from recsys_lab.serving.storage.tables import TABLES

LARGEST = 1e300  # of a number; infinity is none


def mistyped_row(connection: sa.Connection) -> str:
    """The first such row and what is wrong with it, in words; empty where there is none."""
    for table in TABLES.values():
        expected = {column.name: _expected(column) for column in table.columns}
        misfits = [(sa.not_(fits), table.c[name]) for name, (_, fits) in expected.items()]
        name = sa.case(*((wrong, column.name) for wrong, column in misfits))
        kind = sa.case(*((wrong, sa.func.typeof(column)) for wrong, column in misfits))
        keys = tuple(table.primary_key.columns)
        query = sa.select(*keys, name, kind).where(name.is_not(None)).order_by(*keys).limit(1)
        for *key, column, found in connection.execute(query):
            where = ", ".join(f"{one.name} {value!r}" for one, value in zip(keys, key, strict=True))
            wrong = f"column {column} holds a value of type {found}; expected {expected[column][0]}"
            return f"the table {table.name}, {where}: {wrong}; fix or delete the row"
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
