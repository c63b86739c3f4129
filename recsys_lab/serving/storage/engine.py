"""Engines whose connections end in time: SQLite in WAL mode, PostgreSQL with bounds on both sides of the wire."""

from __future__ import annotations

import logging
import os
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from recsys_lab.serving.logs import log
from recsys_lab.serving.storage.sqlite_file import file_of

BUSY, PATIENT = 2.0, 30.0  # seconds that a writer of SQLite waits for others; that a command does
CONNECT = 2  # seconds to connect to PostgreSQL
WAL_LIMIT = 64_000_000  # bytes that SQLite's log keeps on disk after a long read has let it grow


def engine_of(url: str, longest: float | None) -> sa.Engine:
    """The engine of a URL. ``longest``: seconds that PostgreSQL may take for a statement; None: for a command."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # its words may hold a part of the password
        raise ValueError(
            "RECSYS_LAB_DATABASE_URL is not a URL; expected sqlite:////path/feedback.db or "
            "postgresql+psycopg://user:password@host:5432/name, with %2F for a / in the password and %40 for an @"
        ) from None
    dialect = parsed.get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise ValueError(
            f"RECSYS_LAB_DATABASE_URL names {dialect!r}; right would be sqlite:///... or postgresql+psycopg://..."
        )
    busy = {"timeout": PATIENT if longest is None else BUSY}
    bounds: dict[str, Any] = busy if dialect == "sqlite" else _bounds(parsed, longest)
    options = {} if dialect == "sqlite" else {"pool_size": 1, "max_overflow": 1}
    try:
        engine = sa.create_engine(parsed, connect_args=bounds, **options)
    except ModuleNotFoundError as error:
        raise ImportError(f"{parsed.drivername} needs the package {error.name}: pip install {error.name}") from None
    if (file := file_of(engine)) is not None:
        text: Any = str if longest is None else _text
        sa.event.listen(
            engine, "do_connect", lambda dialect, _, names, options: _open(dialect, file, names, options, text)
        )
    return engine


def _bounds(url: sa.URL, longest: float | None) -> dict[str, Any]:
    """Options of libpq, except those that the URL gives itself: a server that is away is noticed in seconds."""
    bounds: dict[str, Any] = {"connect_timeout": CONNECT, "tcp_user_timeout": 5000}
    bounds |= {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2}
    bounds = {name: value for name, value in bounds.items() if name not in url.query}
    if longest is not None:
        limit = int(longest * 1000)
        both = f"-c statement_timeout={limit} -c idle_in_transaction_session_timeout={limit}"
        bounds["options"] = f"{both} {url.query.get('options', '')}".strip()
    return bounds


def _open(dialect: Any, file: Path, names: Any, options: dict[str, Any], text: Any) -> Any:
    """A connection to a file of SQLite; in a folder that is not for writing one that needs no files beside it."""
    if not os.access(file.parent, os.W_OK) and not file.with_name(f"{file.name}-wal").exists():
        return dialect.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", **{**options, "uri": True})
    made = dialect.connect(*names, **options)
    made.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
    made.text_factory = text
    return made


def _text(content: bytes) -> str | bytes:
    """Text of SQLite; bytes where it is not UTF-8: a replica skips that row, where a command ends with an error."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def use_wal(connection: sa.Connection) -> None:
    """Let readers and a writer of SQLite work at the same time, where the file system can."""
    try:
        mode = connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar()
        connection.exec_driver_sql(f"PRAGMA journal_size_limit={WAL_LIMIT}")
    except sa.exc.OperationalError as error:
        mode = str(error.orig)
    if mode not in ("wal", "memory"):
        log("SQLite has no write-ahead log here: a long read holds up writes", level=logging.WARNING, mode=mode)


class Lines:
    """The connections to a server, to be cut from another thread: libpq waits without end for one that is frozen."""

    def __init__(self, engine: sa.Engine) -> None:
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._changing = threading.Lock()
        if engine.dialect.name != "sqlite":
            sa.event.listen(engine, "do_connect", self._connect)

    def _connect(self, dialect: Any, _: Any, arguments: Any, options: Any) -> Any:
        made = dialect.connect(*arguments, **options)
        with self._changing:
            self._open.add(made)
        return made

    @contextmanager
    def cut_after(self, seconds: float | None) -> Iterator[None]:
        """Cut the connections when the block takes longer."""
        if seconds is None:
            yield
            return
        timer = threading.Timer(seconds, self.cut, [f"the database did not answer within {seconds:g} s"])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut(self, why: str = "") -> None:
        """End every connection: who waits for an answer gets an error at once."""
        with self._changing:
            lines = list(self._open)
        if why and lines:
            log(f"{why}; its connections are cut", level=logging.WARNING)
        for line in lines:
            with suppress(Exception), socket.socket(fileno=os.dup(line.fileno())) as wire:  # it may close meanwhile
                wire.shutdown(socket.SHUT_RDWR)
