"""A SQLite file that is moved, deleted or replaced under running replicas: nothing that they accept later is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from recsys_lab.serving.storage import Database, Follower, Written
from tests.judgement.traffic import database_in, done
from tests.serving.apps import bundle_of, wait_until
from tests.serving.processes import Process, served


def _say(replica: Process, *names: str, user: str = "u") -> None:
    rows = [{"event_id": name, "user_id": user, "item_id": "5", "event": "dislike"} for name in names]
    request = urllib.request.Request(f"http://127.0.0.1:{replica.port}/v1/feedback", json.dumps(rows).encode())
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as got:
        assert got.status == 202


def _said(replica: Process, user: str) -> list[str]:
    path = f"http://127.0.0.1:{replica.port}/v1/users/{user}/feedback"
    with urllib.request.urlopen(path, timeout=10) as got:
        return [one["event"] for one in json.load(got)["items"]]


def _ids(file: Path) -> set[str]:
    if not file.exists():
        return set()
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'feedback'").fetchone():
            return set()
        return {name for (name,) in connection.execute("SELECT event_id FROM feedback")}


def _event(name: str) -> dict[str, object]:
    return {**done(None, "u", "5"), "event_id": name}


def _move(file: Path) -> None:
    file.rename(file.with_name("moved.db"))


def _move_all(file: Path) -> None:
    (file.parent / "elsewhere").mkdir()
    for one in file.parent.glob("feedback.db*"):
        one.rename(file.parent / "elsewhere" / one.name)


def _delete_all(file: Path) -> None:
    for one in file.parent.glob("feedback.db*"):
        one.unlink()


def _delete_folder(file: Path) -> None:
    shutil.rmtree(file.parent)


def _replace(file: Path) -> None:
    other = Database(f"sqlite:///{file.with_name('other.db')}")
    other.write("event", [_event("of the other")])
    other.close()
    os.replace(file.with_name("other.db"), file)


ACTS = [_move, _move_all, Path.unlink, _delete_all, _delete_folder, _replace]


@pytest.mark.parametrize("act", ACTS)
def test_rows_go_to_what_stands_there_now(
    tmp_path: Path, act: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Two writers and a reader, as two replicas have them."""
    folder = tmp_path / "data"
    folder.mkdir()
    file = folder / "feedback.db"
    first, second, follower = database_in(folder), database_in(folder), Follower(database_in(folder), newest=100)
    for number in range(40):
        (first, second)[number % 2].write("event", [_event(f"before-{number}")])
    assert len(follower.read()) == 40
    act(file)
    assert first.write("event", [_event("after-1")]) == Written(1, 0, 0)
    assert second.write("event", [_event("after-2")]) == Written(1, 0, 0)
    assert first.write("event", [_event("after-3")]) == Written(1, 0, 0)
    expected = {"after-1", "after-2", "after-3", *(["of the other"] if act is _replace else [])}
    follower.read()
    assert {row["event_id"] for row in database_in(folder).read("event")} == _ids(file) == expected
    said = [one for one in caplog.records if "moved or deleted" in one.message]
    assert [one.levelname for one in said] == ["ERROR", "ERROR"]  # once by each writer
    assert file.stat().st_mode & 0o777 == 0o600
    second.write("event", [_event("after-4")])
    assert {row["event_id"] for row in follower.read()} >= {"after-4"}, "it follows the new file"
    for place in ("moved.db", "elsewhere/feedback.db"):
        if (folder / place).exists():
            assert len(_ids(folder / place)) == 40, "what was in SQLite's log is in the file that was moved"
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_goes_while_rows_are_written_takes_none_of_them(tmp_path: Path) -> None:
    database, file = database_in(tmp_path), tmp_path / "feedback.db"
    database.write("event", [_event("a")])
    with pytest.raises(OSError, match="moved or deleted while rows were written"), database.begin():
        file.unlink()
    assert database.write("event", [_event("a")]) == Written(1, 0, 0)


def test_a_file_that_was_moved_has_all_rows_at_the_end(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    database.write("event", [_event(f"{number}") for number in range(40)])
    _move(tmp_path / "feedback.db")
    database.close()
    (tmp_path / "feedback.db-wal").unlink(missing_ok=True)
    assert len(_ids(tmp_path / "moved.db")) == 40


def test_leftovers_of_a_file_that_is_gone_do_not_get_into_a_new_one(tmp_path: Path) -> None:
    """Another replica is still connected to the old one, and shares its memory by the file -shm."""
    old = database_in(tmp_path)
    old.write("event", [_event(f"old-{number}") for number in range(40)])
    (tmp_path / "feedback.db").unlink()
    new = database_in(tmp_path)
    assert new.write("event", [_event("new")]) == Written(1, 0, 0)
    assert old.write("event", [_event("late")]) == Written(1, 0, 0)
    assert _ids(tmp_path / "feedback.db") == {"new", "late"}


@pytest.mark.cli
def test_running_replicas_lose_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    file = data / "feedback.db"
    url = f"sqlite:///{file}"
    with (
        served(bundle_of(), tmp_path / "1", DATABASE_URL=url) as one,
        served(bundle_of(), tmp_path / "2", DATABASE_URL=url) as two,
    ):
        lost: set[str] = set()
        for turn, act in enumerate([_move_all, _delete_all, _move, _replace]):
            _say(one, f"before-{turn}")
            _say(two, f"before-{turn}-2")
            wait_until(lambda turn=turn: _ids(file) >= {f"before-{turn}", f"before-{turn}-2"})
            act(file)
            lost = {f"{turn}-{number}" for number in range(60)}
            for name in sorted(lost):
                _say((one, two)[int(name.split("-")[1]) % 2], name, user=f"{turn}-{int(name.split('-')[1]) % 2}")
            wait_until(lambda lost=lost: lost <= _ids(file))
            for replica, others in ((one, f"{turn}-1"), (two, f"{turn}-0")):
                wait_until(lambda replica=replica, others=others: _said(replica, others) == ["dislike"])
    assert lost <= _ids(file)
    for folder in ("1", "2"):
        log = (tmp_path / folder / "log").read_text().splitlines()
        errors = [line for line in log if json.loads(line)["level"] == "error"]
        assert len(errors) == 4, errors
        assert all("the file of the database was moved or deleted" in line for line in errors)
