"""The database: rows once each, readers beside a writer, tables of an earlier version, events in their order."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.cli import main
from recsys_lab.judgement import judge_shadow, judge_split
from recsys_lab.serving.storage import BadRow, Database, Follower, OldTables, Written
from tests.judgement.traffic import database_in, done, shown
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, stored, wait_until

OLD = """
CREATE TABLE impressions (request_id TEXT NOT NULL, role TEXT NOT NULL, ts FLOAT NOT NULL, user_id TEXT,
  model TEXT NOT NULL, version TEXT NOT NULL, source TEXT NOT NULL, item_ids JSON NOT NULL,
  PRIMARY KEY (request_id, role));
CREATE TABLE feedback (event_id TEXT NOT NULL, ts FLOAT NOT NULL, user_id TEXT NOT NULL, item_id TEXT NOT NULL,
  event TEXT NOT NULL, request_id TEXT, PRIMARY KEY (event_id));
INSERT INTO feedback VALUES ('before', 1.0, 'u', '5', 'click', NULL);
"""  # as version 0.1.0 made them before lists had ids of their own


UNIQUE_OVER_ALL = """
CREATE TABLE feedback (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, ts FLOAT NOT NULL,
  user_id TEXT NOT NULL, item_id TEXT NOT NULL, event TEXT NOT NULL, list_id TEXT, UNIQUE (event_id));
INSERT INTO feedback (event_id, ts, user_id, item_id, event) VALUES ('before', 1.0, 'u', '5', 'click');
"""  # as version 0.1.0 made it before event ids were those of their user


def _event(name: str, **changes: Any) -> dict[str, Any]:
    return {**done(None, "u", "5"), "event_id": name, **changes}


@pytest.mark.parametrize("n", [5, 2500])
def test_what_became_of_rows_is_counted(tmp_path: Path, n: int) -> None:
    database = database_in(tmp_path)
    rows = [_event(str(number)) for number in range(n)]
    assert database.write("event", rows) == Written(n, 0, 0)
    assert database.write("event", [*rows[:3], _event("x"), _event("x")]) == Written(1, 4, 0)
    assert database.write("impression", [shown("l", "u"), shown("l", "u", "shadow"), shown("l", "v")]) == Written(
        2, 1, 0
    )
    assert database.write("impression", []) == Written(0, 0, 0)
    assert len(stored(tmp_path)) == n + 1


def test_a_long_read_holds_up_no_write(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    database.write("impression", [shown(str(number), "u", at=float(number)) for number in range(20_000)])
    reader = Database(str(database.engine.url))
    reading = reader.read("impression")
    next(reading)  # 10,000 rows are to come
    longest = 0.0
    for number in range(30):
        began = time.monotonic()
        database.write("event", [_event(str(number))])
        longest = max(longest, time.monotonic() - began)
    assert longest < 1.0
    assert sum(1 for _ in reading) == 19_999
    assert len(stored(tmp_path)) == 30


def test_a_read_sees_one_state(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    database.write("event", [_event("a")])
    with Database(str(database.engine.url)).connect() as connection:
        count = "SELECT count(*) FROM feedback"
        assert connection.exec_driver_sql(count).scalar() == 1
        database.write("event", [_event("b")])
        assert connection.exec_driver_sql(count).scalar() == 1


def test_without_a_write_ahead_log_it_works_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As on a network file system: this way of locking has no shared memory."""
    file = tmp_path / "feedback.db"
    database = Database(f"sqlite:///file:{file}?vfs=unix-dotfile&uri=true")
    assert database.write("event", [_event("a")]) == Written(1, 0, 0)
    assert "SQLite has no write-ahead log here" in caplog.text
    assert [row["event_id"] for row in database.read("event")] == ["a"]
    assert file.stat().st_mode & 0o777 == 0o600
    database.close()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root becomes another user")
