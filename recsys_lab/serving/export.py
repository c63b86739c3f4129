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
from recsys_lab.serving.schemas import SAID
from recsys_lab.serving.storage import EXPORTS, FEEDBACK, Database
from recsys_lab.serving.table_files import CHUNK, ending_of, written_table

RATINGS = {"view": 3.0, "click": 4.0, "like": 5.0, "dislike": 1.0}  # on the usual scale of 1 to 5


def export_feedback(database_url: str, output: Path, events: Collection[str] = tuple(RATINGS)) -> int:
    """Write user_id, item_id, rating, timestamp, event to ``output``, .parquet, .csv or .csv.gz; the number of rows.

    One row a pair: its last like or dislike, unless that was taken back, else its last click or view. ``events``: only
    these. Raises LookupError when there are none. The file is noted in the database, for ``recsys-lab forget``. Pairs
    whose ids begin or end in whitespace, which earlier versions took, are left out with a warning: readers drop it.
    """
    unknown = sorted(set(events) - set(RATINGS))
    if unknown:
        raise ValueError(f"unknown events {', '.join(unknown)}; right would be some of {', '.join(RATINGS)}")
    ending_of(output)
    database = Database(database_url)
    n_rows = n_unfit = 0
    try:
        with written_table(output) as write:
            with database.connect() as connection:
                found = connection.execution_options(yield_per=CHUNK).execute(_pairs(events))
                for rows in found.partitions():
                    kept = [row for row in rows if _is_id(row.user_id) and _is_id(row.item_id)]
                    n_unfit += len(rows) - len(kept)
                    if kept:
                        write(_columns(kept))
                        n_rows += len(kept)
            if not n_rows:
                raise LookupError("the database has no such feedback yet; the service writes it as people use the page")
            _note(database, output)
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


def _note(database: Database, output: Path) -> None:
    """Write down where the ids of people are now. Without this the export is as good, so it is not lost for it."""
    dialect = import_module(f"sqlalchemy.dialects.{database.engine.dialect.name}")
    note = {"host": socket.gethostname(), "path": str(output.absolute()), "ts": time.time()}
    insert = dialect.insert(EXPORTS).values(note)
    keys = ["host", "path"]
    try:
        with database.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=keys, set_={"ts": note["ts"]}))
    except (OSError, sa.exc.SQLAlchemyError) as error:
        reason = type(error).__name__
        log(
            f"recsys-lab forget will not find {output}: it cannot be noted in the database ({reason})",
            level=logging.WARNING,
        )
