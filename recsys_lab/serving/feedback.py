"""From requests to the database without waiting for it: bounded queues and one writer thread.

What was accepted is written, or waits while the database is down; at the end what no database took goes to a file that
the next start reads. Events are refused when their queue is full; impressions, which nobody was promised, are dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any

import sqlalchemy as sa

from recsys_lab.serving.logs import log
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.retention import Retention
from recsys_lab.serving.spool import Spool
from recsys_lab.serving.storage import REFUSED, Database, Kind, OldTables, Row

BATCH, FEWEST = 500, 10  # rows in a transaction
LINGER = 0.1  # seconds that a batch waits for more rows
LONGEST_WAIT = 5.0  # seconds between two tries while the database is down
HANGS = 3.0  # seconds after which a write that is under way counts as one that failed
SPOOLING = 0.1  # share of the time to end that is kept for the file
KINDS: tuple[Kind, ...] = ("event", "impression")  # what was promised comes first


class Feedback:
    """Takes rows at once and writes them soon."""

    def __init__(
        self, database: Database, size: int, spool: Spool, retention: Retention, monitoring: Monitoring
    ) -> None:
        self.database, self.size, self.spool, self.retention = database, size, spool, retention
        self.monitoring = monitoring
        self.queues: dict[Kind, deque[Row]] = {kind: deque() for kind in KINDS}
        self._batch = BATCH
        self._n_spooled = dict.fromkeys(KINDS, 0)  # of the first rows in each queue: those that stand in a file too
        self._adding = threading.Lock()
        self._more, self._stop = threading.Event(), threading.Event()
        self._until = float("inf")  # monotonic time at which to give up
        self._works, self._since = False, float("inf")  # the last try, and since when one is under way
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)
        monitoring.capacity.set(size)
        monitoring.last_write.set_to_current_time()
        monitoring.database.set_function(lambda: self._works and monotonic() - self._since < HANGS)
        for kind in KINDS:
            monitoring.queued.labels(kind).set_function(self.queues[kind].__len__)

    def start(self) -> None:
        """Take up what an earlier process left, and begin to write."""
        limit = self.retention.limit
        for file, rows, n_damaged in self.spool.take():
            fresh = [(kind, row) for kind, row in rows if row["ts"] >= limit]
            for kind, row in fresh:
                self.queues[kind].append(row)
                self._n_spooled[kind] += 1
            self.monitoring.damaged.inc(n_damaged)
            level = logging.ERROR if n_damaged else logging.INFO
            fields: dict[str, Any] = {"rows": len(fresh), "too_old": len(rows) - len(fresh), "damaged_lines": n_damaged}
            log("feedback of an earlier process is taken up", level=level, path=str(file), **fields)
        if not any(self._n_spooled.values()):
            self.spool.done()
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
        """Write what waits, for at most ``seconds``; the rest goes to a file. How many accepted events are lost.

        None are, unless neither the database nor the disk takes them.
        """
        with self._adding:
            self._until = monotonic() + (1 - SPOOLING) * seconds
            self._stop.set()
        self._more.set()
        self._thread.join(max(0.0, self._until - monotonic()))
        if self._thread.is_alive():  # a server that does not answer
            self.database.lines.cut()
        n_lost = {kind: self._keep(kind) for kind in KINDS}
        self.spool.release()
        self.database.close()
        return n_lost["event"]

    def _keep(self, kind: Kind) -> int:
        """Put what waits into a file, except what stands in one; how many rows the disk did not take."""
        left = list(self.queues[kind])
        left = left[self._n_spooled[kind] :]  # read after the queue: the thread may yet write, and both become less
        if not left:
            return 0
        try:
            file = self.spool.keep(kind, left)
        except OSError as error:
            self.monitoring.dropped.labels(kind).inc(len(left))
            lost: dict[str, Any] = {"kind": kind, "rows": len(left), "reason": str(error)}
            log("feedback is lost: neither the database nor the disk took it", level=logging.ERROR, **lost)
            return len(left)
        log("feedback is kept in a file: no database took it", level=logging.WARNING, rows=len(left), path=str(file))
        return 0

    def _run(self) -> None:
        wait = 0.1
        self._attempt(partial(self.database.write, "event", []))  # what is wrong with it is said at once
        while not self._stop.is_set() or any(self.queues.values()):
            self._more.wait(self.retention.wait)
            self._stop.wait(LINGER)
            self._more.clear()
            if self.retention.wait == 0 and not self._stop.is_set():
                self._attempt(self.retention.step)
            while any(self.queues.values()):
                if monotonic() > self._until:
                    return
                if self._write_once():
                    wait = 0.1
                    n_waiting = max(len(queue) for queue in self.queues.values())
                    if 0 < n_waiting < BATCH and not self._stop.is_set():
                        self._more.set()  # few may wait for more: a transaction costs as much as many rows
                        break
                elif self._stop.wait(wait):
                    time.sleep(0.2)
                else:
                    wait = min(2 * wait, LONGEST_WAIT)

    def _attempt(self, act: Callable[[], object]) -> bool:
        """Whether the database let us; the thread must outlive every database."""
        self._since = monotonic()
        try:
            act()
        except Exception as error:
            self._works = False
            if isinstance(error, OldTables):
                log(f"the database takes no rows: {error}", level=logging.ERROR)
            else:
                cause = getattr(error, "orig", None) or error
                reason = type(cause).__name__
                if isinstance(error, sa.exc.OperationalError):  # the words of others may hold rows
                    reason += f": {str(cause).partition(chr(10))[0]}"
                log("the database takes no rows; trying again", level=logging.WARNING, reason=reason)
            return False
        finally:
            self._since = float("inf")
        self._works = True
        return True

    def _write_once(self) -> bool:
        """Write one batch of each kind; False when the database does not take it."""
        for kind in KINDS:
            with self._adding:  # a deque that grows between two steps of an iteration is an error
                rows = list(islice(self.queues[kind], self._batch))
            if rows and not self._attempt(partial(self._write, kind, rows)):
                self._batch = max(FEWEST, self._batch // 2)  # a slow database takes a few in its time
                return False
            for _ in rows:
                self.queues[kind].popleft()
            self._n_spooled[kind] = max(0, self._n_spooled[kind] - len(rows))
        self._batch = min(BATCH, self._batch + FEWEST)
        if not any(self._n_spooled.values()):
            self.spool.done()
        return True

    def _write(self, kind: Kind, rows: Sequence[Row]) -> None:
        """Insert; a row that the database refuses for what it says is dropped alone: it must not hold up others."""
        try:
            new, repeated, forgotten = self.database.write(kind, rows)
        except REFUSED as error:
            if len(rows) == 1:
                self.monitoring.dropped.labels(kind).inc()
                log("the database refuses a row", level=logging.ERROR, reason=type(error).__name__, kind=kind)
                return
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                self._write(kind, half)
            return
        self.monitoring.written.labels(kind).inc(new)
        self.monitoring.repeated.labels(kind).inc(repeated)
        self.monitoring.last_write.set_to_current_time()
        if forgotten:
            log("rows of forgotten users are left out", kind=kind, rows=forgotten)