def test_who_may_only_read_reads() -> None:
    """Beside a running writer, and when nothing but the file is left, in a folder where nobody else may write."""
    folder = Path(tempfile.mkdtemp(prefix="recsys_lab_"))
    folder.chmod(0o755)
    try:
        database = database_in(folder)
        database.write("event", [_event("a")])
        for file in folder.iterdir():
            file.chmod(0o644)
        assert _as_nobody(lambda: [row["event_id"] for row in database_in(folder).read("event")]) == "['a']"
        database.close()
        assert [file.name for file in folder.glob("feedback.db*")] == ["feedback.db"]
        assert _as_nobody(lambda: [row["event_id"] for row in database_in(folder).read("event")]) == "['a']"
        assert [file.name for file in folder.glob("feedback.db*")] == ["feedback.db"]
        refused = _as_nobody(lambda: database_in(folder).write("event", [_event("b")]))
        assert "readonly database" in refused or "unable to open" in refused or "Permission denied" in refused
    finally:
        shutil.rmtree(folder)


def _as_nobody(act: Callable[[], object]) -> str:
    """What ``act`` returns, or raises, in a process of the user nobody. What it imports is imported already."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            said = repr(act())
        except BaseException as error:
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        found = stream.read()
    os.waitpid(child, 0)
    return found


def test_tables_of_an_earlier_version_are_refused_and_what_waits_is_kept(
    registry: Registry, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: Any, monkeypatch: Any
) -> None:
    file = tmp_path / "feedback.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(OLD)
    registry.add(bundle_of(), "champion")
    client = start()
    event = {"event_id": "waits", "user_id": "u", "item_id": "5", "event": "click"}
    assert client.post("/v1/feedback", json=[event]).status_code == 202
    wait_until(lambda: "another version made it" in caplog.text)
    command = _command(caplog.text)
    assert command == f"mkdir -m 700 {tmp_path}/old_feedback.db && mv {file}* {tmp_path}/old_feedback.db/"
    assert metric(client, "database_up") == 0
    assert app_of(client).state.feedback.close(1.0) == 0
    assert stored(tmp_path)[0]["event_id"] == "before"
    for name in ("REGISTRY_URI", "BUNDLE_DIR", "DATABASE_URL"):
        monkeypatch.setenv(f"RECSYS_LAB_{name}", f"sqlite:///{file}")
    monkeypatch.setenv("RECSYS_LAB_BUNDLE_DIR", str(tmp_path / "bundles"))
    for typed in (
        ["judge", "--share", "0.1"],
        ["export-feedback", "--output", str(tmp_path / "a.csv")],
        ["forget", "u"],
    ):
        assert main(typed) == 2
        assert command in capsys.readouterr().err
    subprocess.run(["sh", "-c", command], check=True)
    start()
    wait_until(lambda: [row["event_id"] for row in stored(tmp_path)] == ["waits"])


def _command(message: str) -> str:
    """How a database is moved away, as a message says."""
    return message.partition("what SQLite keeps beside it: ")[2].partition("; new tables")[0]


KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.executescript(sys.argv[2])
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
for n in range(50):
    connection.execute("INSERT INTO feedback VALUES (?, 1.0, 'u', '5', 'click', NULL)", [f"e{n}"])
if sys.argv[3] == "reads":  # on, and so keeps the log from being emptied
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM feedback").fetchall()
    print(flush=True)
    sys.stdin.read()
os._exit(1)
"""  # a replica of an earlier version that is killed: its last rows stand in SQLite's log


@pytest.mark.parametrize("then", ["is gone", "reads"])
def test_rows_in_the_log_of_sqlite_move_with_an_old_database(tmp_path: Path, then: str) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    file, place = folder / "feedback.db", folder / "old_feedback.db2"
    (folder / "old_feedback.db").mkdir()  # from an earlier time
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(file), OLD, then], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        assert Path(f"{file}-wal").stat().st_size > 50 * 4096
        database = Database(f"sqlite:///{file}", longest=1.0)
        with pytest.raises(OldTables) as refused:
            database.write("event", [_event("a")])
        assert (Path(f"{file}-wal").stat().st_size == 0) == (then == "is gone")
        database.close()
        writer.kill()
    subprocess.run(["sh", "-c", _command(str(refused.value))], check=True)
    assert list(folder.glob("feedback.db*")) == []
    with closing(sqlite3.connect(place / "feedback.db")) as connection:
        assert connection.execute("SELECT count(*) FROM feedback").fetchone() == (51,)
    assert Database(f"sqlite:///{file}").write("event", [_event("a")]) == Written(1, 0, 0)


