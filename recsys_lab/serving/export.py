"""Feedback as a table that ``read_interactions`` takes: what people did becomes data for the next experiment."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from recsys_lab.serving.logs import log
from recsys_lab.serving.private import make_private_folder
from recsys_lab.serving.schemas import SAID
from recsys_lab.serving.storage import EXPORTS, FEEDBACK, Database
from recsys_lab.serving.table_files import CHUNK, ending_of, held, written_table

UNFINISHED = 0.0  # in the place of the time of an export: it never ended, or goes on
RATINGS = {"view": 3.0, "click": 4.0, "like": 5.0, "dislike": 1.0}  # on the usual scale of 1 to 5


def export_feedback(database_url: str, output: Path, events: Collection[str] = tuple(RATINGS)) -> int:
    """Write user_id, item_id, rating, timestamp, event to ``output``, .parquet, .csv or .csv.gz; the number of rows.

    One row a pair: its last like or dislike, unless that was taken back, else its last click or view. ``events``: only
    these. Raises LookupError when there are none. Pairs whose ids begin or end in whitespace, which earlier versions
    took, are left out with a warning: readers drop it.

    The file is noted in the database before that is read, and held until it has its name: ``recsys-lab forget``, which
    deletes rows first, either leaves none of a user to be read here, or finds the note, waits, and changes the file.
    """
    unknown = sorted(set(events) - set(RATINGS))
    if unknown:
        raise ValueError(f"unknown events {', '.join(unknown)}; right would be some of {', '.join(RATINGS)}")
    ending_of(output)
    database = Database(database_url)
    n_rows = n_unfit = 0
    try:
        with database.connect():  # NoTables: a database is not made for a note
            pass
        if not output.parent.exists():
            make_private_folder(output.parent)
        with held(output) as file:
            is_noted = _note(database, file, UNFINISHED)
            with written_table(file) as write:
                with database.connect() as connection:
                    found = connection.execution_options(yield_per=CHUNK).execute(_pairs(events))
                    for rows in found.partitions():
                        kept = [row for row in rows if _is_id(row.user_id) and _is_id(row.item_id)]
                        n_unfit += len(rows) - len(kept)
                        if kept:
                            write(_columns(kept))
                            n_rows += len(kept)
                if not n_rows:
                    raise LookupError("the database has no such feedback yet; the service writes it as people use it")
            if is_noted:
                _note(database, file, time.time())
    finally:
        database.close()
    if n_unfit:
        log(f"{n_unfit:,} pairs are left out: their ids begin or end in whitespace", level=logging.WARNING)
    return n_rows


def _is_id(text: str) -> bool:
    return bool(text) and text == text.strip()


def _pairs(events: Collection[str]) -> sa.Select[Any]:
    """The one event of each user and item that counts, in the order of time."""
    event = FEEDBACK.c
    said, latest = event.event.in_(SAID), (event.ts.desc(), event.seq.desc())
    place = sa.func.row_number().over(partition_by=(event.user_id, event.item_id, said), order_by=latest)
    named = (event.user_id, event.item_id, event.event, event.ts, event.seq)
    counting = event.event.in_([*events, "retract"])
    last = sa.select(*named, said.label("said"), place.label("place")).where(counting).subquery().c
    pair = sa.func.row_number().over(partition_by=(last.user_id, last.item_id), order_by=last.said.desc())
    found = (last.user_id, last.item_id, last.event, last.ts, last.seq, pair.label("place"))
    stands = sa.select(*found).where(last.place == 1, last.event != "retract").subquery().c
    query = sa.select(stands.user_id, stands.item_id, stands.event, stands.ts)
    return query.where(stands.place == 1).order_by(stands.ts, stands.seq)


def _columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    users, items, events, times = zip(*rows, strict=True)
    ratings = [RATINGS[event] for event in events]
    return {
        "user_id": list(users),
        "item_id": list(items),
        "rating": ratings,
        "timestamp": [int(when) for when in times],
        "event": list(events),
    }


def _note(database: Database, file: Path, now: float) -> bool:
    """Write down where the ids of people are. Without this the export is as good, so it is not lost for it."""
    dialect = import_module(f"sqlalchemy.dialects.{database.engine.dialect.name}")
    insert = dialect.insert(EXPORTS).values(host=socket.gethostname(), path=str(file), ts=now)
    keys = ["host", "path"]
    latest = insert.on_conflict_do_update(index_elements=keys, set_={"ts": now}, where=EXPORTS.c.ts < now)
    try:
        with database.begin() as connection:
            connection.execute(latest)
    except (OSError, sa.exc.SQLAlchemyError) as error:
        reason = type(error).__name__
        log(
            f"recsys-lab forget will not find {file}: it cannot be noted in the database ({reason})",
            level=logging.WARNING,
        )
        return False
    return True
