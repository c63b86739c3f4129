"""What is kept of a person: closed to others, shown to who asks, and gone when it is to be forgotten."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recsys_lab import read_interactions
from recsys_lab.cli import main
from recsys_lab.serving import model_store, private
from recsys_lab.serving.copies import Copies
from recsys_lab.serving.export import export_feedback
from recsys_lab.serving.spool import Spool, locked
from recsys_lab.serving.storage import EXPORTS, Database, Kind, Row, Written
from tests.judgement.traffic import database_in, done, shown
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, stored, wait_until

USER, OTHER = str(bundle_of().user_ids[3]), f"{bundle_of().user_ids[3]}999"  # one id is a part of the other


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


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with rows of two users everywhere; the environment of the commands points to it."""
    database = database_in(tmp_path)
    for user in (USER, OTHER):
        database.write("impression", [shown(f"{user}-{n}", user, at=float(n)) for n in range(600)])
        database.write(
            "event", [done(f"{user}-{n}", user, "5", ("click", "like")[n % 2], at=float(n)) for n in range(40)]
        )
    for ending in ("parquet", "csv", "csv.gz"):
        export_feedback(str(database.engine.url), tmp_path / "out" / f"table.{ending}")
    database.close()
    spool = Spool(tmp_path / "bundles" / "spool")
    waiting = {user: {**done(None, user, "7"), "event_id": f"waits-{user}", "ts": 1.0} for user in (USER, OTHER)}
    spool.keep("event", [waiting[USER], waiting[OTHER], waiting[USER]])
    spool.keep("impression", [{**shown("alone", USER), "ts": 1.0}])
    torn = [f'["event",{{"user_id":"{user}"\n' for user in (USER, OTHER)]
    (spool.folder / "x.jsonl.bad").write_text("".join(torn))
    monkeypatch.setenv("RECSYS_LAB_REGISTRY_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("RECSYS_LAB_BUNDLE_DIR", str(tmp_path / "bundles"))
    monkeypatch.setenv("RECSYS_LAB_DATABASE_URL", f"sqlite:///{tmp_path / 'feedback.db'}")
    monkeypatch.setattr(model_store, "version_of", lambda *_: None)
    return tmp_path


def _users(folder: Path) -> dict[str, set[str]]:
    """Who stands where."""
    tables = {name: {row["user_id"] for row in stored(folder, name)} for name in ("feedback", "impressions")}
    files = {
        "parquet": pd.read_parquet(folder / "out" / "table.parquet"),
        "csv": pd.read_csv(folder / "out" / "table.csv", dtype=str),
        "csv.gz": pd.read_csv(folder / "out" / "table.csv.gz", dtype=str),
    }
    spool = {json.loads(line)[1]["user_id"] for file in folder.glob("bundles/spool/*.jsonl") for line in file.open()}
    return {**tables, **{name: set(frame["user_id"]) for name, frame in files.items()}, "spool": spool}


def test_a_user_is_forgotten_everywhere(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all(users == {USER, OTHER} for users in _users(settled).values())
    before = len(pd.read_parquet(settled / "out" / "table.parquet"))
    assert main(["forget", USER]) == 0
    said = capsys.readouterr().out
    assert "database: 600 lists and 40 events deleted" in said
    assert "spool: 4 rows deleted from 3 files" in said
    assert "exports: 3 rows deleted from 3 files" in said
    assert "models: 0 hold rows of this user" in said
    assert all(users == {OTHER} for users in _users(settled).values())
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
    assert all(users == {USER, OTHER} for users in _users(settled).values())
    empty = tmp_path_factory.mktemp("empty")
    monkeypatch.setenv("RECSYS_LAB_DATABASE_URL", f"sqlite:///{empty / 'feedback.db'}")
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


def test_a_table_that_somebody_put_in_the_place_of_an_export_is_left_alone(settled: Path) -> None:
    frame = pd.DataFrame({"user_id": [USER], "remark": ["mine"]})
    frame.to_parquet(settled / "out" / "table.parquet")
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
    users = _users(settled)
    assert users["feedback"] == users["impressions"] == {OTHER}
    late = {"event_id": "back", "user_id": USER, "item_id": "5", "event": "like"}  # they came back
    assert client.post("/v1/feedback", json=[late]).status_code == 202
    wait_until(lambda: "back" in {row["event_id"] for row in stored(settled)})


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
    assert all(users == {USER, OTHER} for users in _users(settled).values()), "nothing is changed"


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


FORGETS = """
import os, sys, time
from recsys_lab.cli import main
fsync = os.fsync
def slowly(number):
    fsync(number)
    time.sleep(2)  # before the file takes the place of the one that was read
os.fsync = slowly
print("ready", flush=True)
sys.stdin.readline()
sys.exit(main(["forget", sys.argv[1]]))
"""


def _child(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that has printed its first line, "ready"."""
    command = [sys.executable, "-c", code, *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def _goes_on(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def _without_registry(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Other processes have no registry to ask: the lab's own, which is not there."""
    monkeypatch.delenv("RECSYS_LAB_REGISTRY_URI")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(place / "home"))


def test_who_is_forgotten_at_the_same_time_as_others_stays_forgotten(
    settled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that read a file and then replaced it brought the rows of each other back."""
    _without_registry(monkeypatch, settled)
    shutil.rmtree(settled / "bundles" / "spool")
    file = settled / "out" / "table.csv"
    several = [_child(FORGETS, user) for user in (USER, OTHER)]
    for child in several:
        _goes_on(child)
    said = [child.communicate(timeout=120)[0] for child in several]
    assert [child.returncode for child in several] == [0, 0]
    assert all("exports: 3 rows deleted from 3 files" in one for one in said)
    assert file.read_text() == '"user_id","item_id","rating","timestamp","event"\n'
    assert not {"parquet", "csv", "csv.gz"} & {name for name, users in _users(settled).items() if users}


EXPORTS_SLOWLY = """
import os, sys
from pathlib import Path
from recsys_lab.serving import export
calls = {"reading": (export, "_columns"), "written": (os, "fsync")}  # where it waits
place, name = calls[sys.argv[3]]
call = getattr(place, name)
def slowly(one):
    setattr(place, name, call)
    print("ready", flush=True)
    if not sys.stdin.readline():
        os._exit(9)
    return call(one)
setattr(place, name, slowly)
print(export.export_feedback(sys.argv[1], Path(sys.argv[2])))
"""


@pytest.mark.parametrize("when", ["reading", "written"])
@pytest.mark.parametrize("name", ["new.csv", "table.parquet"])
def test_who_is_forgotten_during_an_export_is_not_in_it(
    settled: Path, capsys: pytest.CaptureFixture[str], name: str, when: str
) -> None:
    file = settled / "out" / name
    child = _child(EXPORTS_SLOWLY, os.environ["RECSYS_LAB_DATABASE_URL"], str(file), when)
    later = threading.Timer(3, _goes_on, [child])
    later.start()
    assert main(["forget", USER]) == 0
    later.join()
    assert child.communicate(timeout=60)[0] == "2\n"
    said = capsys.readouterr().out
    assert f"  {file}\n" in said
    assert set(read_interactions(file, ids="str").catalogue.user_ids) == {OTHER}
    assert f"exports: {4 if name == 'new.csv' else 3} rows deleted" in said


def test_an_export_that_was_killed_leaves_nothing_of_a_forgotten_user(
    settled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = settled / "later"
    child = _child(EXPORTS_SLOWLY, os.environ["RECSYS_LAB_DATABASE_URL"], str(folder / "new.csv"), "written")
    child.communicate(timeout=60)
    assert child.returncode == 9
    assert [file.name[:17] for file in folder.iterdir()] == [".partial-new.csv."]
    assert main(["forget", USER]) == 0
    assert list(folder.iterdir()) == []
    assert "NOT" not in capsys.readouterr().out


def test_an_export_that_failed_is_no_file_that_is_gone(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LookupError, match="no such feedback"):
        export_feedback(os.environ["RECSYS_LAB_DATABASE_URL"], settled / "out" / "views.csv", ["view"])
    assert main(["forget", USER]) == 0
    assert "views.csv" not in capsys.readouterr().out
    file = settled / "out" / "table.csv"
    with pytest.raises(LookupError, match="no such feedback"):  # one that was there, and is elsewhere now
        export_feedback(os.environ["RECSYS_LAB_DATABASE_URL"], file, ["view"])
    file.unlink()
    assert main(["forget", USER]) == 1
    assert f"NOT {file}: it is gone" in capsys.readouterr().out


def test_rows_behind_a_link_are_deleted_where_they_are(settled: Path) -> None:
    """The link was replaced by a table, and what it named kept the rows."""
    link, real = settled / "out" / "table.csv", settled / "elsewhere" / "big.csv"
    real.parent.mkdir()
    link.rename(real)
    link.symlink_to(real)
    assert main(["forget", USER]) == 0
    assert link.is_symlink()
    assert f'"{USER}"' not in real.read_text()
    export_feedback(os.environ["RECSYS_LAB_DATABASE_URL"], link)
    assert link.is_symlink()
    link.unlink()
    assert main(["forget", OTHER]) == 1  # the link is gone
    assert f'"{OTHER}"' not in real.read_text(), "noted is the file"


def test_a_folder_that_is_held_for_long_is_named(
    settled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(private, "PATIENCE", 0.2)
    with private.only_writer(settled / "out"):
        assert main(["forget", USER]) == 1
        with pytest.raises(TimeoutError, match="another process has changed files"):
            export_feedback(os.environ["RECSYS_LAB_DATABASE_URL"], settled / "out" / "table.csv")
    said = capsys.readouterr().out
    assert f"NOT {settled / 'out' / 'table.csv'}: it cannot be read (another process has changed files" in said
    assert main(["forget", USER]) == 0
    assert _users(settled)["csv"] == {OTHER}


def test_a_file_system_without_locks_is_said(
    settled: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EBADF, "a folder on NFS")

    monkeypatch.setattr(fcntl, "flock", none)
    assert main(["forget", USER]) == 0
    assert _users(settled)["csv"] == {OTHER}
    assert "has no locks: let forget and export-feedback run one at a time" in caplog.text


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