def test_a_table_whose_event_ids_are_unique_over_all_users_is_of_an_earlier_version(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "feedback.db")) as connection:
        connection.executescript(UNIQUE_OVER_ALL)
    expected = r"unique \(event_id\); expected the columns .*, unique \(event_id, user_id\): another version made it"
    with pytest.raises(OldTables, match=expected):
        database_in(tmp_path).write("event", [_event("a")])
    with pytest.raises(OldTables, match=expected):
        next(database_in(tmp_path).read("event"))


def test_an_event_id_belongs_to_its_user(tmp_path: Path) -> None:
    """Whoever sends the ids of others first would keep their events out."""
    database = database_in(tmp_path)
    assert database.write("event", [_event("x", user_id="mallory")]) == Written(1, 0, 0)
    assert database.write("event", [_event("x", user_id="bob"), _event("x", user_id="bob")]) == Written(1, 1, 0)
    assert database.write("event", [_event("x", user_id="mallory", item_id="6")]) == Written(0, 1, 0)
    assert [(row["user_id"], row["item_id"]) for row in database.read("event")] == [("mallory", "5"), ("bob", "5")]


def test_what_is_new_of_a_forgotten_user_is_not_hit_by_an_old_row_of_another_one(tmp_path: Path) -> None:
    from recsys_lab.serving import privacy

    database, now = database_in(tmp_path), time.time()
    database.write("event", [])
    for user in ("a", "b"):
        privacy.forget_in_database(database, user)
    database.write("event", [_event("2", user_id="a", ts=now + 1000)])
    old = [_event("1", user_id="a", ts=now - 1), _event("2", user_id="b", ts=now - 1)]
    assert database.write("event", [*old, _event("2", user_id="a", ts=now - 1)]) == Written(0, 0, 3)
    assert [(row["event_id"], row["user_id"]) for row in stored(tmp_path)] == [("2", "a")]


def test_a_row_of_another_person_is_not_hit_by_a_forgotten_one(tmp_path: Path) -> None:
    """An event id is whatever a client sends: that of somebody else's event too."""
    from recsys_lab.serving import privacy

    database = database_in(tmp_path)
    database.write("event", [_event("same", user_id="other", ts=1.0)])
    privacy.forget_in_database(database, "gone")
    assert database.write("event", [_event("same", user_id="gone", ts=1.0)]) == Written(0, 0, 1)
    assert [row["user_id"] for row in stored(tmp_path)] == ["other"]


WRITER = """
import sys, time
from recsys_lab.serving.storage import Database
database = Database(sys.argv[1])
for batch in range(int(sys.argv[3])):
    said = {"user_id": "u", "item_id": "5", "event": "view", "list_id": None, "ts": time.time()}
    rows = [{**said, "event_id": f"{sys.argv[2]}-{batch}-{n}"} for n in range(7)]
    while True:
        try:
            database.write("event", rows)
            break
        except Exception:
            time.sleep(0.01)
"""


def follow_writers(url: str, n_writers: int, n_batches: int, follower: Follower) -> list[str]:
    """What ``follower`` gives while processes write; until they are done and two looks found nothing more."""
    command = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen([*command, str(number), str(n_batches)]) for number in range(n_writers)]
    found: list[str] = []
    try:
        quiet = 0
        while quiet < 2:
            ended = all(writer.poll() is not None for writer in writers)
            news = [row["event_id"] for row in follower.read()]
            found += news
            quiet = quiet + 1 if ended and not news else 0
            time.sleep(0.02)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    return found


