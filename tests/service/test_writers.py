"""Several writers of one database: who follows them misses nothing, and what is forgotten stays forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recsys_lab.judgement import judge_split
from recsys_lab.serving import privacy
from recsys_lab.serving.retention import Retention
from recsys_lab.serving.storage import FEEDBACK, LONGEST, OVERLAP, Database, Follower, OldTables, Written
from recsys_lab.serving.storage import database as storage
from recsys_lab.serving.storage.tables import META
from tests.judgement.traffic import done, shown
from tests.service.parts import wait_for
from tests.serving.processes import EXPORTS_SLOWLY, child_of, go_on
from tests.serving.test_storage import OLD, follow_writers

pytestmark = pytest.mark.service


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'feedback.db'}"
    found: str = request.getfixturevalue("postgres")
    return found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def _event(name: str, **changes: Any) -> dict[str, Any]:
    return {**done(None, "u", "5"), "event_id": name, **changes}


def test_what_became_of_rows_is_counted(database: Database) -> None:
    rows = [_event(str(number)) for number in range(2500)]
    assert database.write("event", rows) == Written(2500, 0, 0)
    assert database.write("event", [*rows[:3], _event("x"), _event("x")]) == Written(1, 4, 0)
    assert database.write("impression", [shown("l", "u"), shown("l", "u", "shadow"), shown("l", "v")]) == Written(
        2, 1, 0
    )
    assert len(list(database.read("event"))) == 2501


def test_no_event_is_missed_while_four_processes_write(database: Database, url: str) -> None:
    database.write("event", [_event("early")])
    follower = Follower(database, newest=1000)
    assert [row["event_id"] for row in follower.read()] == ["early"]
    found = follow_writers(url, 4, 100, follower)
    assert len(found) == len(set(found)) == 4 * 100 * 7


def test_an_event_that_commits_late_is_given(postgres: str) -> None:
    """Its number was drawn before those that the follower has seen: what makes the overlap necessary."""
    database = Database(postgres)
    database.write("event", [_event("first")])
    follower = Follower(database, newest=1000)
    assert len(follower.read()) == 1
    slow = sa.create_engine(postgres)
    with slow.connect() as connection:
        connection.execute(sa.insert(FEEDBACK), [_event("late")])
        database.write("event", [_event("quick")])
        for _ in range(10):
            found = follower.read()
            time.sleep(0.2)
        assert found == []
        connection.commit()
    (late,) = follower.read()
    (quick,) = database.events_after(database.seq_before(1), 1)
    assert (late["event_id"], quick["event_id"]) == ("late", "quick")
    assert late["seq"] < quick["seq"]
    assert follower.read() == []
    slow.dispose()
    database.close()


def test_no_transaction_lives_longer_than_the_overlap(postgres: str) -> None:
    """A writer that hangs in the middle of its transaction is ended by the server, and its row never appears."""
    database = Database(postgres, longest=0.5)
    database.write("event", [])
    hanging = database.engine.connect()
    hanging.execute(sa.insert(FEEDBACK), [_event("hangs")])
    time.sleep(1.0)
    with pytest.raises(sa.exc.DBAPIError, match="idle-in-transaction timeout"):
        hanging.commit()
    with pytest.raises(sa.exc.OperationalError, match="statement timeout"), database.engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(2)")
    assert database.events_after(0, 5) == []
    assert OVERLAP["postgresql"] > 6 * LONGEST
    database.close()


def test_many_first_writers_make_the_tables_once(postgres: str) -> None:
    """Two that made them at once had an IntegrityError, which counted as a refused row."""
    errors: list[Exception] = []

    def write(name: str, ready: threading.Barrier) -> None:
        own = Database(postgres)
        with own.engine.connect():
            ready.wait(30)
        try:
            own.write("event", [_event(name)])
        except Exception as error:
            errors.append(error)
        own.close()

    database = Database(postgres)
    for _ in range(5):
        META.drop_all(database.engine)
        ready = threading.Barrier(8)
        threads = [threading.Thread(target=write, args=(str(number), ready)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(list(database.read("event"))) == 8
    database.close()


def test_who_is_forgotten_while_a_row_of_theirs_is_about_to_be_committed(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer has looked for forgotten users and found none; its row is not to be seen yet."""
    looked, forgetting = threading.Event(), threading.Event()
    take_back = storage._take_back

    def slow(*given: Any) -> Any:
        found = take_back(*given)
        looked.set()
        forgetting.wait(30)
        time.sleep(0.5)
        return found

    database.write("event", [])
    monkeypatch.setattr(storage, "_take_back", slow)
    own = Database(url)
    writer = threading.Thread(target=own.write, args=("event", [_event("a", user_id="gone", ts=1.0)]))
    writer.start()
    assert looked.wait(30)
    forgetting.set()
    n_deleted = privacy.forget_in_database(database, "gone")
    writer.join()
    own.close()
    assert n_deleted == {"event": 1, "impression": 0}
    assert list(database.read("event")) == []


