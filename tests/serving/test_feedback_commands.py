"""The commands on feedback where their database or an id is not what it should be."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from recsys_lab.cli import main
from recsys_lab.serving.storage import IMPRESSIONS, BadRow
from tests.judgement.traffic import database_in, plant_split, shown
from tests.serving.apps import stored
from tests.serving.people import OTHER, USER

COMMANDS = (
    ["forget", USER],
    ["export-user", USER],
    ["judge", "--share", "0.3"],
    ["judge", "--shadow"],
    ["export-feedback", "--output", "new.csv"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("file", ["missing.db", "empty.db", "other.db"])
def test_a_named_database_that_is_another_one_is_not_taken_for_an_empty_one(
    settled: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], file: str
) -> None:
    """A path in another folder: forget said that nothing was ever written, and succeeded."""
    elsewhere = settled / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "empty.db").touch()
    with closing(sqlite3.connect(elsewhere / "other.db")) as connection:
        connection.execute("CREATE TABLE notes (text)")
    before = {one.name: one.read_bytes() for one in elsewhere.iterdir()}
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("RECSYS_LAB_DATABASE_URL", f"sqlite:///{elsewhere / file}")
    waiting = {one: one.read_bytes() for one in settled.glob("bundles/spool/*")}
    environ = {**os.environ, "RECSYS_LAB_HOME": str(settled / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "recsys_lab", *command], capture_output=True, text=True, timeout=120, env=environ
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the database sqlite:///{elsewhere / file} does not exist, or the service never wrote to it" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {one.name: one.read_bytes() for one in elsewhere.iterdir()} == before
    assert {one: one.read_bytes() for one in settled.glob("bundles/spool/*")} == waiting


@pytest.mark.parametrize("command", ["forget", "export-user"])
def test_an_id_that_is_not_utf_8_is_refused_before_anything_is_done(settled: Path, command: str) -> None:
    """It was taken for "a?", which was marked as forgotten before the command failed."""
    done = subprocess.run(
        [sys.executable, "-m", "recsys_lab", command, b"a\xff"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "is not UTF-8; expected an id" in done.stderr
    assert stored(settled, "forgotten") == []


ODD_ROWS = {
    "feedback.ts": ("soon", "text", "a finite number"),
    "feedback.item_id": (b"\xff", "blob", "text"),
    "feedback.user_id": (b"\xff", "blob", "text"),
    "impressions.ts": ("soon", "text", "a finite number"),
    "impressions.user_id": (b"\xff", "blob", "text"),
    "impressions.item_ids": ("no JSON", "text", "a list of texts as JSON"),
    "impressions.version": (b"\xff", "blob", "text"),
}


READERS = {
    "export-feedback": ("feedback.ts", "feedback.item_id", "feedback.user_id"),
    "export-user": ("feedback.item_id", "impressions.item_ids", "impressions.version"),
    "judge": ("impressions.ts", "impressions.user_id", "impressions.item_ids"),
}


@pytest.mark.parametrize(("command", "place"), [(name, place) for name, places in READERS.items() for place in places])
def test_a_row_that_its_columns_cannot_mean_is_named(
    settled: Path, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    """SQLite takes any value in any column."""
    database = database_in(settled)
    plant_split(database, np.random.default_rng(0), 60, 0.3, (0.5, 0.5))
    database.close()
    table, column = place.split(".")
    value, kind, expected = ODD_ROWS[place]
    with closing(sqlite3.connect(settled / "feedback.db")) as connection, connection:
        seq, list_id, user = connection.execute(
            "SELECT seq, list_id, user_id FROM feedback WHERE user_id NOT IN (?, ?)", (USER, OTHER)
        ).fetchone()
        key, where = (seq, "seq") if table == "feedback" else (list_id, "list_id")
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where} = ?", (value, key))
    arguments = {"export-feedback": ["--output", str(settled / "a.csv")], "export-user": [user]}
    assert main([command, *arguments.get(command, ["--share", "0.3"])]) == 2
    said = capsys.readouterr().err
    assert f"the table {table}, {where} {key!r}" in said
    assert f"column {column} holds a value of type {kind}; expected {expected}" in said


def test_rows_of_the_service_fit_their_columns(settled: Path) -> None:
    database = database_in(settled)
    database.require_sound()
    for odd in ([1], [None], [["1"]], {"1": "1"}):
        database.write("impression", [shown(str(odd), None, items=odd) | {"item_ids": odd}])
        with pytest.raises(BadRow, match=re.escape(f"list_id {str(odd)!r}")):
            database.require_sound()
        with database.begin() as connection:
            connection.execute(IMPRESSIONS.delete().where(IMPRESSIONS.c.list_id == str(odd)))
    database.require_sound()
    database.close()