def test_no_event_is_missed_or_given_twice(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    database.write("event", [_event(f"early-{number}") for number in range(10)])
    follower = Follower(database, newest=3)
    assert [row["event_id"] for row in follower.read()] == ["early-7", "early-8", "early-9"]
    assert follower.read() == []
    found = follow_writers(str(database.engine.url), 3, 60, follower)
    assert len(found) == len(set(found)) == 3 * 60 * 7
    assert [row["seq"] for row in database.events_after(5, 3)] == [6, 7, 8]
    assert database.seq_before(2) == 10 + len(found) - 2
    assert database.seq_before(10_000) == 0


def test_a_number_is_never_drawn_twice(tmp_path: Path) -> None:
    """Not even after the newest row was deleted: who follows would miss the next one."""
    from recsys_lab.serving import privacy

    database = database_in(tmp_path)
    follower = Follower(database, newest=5)
    database.write("event", [_event("a"), _event("b", user_id="gone")])
    assert [row["seq"] for row in follower.read()] == [1, 2]
    privacy.forget_in_database(database, "gone")
    database.write("event", [_event("c")])
    assert [(row["seq"], row["event_id"]) for row in follower.read()] == [(3, "c")]


BAD = {
    "ts": "'soon', 'u', '5', 'like', NULL",
    "user_id": "1.0, x'ff', '5', 'like', NULL",
    "item_id": "1.0, 'u', CAST(x'ff41' AS TEXT), 'like', NULL",  # not UTF-8
    "event": "1.0, 'u', '5', 'bought', NULL",
    "list_id": f"1.0, 'u', '5', 'like', '{'x' * 201}'",
}


def insert_bad(file: Path, *columns: str) -> None:
    """Rows that the service cannot have written, which SQLite takes, between two good ones."""
    good = "9e9, 'u', '5', 'like', NULL"
    with closing(sqlite3.connect(file)) as connection:
        for number, row in enumerate([good, *(BAD[column] for column in columns), good]):
            names = "event_id, ts, user_id, item_id, event, list_id"
            connection.execute(f"INSERT INTO feedback ({names}) VALUES ('bad-{number}', {row})")
        connection.commit()


def test_a_row_that_is_no_event_is_skipped_alone_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = Database(f"sqlite:///{tmp_path / 'feedback.db'}", longest=1.0)
    database.write("event", [_event("first")])
    insert_bad(tmp_path / "feedback.db", *BAD)
    follower = Follower(database, newest=100)
    assert [row["seq"] for row in follower.read()] == [1, 2, 8]
    (said,) = [one for one in caplog.records if "feedback are skipped" in one.message]
    assert said.fields["first"] == "seq 3 (ts), seq 4 (user_id), seq 5 (item_id), seq 6 (event), seq 7 (list_id)"  # type: ignore[attr-defined]
    assert follower.read() == []
    database.write("event", [_event("last")])
    assert [row["event_id"] for row in follower.read()] == ["last"]


def test_events_of_a_page_that_was_not_taken_are_given_again(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    database.write("event", [_event("a"), _event("b")])
    follower = Follower(database, newest=100)
    for page in follower.pages():
        assert len(page) == 2
        break  # as an error of whoever takes them does
    assert [row["event_id"] for row in follower.read()] == ["a", "b"]


def test_what_cannot_be_judged_is_named(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    database.write("impression", [shown("good", "u"), shown("bad", "u")])
    database.require_sound()
    for column, value in (("item_ids", "'[1'"), ("ts", "'soon'"), ("model", "x'ff'")):
        with database.begin() as connection:
            connection.exec_driver_sql(f"UPDATE impressions SET {column} = {value} WHERE list_id = 'bad'")
        with pytest.raises(BadRow, match=rf"the table impressions, list_id 'bad'.*: column {column} holds"):
            judge_split(database, 0.1)
        with database.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE impressions SET {column} = (SELECT {column} FROM impressions WHERE list_id = 'good')"
            )
        database.require_sound()
    insert_bad(tmp_path / "feedback.db", "ts")
    with pytest.raises(BadRow, match=r"the table feedback, seq 2: column ts holds .*; fix or delete the row"):
        judge_shadow(database)


def test_two_writers_of_one_file_wait_for_each_other(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    database.write("event", [])
    errors: list[Exception] = []

    def write(name: str) -> None:
        own = Database(str(database.engine.url))
        try:
            for number in range(100):
                own.write("event", [_event(f"{name}-{number}")])
        except Exception as error:
            errors.append(error)
        own.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(stored(tmp_path)) == 200


def test_a_url_that_is_none_hides_its_password() -> None:
    for url in (
        "postgresql+psycopg://user:secret@host:se/cret",
        "secret",
        "postgresql+psycopg://user:sec@ret:x@host/db",
    ):
        with pytest.raises(ValueError, match="expected sqlite") as error:
            Database(url)
        assert "secret" not in str(error.value)
    assert issubclass(OldTables, LookupError)  # a message for who types a command