def test_what_is_forgotten_is_not_written_by_a_replica_that_has_it_in_its_queue(database: Database, url: str) -> None:
    """Whatever the moment: writers insert old rows of the user without a pause while they are forgotten."""
    database.write("event", [_event("other", user_id="other")])
    stop = threading.Event()
    written: list[Written] = []

    def write(name: str) -> None:
        own = Database(url, longest=LONGEST)  # as a replica does
        number = 0
        while not stop.is_set():
            number += 1
            rows = [_event(f"{name}-{number}-{n}", user_id="gone", ts=1.0) for n in range(3)]
            lists = [{**shown(f"{name}-{number}", "gone"), "ts": 1.0}]
            try:
                written.extend([own.write("event", rows), own.write("impression", lists)])
            except sa.exc.OperationalError:  # SQLite is locked
                time.sleep(0.001)
        own.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8):
            wait_for(lambda: sum(one.new + one.forgotten for one in written) > 50, "writers at work", 60)
            privacy.forget_in_database(database, "gone")
            rows = privacy.rows_in_database(database, "gone")
            assert rows == {"event": [], "impression": []}
            written.clear()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert privacy.rows_in_database(database, "gone") == {"event": [], "impression": []}
    assert [row["event_id"] for row in database.read("event")] == ["other"]
    database.write("event", [_event("back", user_id="gone", ts=time.time() + 61)])  # the person came back
    assert len(privacy.rows_in_database(database, "gone")["event"]) == 1


def test_old_rows_are_deleted_by_two_at_once(database: Database, url: str) -> None:
    old = [_event(str(number), ts=time.time() - 8 * 86400) for number in range(3000)]
    database.write("event", [*old, _event("young", ts=time.time())])
    database.write("impression", [{**shown(str(number), "u"), "ts": old[0]["ts"]} for number in range(3000)])

    def clean() -> None:
        own = Database(url)
        retention = Retention(own, Path("/nonexistent"), 7.0)
        for _ in range(200):
            try:
                retention.step()
            except sa.exc.OperationalError:
                retention._next = 0.0
        own.close()

    threads = [threading.Thread(target=clean) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["event_id"] for row in database.read("event")] == ["young"]
    assert list(database.read("impression")) == []


def test_tables_of_an_earlier_version_are_moved_away_as_the_message_says(postgres: str) -> None:
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql(OLD.replace("FLOAT", "DOUBLE PRECISION"))
        connection.exec_driver_sql("CREATE INDEX ix_feedback_ts ON feedback (ts)")
    database = Database(postgres)
    with pytest.raises(OldTables, match="another version made it") as refused:
        database.write("event", [_event("a")])
    with pytest.raises(OldTables):
        judge_split(database, 0.1)
    fix = str(refused.value).partition("move its tables away: ")[2].rpartition(";")[0]
    with engine.begin() as connection:
        connection.exec_driver_sql(fix)
    assert database.write("event", [_event("a")]) == Written(1, 0, 0)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT event_id FROM old.feedback").scalars().all() == ["before"]
    engine.dispose()
    database.close()


@pytest.mark.parametrize("when", ["reading", "written"])
def test_who_is_forgotten_during_an_export_is_not_in_it(
    database: Database, url: str, tmp_path: Path, when: str
) -> None:
    """PostgreSQL deletes what a reader still sees."""
    database.write("event", [_event("gone", user_id="gone"), _event("stays")])
    file = tmp_path / "out" / "new.csv"
    export = child_of(EXPORTS_SLOWLY, url, str(file), when)
    later = threading.Timer(2, go_on, [export])
    later.start()
    assert privacy.forget_in_database(database, "gone")["event"] == 1
    found = privacy.in_exports(database, "gone", forget=True)
    later.join()
    assert export.communicate(timeout=60)[0] == "2\n"
    assert [(one.path, len(one.rows), one.problem) for one in found] == [(str(file), 1, "")]
    assert "gone" not in file.read_text()
