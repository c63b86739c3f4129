"""The database of what was shown and what people did with it: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from recsys_lab.serving.model_store import Version

Kind: TypeAlias = Literal["event", "impression"]
Row: TypeAlias = Mapping[str, Any]

_META = sa.MetaData()
IMPRESSIONS = sa.Table(
    "impressions",
    _META,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, primary_key=True),  # champion, challenger, or shadow: computed and not shown
    sa.Column("ts", sa.Float, nullable=False),  # Unix seconds
    sa.Column("user_id", sa.Text),  # NULL for a fold-in without a user
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("item_ids", sa.JSON, nullable=False),
)
FEEDBACK = sa.Table(
    "feedback",
    _META,
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("ts", sa.Float, nullable=False, index=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),  # of the list the item stood in
)
TABLES: dict[Kind, sa.Table] = {"event": FEEDBACK, "impression": IMPRESSIONS}
REFUSED = (sa.exc.DataError, sa.exc.IntegrityError, ValueError)  # a row is at fault, and no later try would help


class Database:
    """Rows in, once each. Opening does not connect: a replica starts while its database is down."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        self.dialect = parsed.get_backend_name()
        if self.dialect not in ("sqlite", "postgresql"):
            raise ValueError(
                f"RECSYS_LAB_DATABASE_URL names {self.dialect!r}; right would be sqlite:///... or postgresql+psycopg://..."
            )
        if self.dialect == "sqlite" and parsed.database:
            with suppress(OSError):
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        bounds = {"timeout": 2} if self.dialect == "sqlite" else {"connect_timeout": 2}
        options = {} if self.dialect == "sqlite" else {"pool_pre_ping": True, "pool_size": 1, "max_overflow": 1}
        try:
            self.engine = sa.create_engine(parsed, connect_args=bounds, **options)
        except ModuleNotFoundError as error:
            raise ImportError(f"{parsed.drivername} needs the package {error.name}: pip install {error.name}") from None
        self._made = False

    def write(self, kind: Kind, rows: Sequence[Row]) -> None:
        """Insert ``rows``; those whose key is there already change nothing. Raises SQLAlchemy's errors."""
        if not rows:
            return
        dialect = import_module(f"sqlalchemy.dialects.{self.dialect}")  # the other one is not paid for
        with self.engine.begin() as connection:
            if not self._made:
                _META.create_all(connection)
            connection.execute(dialect.insert(TABLES[kind]).on_conflict_do_nothing(), list(rows))
        self._made = True

    def forget_tables(self) -> None:
        """Look for the tables again at the next write: the database may be another one after an outage."""
        self._made = False

    def read(self, kind: Kind) -> Iterator[dict[str, Any]]:
        """All rows of a kind, the earliest first; none where the table is missing."""
        table = TABLES[kind]
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table(table.name):
                return
            for row in connection.execution_options(yield_per=10_000).execute(sa.select(table).order_by(table.c.ts)):
                yield dict(row._mapping)

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def event_row(event: Row, now: float) -> dict[str, Any]:
    """A row of the feedback table."""
    return {**{name: event.get(name) for name in ("event_id", "user_id", "item_id", "event", "request_id")}, "ts": now}


def impression_row(
    request_id: str, role: str, now: float, user_id: str | None, version: Version, source: str, items: list[str]
) -> dict[str, Any]:
    """A row of the impressions table."""
    return {
        "request_id": request_id,
        "role": role,
        "ts": now,
        "user_id": user_id,
        "model": version.name,
        "version": version.number,
        "source": source,
        "item_ids": items,
    }
