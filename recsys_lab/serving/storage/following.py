"""New events as they come, whichever process writes them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Any

from recsys_lab.serving.logs import log
from recsys_lab.serving.storage.database import LONGEST, Database
from recsys_lab.serving.storage.tables import misfit

# PostgreSQL draws a seq when it inserts a row and shows the row when its transaction ends, so a row can appear after
# one with a larger seq. It appears within the life of its transaction: at most three statements and three pauses of
# LONGEST seconds each (database.py), which the server ends. So what is at or below the largest seq of a look that far
# back is decided, and what is above it is read again. SQLite has one writer at a time: nothing appears late.
OVERLAP = {"postgresql": 6 * LONGEST + 2.0, "sqlite": 0.0}  # seconds; two of them for the commit
PAGE = 1000  # rows read at a time; with the longest ids 4 MB


class Follower:
    """Gives each event once: the ``newest`` that are there, then what any process writes. For one thread."""

    def __init__(self, database: Database, newest: int = 1) -> None:
        self.database, self.newest = database, newest
        self._overlap = OVERLAP[database.engine.dialect.name]
        self._decided: int | None = None  # no event with this seq or a smaller one is to come
        self._given: set[int] = set()  # seqs of what was given and is not decided
        self._looks: deque[tuple[float, int]] = deque()  # when each ended, and the largest seq then
        self._n_replaced = 0

    def read(self) -> list[dict[str, Any]]:
        """The events that appeared since the last call, by seq."""
        return [row for page in self.pages() for row in page]

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        """The same, some at a time. After an error the next call has those pages that were not taken to the end."""
        began = monotonic()
        if self._n_replaced != self.database.n_replaced:  # another file, whose seqs begin again
            self._n_replaced, self._decided = self.database.n_replaced, None
            self._given.clear()
            self._looks.clear()
        if self._decided is None:
            self._decided = self.database.seq_before(self.newest)
        last, there_is_more = self._decided, True
        while there_is_more:
            page = self.database.events_after(last, PAGE)
            there_is_more = len(page) == PAGE
            yield _sound([row for row in page if row["seq"] not in self._given])
            self._given.update(row["seq"] for row in page)
            last = page[-1]["seq"] if page else last
        self._looks.append((monotonic(), last))
        while self._looks and self._looks[0][0] + self._overlap <= began:
            self._decided = self._looks.popleft()[1]
        self._given = {seq for seq in self._given if seq > self._decided}


def _sound(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without those that the service cannot have written: one of them is not to hold up the others."""
    wrong = {row["seq"]: column for row in rows if (column := misfit("event", row))}
    if wrong:
        some = ", ".join(f"seq {seq} ({column})" for seq, column in list(wrong.items())[:10])
        log("rows of the table feedback are skipped", level=logging.WARNING, rows=len(wrong), first=some)
    return [row for row in rows if row["seq"] not in wrong]
