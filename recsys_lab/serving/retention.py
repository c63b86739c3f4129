"""Rows that are too old: deleted about once an hour, a few at a time, so that no write waits for long."""

from __future__ import annotations

import time
from pathlib import Path
from time import monotonic

import sqlalchemy as sa

from recsys_lab.serving.logs import log
from recsys_lab.serving.storage import FORGOTTEN, SKEW, TABLES, Database

EVERY = 3600.0  # seconds between two looks
AGAIN = 60.0  # seconds after a look that failed
AT_A_TIME = 500  # rows in a transaction
DAY = 86400.0


class Retention:
    """Deletes rows of ``database`` and damaged lines in ``spool`` that are older than ``days``; 0: none."""

    def __init__(self, database: Database, spool: Path, days: float) -> None:
        self.database, self.spool, self.days = database, spool, days
        self._next = monotonic()
        self._n_deleted = 0

    @property
    def limit(self) -> float:
        """The Unix time before which rows are too old."""
        return time.time() - self.days * DAY if self.days else float("-inf")

    @property
    def wait(self) -> float | None:
        """Seconds until ``step`` has something to do; None: for ever."""
        return max(0.0, self._next - monotonic()) if self.days else None

    def step(self) -> None:
        """Delete a few rows, if it is time. Raises SQLAlchemy's errors, and tries again in a minute."""
        if not self.days or monotonic() < self._next:
            return
        self._next = monotonic() + AGAIN
        limit = self.limit
        limits = {**dict.fromkeys(TABLES.values(), limit), FORGOTTEN: limit - SKEW}
        deleted = sum(_delete(self.database, table, before) for table, before in limits.items())
        self._n_deleted += deleted
        if deleted:
            self._next = monotonic()
            return
        for bad in self.spool.glob("*.bad"):
            if bad.stat().st_mtime < limit:
                bad.unlink(missing_ok=True)
        if self._n_deleted:
            log("old rows were deleted", rows=self._n_deleted, days=self.days)
        self._next, self._n_deleted = monotonic() + EVERY, 0


def _delete(database: Database, table: sa.Table, limit: float) -> int:
    """Delete the oldest rows before ``limit``, at most AT_A_TIME; how many."""
    keys = tuple(table.primary_key.columns)
    oldest = sa.select(*keys).where(table.c.ts < limit).order_by(table.c.ts).limit(AT_A_TIME)
    oldest = oldest.with_for_update(skip_locked=True)  # another replica deletes too
    with database.begin() as connection:
        return connection.execute(sa.delete(table).where(sa.tuple_(*keys).in_(oldest))).rowcount
