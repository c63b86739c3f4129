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

    def read(
        self, kind: Kind, *, since: float | None = None, until: float | None = None, roles: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """The rows of a kind, the earliest first; none where the table is missing.

        ``since``, ``until``: only rows noted between these times (Unix seconds, both included). ``roles``: only
        impressions of these.
        """
        table = TABLES[kind]
        query = _between(sa.select(table), table, since, until).order_by(table.c.ts)
        if roles:
            query = query.where(IMPRESSIONS.c.role.in_(roles))
        if self._is_missing():
            return
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table(table.name):
                return
            for row in connection.execution_options(yield_per=10_000).execute(query):
                yield dict(row._mapping)

    def answering(self, since: float | None = None, until: float | None = None) -> list[dict[str, Any]]:
        """Which versions answered: role, model, version, n_lists, first and last (Unix seconds), by role and time."""
        table = IMPRESSIONS
        columns = (table.c.role, table.c.model, table.c.version)
        counts = (sa.func.count(), sa.func.min(table.c.ts), sa.func.max(table.c.ts))
        named = [count.label(name) for count, name in zip(counts, ("n_lists", "first", "last"), strict=True)]
        query = _between(sa.select(*columns, *named), table, since, until).group_by(*columns)
        if self._is_missing():
            return []
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table(table.name):
                return []
            return [dict(row._mapping) for row in connection.execute(query.order_by(table.c.role, sa.text("first")))]

    def _is_missing(self) -> bool:
        """Whether there is no SQLite file; connecting would make an empty one, and reading should leave no trace."""
        name = self.engine.url.database
        return self.dialect == "sqlite" and bool(name) and name != ":memory:" and not Path(str(name)).exists()

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def _between(query: sa.Select[Any], table: sa.Table, since: float | None, until: float | None) -> sa.Select[Any]:
    if since is not None:
        query = query.where(table.c.ts >= since)
    return query if until is None else query.where(table.c.ts <= until)


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
