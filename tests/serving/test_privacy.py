"""What is kept of a person: closed to others, shown to who asks, and gone when it is to be forgotten."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recsys_lab.cli import main
from recsys_lab.serving import model_store, privacy
from recsys_lab.serving.copies import Copies
from recsys_lab.serving.export import export_feedback
from recsys_lab.serving.spool import locked
from recsys_lab.serving.storage import EXPORTS, Database, Kind, Row, Written
from recsys_lab.serving.table_files import COLUMNS
from tests.judgement.traffic import database_in, done, shown
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, stored, wait_until
from tests.serving.people import OTHER, USER, users_in


@pytest.fixture
def wide_open() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _modes(folder: Path) -> dict[str, str]:
    places = ("feedback.db*", "bundles", "bundles/spool", "bundles/spool/*")
    files = [file for place in places for file in folder.glob(place)]
    return {str(file.relative_to(folder)): f"{stat.S_IMODE(file.stat().st_mode):o}" for file in files}


@pytest.mark.usefixtures("wide_open")
def test_files_are_closed_to_others(registry: Registry, start: Start, tmp_path: Path) -> None:
    registry.add(bundle_of(), "champion")
    place = tmp_path / "new" / "place"
    client = start(database_url=f"sqlite:///{place / 'feedback.db'}", bundle_dir=place / "bundles")
    client.get(f"/v1/users/{USER}/recommendations")
    wait_until(lambda: len(stored(place, "impressions")) == 1)
    app_of(client).state.feedback.spool.keep("event", [done(None, USER, "5")])
    found = _modes(place)
    assert {"feedback.db", "feedback.db-wal", "feedback.db-shm"} <= set(found)
    assert {mode for name, mode in found.items() if "." in name} == {"600"}
    assert found["bundles"] == found["bundles/spool"] == "700"
    assert stat.S_IMODE(place.stat().st_mode) == stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    output = place / "out" / "table.csv"
    Database(f"sqlite:///{place / 'feedback.db'}").write("event", [done(None, USER, "5")])
    export_feedback(f"sqlite:///{place / 'feedback.db'}", output)
    assert (stat.S_IMODE(output.stat().st_mode), stat.S_IMODE(output.parent.stat().st_mode)) == (0o600, 0o700)


@pytest.mark.usefixtures("wide_open")
def test_files_that_were_open_are_closed_and_it_is_said(
    registry: Registry, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry.add(bundle_of(), "champion")
    first = start()
    first.get(f"/v1/users/{USER}/recommendations")
    wait_until(lambda: len(stored(tmp_path, "impressions")) == 1)
    app_of(first).state.feedback.close()
    for file, mode in ((tmp_path / "feedback.db", 0o644), (tmp_path / "bundles" / "spool", 0o755), (tmp_path, 0o755)):
        file.mkdir(exist_ok=True) if file.name == "spool" else None
        file.chmod(mode)
    (tmp_path / "bundles").chmod(0o777)
    (tmp_path / "bundles" / "spool" / "x.jsonl.bad").touch(0o644)
    start()
    wait_until(lambda: _modes(tmp_path)["feedback.db"] == "600")
    found = _modes(tmp_path)
    assert found["bundles"] == found["bundles/spool"] == "700"
    assert found["bundles/spool/x.jsonl.bad"] == "600"
    said = {record.fields["path"]: record.fields["mode"] for record in caplog.records if "could read" in record.message}  # type: ignore[attr-defined]
    assert said[str(tmp_path / "feedback.db")] == "644"
    assert said[str(tmp_path / "bundles")] == "777"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755, "a folder that may be somebody's home stays as it is"


def test_a_user_is_forgotten_everywhere(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all(users == {USER, OTHER} for users in users_in(settled).values())
    before = len(pd.read_parquet(settled / "out" / "table.parquet"))
    assert main(["forget", USER]) == 0
    said = capsys.readouterr().out
    assert "database: 600 lists and 40 events deleted" in said
    assert "spool: 4 rows deleted from 3 files" in said
    assert "exports: 3 rows deleted from 3 files" in said
    assert "models: 0 hold rows of this user" in said
    assert all(users == {OTHER} for users in users_in(settled).values())
    assert len(pd.read_parquet(settled / "out" / "table.parquet")) == before - 1
    assert (settled / "bundles" / "spool" / "x.jsonl.bad").read_text() == f'["event",{{"user_id":"{OTHER}"\n'
    assert main(["forget", USER]) == 0  # again
    said = capsys.readouterr().out
    assert "database: 0 lists and 0 events deleted" in said
    assert "spool: 0 rows deleted from 0 files" in said
    assert "exports: 0 rows deleted from 0 files" in said


def test_no_byte_of_a_forgotten_user_is_left(settled: Path) -> None:
    """Deleted rows would stay in free pages and in the log of SQLite."""
    name = "somebody@example.org"
    database = database_in(settled)
    for n in range(300):
        database.write("event", [{**done(None, name, "5"), "event_id": f"bytes-{n}"}, done(f"l{n}", OTHER, "5")])
        database.write("impression", [shown(f"bytes-{n}", name)])
    assert name.encode() in b"".join(file.read_bytes() for file in settled.glob("feedback.db*"))
    assert main(["forget", name]) == 0
    assert name.encode() not in b"".join(file.read_bytes() for file in settled.glob("feedback.db*"))
    database.close()


def test_who_is_unknown_and_a_place_where_nothing_is(
    settled: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forget", "nobody"]) == 0
    assert all(users == {USER, OTHER} for users in users_in(settled).values())
    empty = tmp_path_factory.mktemp("empty")
    monkeypatch.delenv("RECSYS_LAB_DATABASE_URL")  # the default one, which the service never made
    monkeypatch.setenv("RECSYS_LAB_BUNDLE_DIR", str(empty / "bundles"))
    assert main(["forget", USER]) == 0
    assert "database: nothing was ever written to it" in capsys.readouterr().out
    assert main(["export-user", USER]) == 0
    assert list(empty.iterdir()) == []


def test_files_that_cannot_be_reached_are_named(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (settled / "out" / "table.csv").unlink()
    (settled / "out" / "table.csv.gz").write_bytes(b"no gzip")
    database = database_in(settled)
    with database.begin() as connection:
        connection.execute(EXPORTS.insert().values(host="elsewhere", path="/data/other.csv", ts=1.0))
    database.close()
    assert main(["forget", USER]) == 1
    said = capsys.readouterr().out
    assert f"NOT {settled / 'out' / 'table.csv'}: it is gone" in said
    assert f"NOT {settled / 'out' / 'table.csv.gz'}: it cannot be read" in said
    assert "NOT /data/other.csv: it is on elsewhere" in said
    assert f"exports: 1 rows deleted from 1 files\n  {settled / 'out' / 'table.parquet'}" in said


@pytest.mark.parametrize("item", [{"remark": "mine"}, dict.fromkeys(list(COLUMNS)[1:], 1.5)])
def test_a_table_that_somebody_put_in_the_place_of_an_export_is_left_alone(settled: Path, item: dict[str, Any]) -> None:
    frame = pd.DataFrame([{"user_id": user} | item for user in (USER, OTHER)])
    frame.to_parquet(settled / "out" / "table.parquet")
    (settled / "out" / "table.csv").unlink()
    os.mkfifo(settled / "out" / "table.csv")
    assert main(["forget", USER]) == 1
    pd.testing.assert_frame_equal(pd.read_parquet(settled / "out" / "table.parquet"), frame)


def test_a_running_replica_writes_nothing_of_a_forgotten_user(
    registry: Registry, start: Start, settled: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows in its queue, and in the files that it has taken up, when its database is slow."""
    monkeypatch.setattr(model_store, "version_of", registry.version_of)
    registry.add(bundle_of(), "champion")
    forgotten, write = threading.Event(), Database.write

    def slow(self: Database, kind: Kind, rows: Sequence[Row]) -> Written:
        assert forgotten.wait(60)
        return write(self, kind, rows)

    monkeypatch.setattr(Database, "write", slow)
    client = start()
    events = [{"event_id": f"new-{user}", "user_id": user, "item_id": "5", "event": "like"} for user in (USER, OTHER)]
    assert client.post("/v1/feedback", json=events).status_code == 202
    assert client.get(f"/v1/users/{USER}/recommendations").status_code == 200
    assert main(["forget", USER]) == 1
    assert "a running replica has it: it writes none of these rows" in capsys.readouterr().out
    forgotten.set()
    wait_until(lambda: {row["event_id"] for row in stored(settled)} >= {f"new-{OTHER}", f"waits-{OTHER}"})
    wait_until(lambda: not list(settled.glob("bundles/spool/*.jsonl")))
    wait_until(lambda: metric(client, 'feedback_queue{kind="impression"}') == 0)
    users = users_in(settled)
    assert users["feedback"] == users["impressions"] == {OTHER}
    monkeypatch.setattr(app_of(client).state.service, "clock", lambda: time.time() + 61)
    late = {"event_id": "back", "user_id": USER, "item_id": "5", "event": "like"}  # they came back
    assert client.post("/v1/feedback", json=[late]).status_code == 202
    wait_until(lambda: "back" in {row["event_id"] for row in stored(settled)})


