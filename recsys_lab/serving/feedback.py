"""From requests to the database without waiting for it: bounded queues and one writer thread.

What was accepted is written, or waits while the database is down; at the end what no database took goes to a file that
the next start reads. Events are refused when their queue is full; impressions, which nobody was promised, are dropped.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from time import monotonic

import orjson

from recsys_lab.serving.logs import log
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.storage import REFUSED, Database, Kind, Row

BATCH = 500
LINGER = 0.1  # seconds that a batch waits for more rows
LONGEST_WAIT = 5.0  # seconds between two tries while the database is down
KINDS: tuple[Kind, ...] = ("event", "impression")


class Feedback:
    """Takes rows at once and writes them soon."""

    def __init__(self, database: Database, size: int, spool: Path, monitoring: Monitoring) -> None:
        self.database, self.size, self.spool, self.monitoring = database, size, spool, monitoring
        self.queues: dict[Kind, deque[Row]] = {kind: deque() for kind in KINDS}
        self._adding = threading.Lock()
        self._more, self._stop = threading.Event(), threading.Event()
        self._until = float("inf")  # monotonic time at which to give up
        self._spooled: list[Path] = []
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)
        monitoring.capacity.set(size)
        for kind in KINDS:
            monitoring.queued.labels(kind).set_function(self.queues[kind].__len__)

    def start(self) -> None:
        """Take up what an earlier process left, and begin to write."""
        for file in sorted(self.spool.glob("*.jsonl")):
            for line in file.read_bytes().splitlines():
                kind, row = orjson.loads(line)
                self.queues[kind].append(row)
            self._spooled.append(file)
            self._more.set()
        self._thread.start()

    def add(self, kind: Kind, rows: Sequence[Row]) -> bool:
        """Queue all of ``rows``, or none and False when they do not fit or the end has come."""
        with self._adding:
            if len(self.queues[kind]) + len(rows) > self.size or self._stop.is_set():
                if kind == "impression":
                    self.monitoring.dropped.labels(kind).inc(len(rows))
                return False
            self.queues[kind].extend(rows)
        if not self._more.is_set():
            self._more.set()
        return True

    def close(self, seconds: float = 5.0) -> int:
        """Write what waits, for at most ``seconds``; the rest goes to a file. How many accepted events are lost."""
        with self._adding:
            self._until = monotonic() + seconds
            self._stop.set()
        self._more.set()
        self._thread.join(seconds)
        left = [(kind, row) for kind in KINDS for row in self.queues[kind]]
        if left:
            self.spool.mkdir(parents=True, exist_ok=True)
            partial = self.spool / f".{uuid.uuid4().hex}"
            partial.write_bytes(b"".join(orjson.dumps(pair) + b"\n" for pair in left))
            partial.rename(self.spool / f"{uuid.uuid4().hex}.jsonl")
            log("feedback kept in a file: no database took it", level=logging.WARNING, rows=len(left))
        self._forget_spooled()
        self.database.close()
        return 0

    def _run(self) -> None:
        wait = 0.1
        while True:
            self._more.wait()
            self._stop.wait(LINGER)
            self._more.clear()
            while any(self.queues.values()):
                if monotonic() > self._until:
                    return
                if self._write_once():
                    wait = 0.1
                    if self._may_gather():
                        self._more.set()
                        break
                elif self._stop.wait(wait):
                    threading.Event().wait(0.2)
                else:
                    wait = min(2 * wait, LONGEST_WAIT)
            else:
                self._forget_spooled()
            if self._stop.is_set() and not any(self.queues.values()):
                return

    def _may_gather(self) -> bool:
        """Whether few rows wait, and may wait for more: a transaction costs as much as many rows."""
        few = 0 < max(len(queue) for queue in self.queues.values()) < BATCH
        return few and not self._spooled and not self._stop.is_set()

    def _write_once(self) -> bool:
        """Write one batch of each kind; False when the database does not answer."""
        for kind in KINDS:
            rows = list(islice(self.queues[kind], BATCH))
            try:
                self._write(kind, rows)
            except Exception as error:  # the thread must outlive every database
                self.database.forget_tables()
                self.monitoring.database.set(0)
                log("the database takes no rows; trying again", level=logging.WARNING, reason=type(error).__name__)
                return False
            for _ in rows:
                self.queues[kind].popleft()
        self.monitoring.database.set(1)
        return True

    def _write(self, kind: Kind, rows: Sequence[Row]) -> None:
        """Insert; a row that the database refuses for what it says is dropped alone: it must not hold up others."""
        try:
            self.database.write(kind, rows)
        except REFUSED as error:
            if len(rows) == 1:
                self.monitoring.dropped.labels(kind).inc()
                log("the database refuses a row", level=logging.ERROR, reason=type(error).__name__, kind=kind)
                return
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                self._write(kind, half)
            return
        self.monitoring.written.labels(kind).inc(len(rows))

    def _forget_spooled(self) -> None:
        """Remove the files of an earlier process whose rows are written, or in a new file."""
        for file in self._spooled:
            file.unlink(missing_ok=True)
        self._spooled.clear()
