"""Old rows go, a few at a time; young ones stay; nobody waits for it."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.serving import privacy
from recsys_lab.serving.retention import AT_A_TIME, DAY, Retention
from recsys_lab.serving.settings import Settings
from recsys_lab.serving.spool import Spool
from recsys_lab.serving.storage import FORGOTTEN, LONGEST, Database
from tests.judgement.traffic import database_in, done, shown
from tests.serving.apps import Registry, Start, app_of, stored, wait_until


def _aged(days: float, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A list and an event of that age."""
    ts = time.time() - days * DAY
    return {**shown(name, "u"), "ts": ts}, {**done(None, "u", "5"), "event_id": name, "ts": ts}


def test_old_rows_are_deleted_at_the_start(registry: Registry, start: Start, tmp_path: Path) -> None:
    database = database_in(tmp_path)
    for days in (0.5, 6.9, 7.1, 400):
        for number in range(AT_A_TIME + 5 if days == 400 else 3):
            row, event = _aged(days, f"{days}-{number}")
            database.write("impression", [row])
            database.write("event", [event])
    spool = Spool(tmp_path / "bundles" / "spool")
    spool.keep("event", [_aged(8, "old")[1], _aged(1, "young")[1]])
    for name, days in (("old.jsonl.bad", 8), ("young.jsonl.bad", 6)):
        (spool.folder / name).write_bytes(b"torn\n")
        os.utime(spool.folder / name, (time.time(), time.time() - days * DAY))
    start(ready=False, retention_days=7.0)
    expected = [f"{days}-{number}" for days in (6.9, 0.5) for number in range(3)]
    wait_until(lambda: len(stored(tmp_path)) == 7 and len(stored(tmp_path, "impressions")) == 6)
    assert [row["list_id"] for row in stored(tmp_path, "impressions")] == expected
    assert {row["event_id"] for row in stored(tmp_path)} == {*expected, "young"}
    wait_until(lambda: [file.name for file in spool.folder.iterdir()] == ["young.jsonl.bad"])


def test_rows_are_kept_for_ever_unless_told(registry: Registry, start: Start, tmp_path: Path) -> None:
    database_in(tmp_path).write("event", [_aged(4000, "old")[1]])
    client = start(ready=False)
    feedback = app_of(client).state.feedback
    assert feedback.add("event", [_aged(3000, "older")[1]])
    wait_until(lambda: len(stored(tmp_path)) == 2)
    assert feedback.retention.wait is None


def test_it_looks_again_in_an_hour_and_after_an_error_in_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'feedback.db'}", longest=LONGEST)
    now = [1000.0]
    monkeypatch.setattr("recsys_lab.serving.retention.monotonic", lambda: now[0])
    retention = Retention(database, tmp_path, 7.0)
    database.write("event", [_aged(8, "a")[1]])
    retention.step()
    assert retention.wait == 0  # there may be more
    retention.step()
    assert retention.wait == 3600
    database.write("event", [_aged(8, "b")[1]])
    retention.step()
    assert len(stored(tmp_path)) == 1
    now[0] += 3600
    with closing(sqlite3.connect(tmp_path / "feedback.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Exception, match="locked"):
            retention.step()
    assert retention.wait == 60
    now[0] += 60
    retention.step()
    assert stored(tmp_path) == []


def test_that_a_user_is_forgotten_is_known_as_long_as_rows_of_theirs_may_come(tmp_path: Path) -> None:
    database, days = database_in(tmp_path), 10 / DAY
    database.write("event", [])
    privacy.forget_in_database(database, "gone")
    with database.begin() as connection:
        connection.execute(FORGOTTEN.update().values(ts=time.time() - 20))
    Retention(database, tmp_path, days).step()
    assert database.write("event", [{**_aged(0, "waits")[1], "user_id": "gone"}]).forgotten == 1
    with database.begin() as connection:
        connection.execute(FORGOTTEN.update().values(ts=time.time() - 80))
    Retention(database, tmp_path, days).step()
    assert stored(tmp_path, "forgotten") == []


def _is_among_the_last(database: Database, name: str) -> bool:
    return any(row["event_id"] == name for row in database.events_after(database.seq_before(3), 3))


def test_writes_go_on_while_many_rows_are_deleted(registry: Registry, start: Start, tmp_path: Path) -> None:
    database = database_in(tmp_path)
    old = [_aged(8, str(number)) for number in range(20_000)]
    database.write("impression", [row for row, _ in old])
    database.write("event", [event for _, event in old])
    feedback = app_of(start(ready=False, retention_days=7.0)).state.feedback
    longest, n_written = 0.0, 0
    while len(stored(tmp_path, "impressions")) > 100:
        n_written += 1
        began = time.monotonic()
        assert feedback.add("event", [_aged(0, f"new-{n_written}")[1]])
        wait_until(lambda name=f"new-{n_written}": _is_among_the_last(database, name))
        longest = max(longest, time.monotonic() - began)
    assert n_written > 5
    assert longest < 2.0


@pytest.mark.parametrize("days", ["-1", "nan", "a week", "1e9"])
def test_days_that_are_none(days: str) -> None:
    environ = {"RECSYS_LAB_REGISTRY_URI": "http://r", "RECSYS_LAB_BUNDLE_DIR": "/tmp/x"}
    with pytest.raises(ValueError, match="RECSYS_LAB_RETENTION_DAYS"):
        Settings.from_environment({**environ, "RECSYS_LAB_RETENTION_DAYS": days})
    assert Settings.from_environment({**environ, "RECSYS_LAB_RETENTION_DAYS": "30"}).retention_days == 30