def test_a_replica_whose_clock_is_ahead_writes_nothing_of_a_forgotten_user(tmp_path: Path) -> None:
    database, now = database_in(tmp_path), time.time()
    database.write("event", [])
    privacy.forget_in_database(database, USER)
    rows = [{**done(None, USER, "5"), "event_id": f"{ahead}", "ts": now + ahead} for ahead in (-3600, 20, 59, 70)]
    assert database.write("event", rows) == Written(1, 0, 3)
    assert database.write("impression", [{**shown("a", USER), "ts": now + 59}]) == Written(0, 0, 1)
    assert [row["event_id"] for row in stored(tmp_path)] == ["70"]


def test_models_that_hold_the_user_are_named(
    settled: Path, registry: Registry, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_store, "version_of", registry.version_of)
    registry.add(bundle_of(), "champion")
    registry.add(bundle_of("ItemKNN"), "challenger")
    copies = Copies(settled / "bundles")
    version = registry.version_of("", "recommender", "champion")
    assert version is not None
    place = registry.fetch_bundle("", version, copies.place("champion", version))
    copies.remember("champion", version, place)
    broken = shutil.copytree(place, place.with_name("9-broken"))
    (broken / "state" / "tree.json").unlink(missing_ok=True)
    next(iter((broken / "state").iterdir())).unlink()
    assert main(["forget", USER]) == 1  # one copy could not be read
    said = capsys.readouterr().out
    assert "models: 3 hold rows of this user" in said
    assert f"the copy {place}" in said
    assert "version 1 of recommender (champion)" in said
    assert "version 2 of recommender (challenger)" in said
    assert "train again on data without this user and promote" in said
    assert f"NOT READ the copy {broken}" in said
    shutil.rmtree(broken)
    assert main(["forget", OTHER]) == 0
    assert "models: 0 hold rows" in capsys.readouterr().out
    registry.down = True
    assert main(["forget", OTHER]) == 1
    assert "NOT READ recommender (champion): ConnectionError: registry down" in capsys.readouterr().out


