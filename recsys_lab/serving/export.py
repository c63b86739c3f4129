"""Feedback as a table that ``read_interactions`` takes: what people did becomes data for the next experiment."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

from recsys_lab.serving.storage import Database

RATINGS = {"view": 3.0, "click": 4.0, "like": 5.0, "dislike": 1.0}  # on the usual scale of 1 to 5
SAID = {"like", "dislike"}  # what somebody said outweighs what they did


def export_feedback(database_url: str, output: Path, events: Collection[str] = tuple(RATINGS)) -> int:
    """Write user_id, item_id, rating, timestamp, event to the Parquet file ``output``; the number of rows.

    One row a pair: its last like or dislike, else its last click or view. ``events``: only these. Raises LookupError
    when there are none.
    """
    unknown = sorted(set(events) - set(RATINGS))
    if unknown:
        raise ValueError(f"unknown events {', '.join(unknown)}; right would be some of {', '.join(RATINGS)}")
    database = Database(database_url)
    try:
        last: dict[tuple[str, str], dict[str, Any]] = {}
        for row in database.read("event"):
            if row["event"] not in events:
                continue
            pair = (row["user_id"], row["item_id"])
            if pair not in last or row["event"] in SAID or last[pair]["event"] not in SAID:
                last[pair] = row
    finally:
        database.close()
    if not last:
        raise LookupError("the database has no such feedback yet; the service writes it as people use the page")
    _write(list(last.values()), output)
    return len(last)


def _write(rows: list[dict[str, Any]], output: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(
        {
            "user_id": [row["user_id"] for row in rows],
            "item_id": [row["item_id"] for row in rows],
            "rating": pa.array([RATINGS[row["event"]] for row in rows], pa.float32()),
            "timestamp": pa.array([int(row["ts"]) for row in rows], pa.int64()),
            "event": [row["event"] for row in rows],
        }
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{uuid.uuid4().hex[:8]}")
    try:
        parquet.write_table(table, partial)
        os.replace(partial, output)
    finally:
        partial.unlink(missing_ok=True)