def test_what_is_kept_of_a_user_is_exported(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = settled / "person.json"
    assert main(["export-user", USER, "--output", str(output)]) == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    found = json.loads(output.read_text())
    assert found["user_id"] == USER
    assert (len(found["impressions"]), len(found["feedback"])) == (600, 40)
    assert {row["user_id"] for row in [*found["impressions"], *found["feedback"]]} == {USER}
    assert sorted(len(file["rows"]) for file in found["spool"]) == [0, 1, 2]
    assert sum(file["n_damaged"] for file in found["spool"]) == 1
    assert [len(file["rows"]) for file in found["exports"]] == [1, 1, 1]
    row = found["exports"][0]["rows"][0]
    assert (row["user_id"], row["item_id"], row["event"], row["rating"]) == (USER, "5", "like", 5)
    capsys.readouterr()
    assert main(["export-user", USER]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert main(["export-user", USER, "--output", str(settled / "person.txt")]) == 2
    assert "expected .json" in capsys.readouterr().err
    assert all(users == {USER, OTHER} for users in users_in(settled).values()), "nothing is changed"


def test_exports_are_noted_with_where_they_are(settled: Path) -> None:
    database = database_in(settled)
    with database.connect() as connection:
        rows = connection.execute(EXPORTS.select().order_by(EXPORTS.c.path)).all()
    database.close()
    here = [(socket.gethostname(), str(settled / "out" / f"table.{ending}")) for ending in ("csv", "csv.gz", "parquet")]
    assert [(row.host, row.path) for row in rows] == here


def test_a_file_that_a_replica_holds_is_left_to_it(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = [stream for file in settled.glob("bundles/spool/*.jsonl") if (stream := locked(file))]
    try:
        assert main(["forget", USER]) == 1
        assert "a running replica has it: it writes none of these rows" in capsys.readouterr().out
    finally:
        for stream in held:
            stream.close()
    assert main(["forget", USER]) == 0


@pytest.mark.usefixtures("wide_open")
def test_a_database_behind_a_link_is_closed_to_others(tmp_path: Path) -> None:
    """SQLite makes the file that a link names, with what the umask leaves."""
    link, real = tmp_path / "feedback.db", tmp_path / "disk" / "real.db"
    link.symlink_to(real)
    real.parent.mkdir()
    database = Database(f"sqlite:///{link}")
    database.write("event", [done(None, USER, "5")])
    found = {file.name: f"{stat.S_IMODE(file.stat().st_mode):o}" for file in real.parent.iterdir()}
    database.close()
    assert found == {"real.db": "600", "real.db-wal": "600", "real.db-shm": "600"}
