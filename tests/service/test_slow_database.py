"""PostgreSQL that is frozen, locked or slow: it is noticed in seconds, and what was accepted is written."""

from __future__ import annotations

import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recsys_lab.serving.feedback import Feedback
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.retention import Retention
from recsys_lab.serving.spool import Spool
from recsys_lab.serving.storage import LONGEST, Database
from tests.judgement.traffic import done
from tests.service.conftest import Deployment
from tests.service.parts import Postgres, ask, metric, wait_for

pytestmark = pytest.mark.service


def _events(deployment: Deployment, n: int) -> list[dict[str, str]]:
    item = deployment.items[0]
    return [
        {"event_id": uuid.uuid4().hex, "user_id": deployment.users[0], "item_id": item, "event": "view"}
        for _ in range(n)
    ]


def _ids(events: list[dict[str, str]]) -> set[str]:
    return {one["event_id"] for one in events}


def _rows(n: int) -> list[dict[str, Any]]:
    return [{**done(None, "u", "5"), "event_id": uuid.uuid4().hex} for _ in range(n)]


@contextmanager
def _feedback(url: str, folder: Path) -> Iterator[Feedback]:
    database, spool = Database(url, longest=LONGEST), Spool(folder / "spool")
    feedback = Feedback(database, 10_000, spool, Retention(database, spool.folder, 0), Monitoring())
    feedback.start()
    try:
        yield feedback
    finally:
        feedback.close(0.5)


def _value(feedback: Feedback, name: str) -> float:
    found = feedback.monitoring.registry.get_sample_value(name)
    assert found is not None
    return found


def test_a_frozen_server_is_noticed_and_everything_accepted_is_written(
    deployment: Deployment, another: Callable[..., Any]
) -> None:
    replica, url = another()
    before = _events(deployment, 5)
    assert ask(f"{url}/v1/feedback", before).status == 202
    wait_for(lambda: _ids(before) <= deployment.stored_ids(), "written before")
    wait_for(lambda: metric(replica.url, "database_up") == 1, "the database is used")
    kept: list[dict[str, str]] = []
    with deployment.database.frozen():
        frozen = time.time()
        while metric(replica.url, "database_up") == 1:
            assert time.time() < frozen + 5, "5 s, and nobody noticed"
            kept += (more := _events(deployment, 3))
            assert ask(f"{url}/v1/feedback", more).status == 202
            assert ask(f"{url}/v1/users/{deployment.users[0]}/recommendations").status == 200
            time.sleep(0.1)
        assert metric(replica.url, "database_last_write_timestamp") < frozen + 1
        wait_for(lambda: any("did not answer" in line["message"] for line in replica.lines()), "a line in the log", 5)
        time.sleep(6)
        assert metric(replica.url, "database_up") == 0
        assert metric(replica.url, 'feedback_queue{kind="event"}') >= len(kept)
    wait_for(lambda: _ids(kept) <= deployment.stored_ids(), "written afterwards", 20)
    wait_for(lambda: metric(replica.url, "database_up") == 1, "the database is used again", 20)
    assert metric(replica.url, "database_last_write_timestamp") > frozen
    assert metric(replica.url, 'feedback_dropped_total{kind="event"}') == 0


def test_an_end_while_the_server_is_frozen_keeps_what_waits(
    deployment: Deployment, another: Callable[..., Any]
) -> None:
    replica, url = another()
    wait_for(lambda: metric(replica.url, "database_up") == 1, "the database is used")
    events = _events(deployment, 300)
    with deployment.database.frozen():
        assert ask(f"{url}/v1/feedback", events[:100]).status == 202
        time.sleep(0.5)  # these are on their way
        assert ask(f"{url}/v1/feedback", events[100:]).status == 202
        replica.end(signal.SIGTERM)
        kept = [line for file in replica.spool.glob("*.jsonl") for line in file.read_text().splitlines()]
        assert len([line for line in kept if line.startswith('["event"')]) == 300
    replica.start()
    wait_for(lambda: _ids(events) <= deployment.stored_ids(), "written by the next process")
    wait_for(lambda: not list(replica.spool.iterdir()), "the files are gone")


@pytest.mark.parametrize("moment", ["idle", "writing", "from the start"])
def test_the_end_takes_no_longer_than_it_may(server: Postgres, postgres: str, tmp_path: Path, moment: str) -> None:
    if moment == "from the start":
        Database(postgres).write("event", [])
        with server.frozen(), _feedback(postgres, tmp_path) as feedback:
            feedback.add("event", _rows(700))
            _ends_in_time(feedback)
        return
    with _feedback(postgres, tmp_path) as feedback:
        wait_for(lambda: _value(feedback, "database_up") == 1, "the database is used")
        with server.frozen():
            feedback.add("event", _rows(700))
            if moment == "writing":
                time.sleep(1.0)
            _ends_in_time(feedback)


def _ends_in_time(feedback: Feedback) -> None:
    began = time.monotonic()
    assert feedback.close(seconds=5.0) == 0
    assert time.monotonic() - began < 5.0
    (file,) = feedback.spool.folder.glob("*.jsonl")
    assert len(file.read_bytes().splitlines()) == 700


def test_a_locked_table_is_noticed_by_the_server_itself(postgres: str, tmp_path: Path) -> None:
    with _feedback(postgres, tmp_path) as feedback:
        wait_for(lambda: _value(feedback, "database_up") == 1, "the database is used")
        other = sa.create_engine(postgres)
        with other.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE feedback IN ACCESS EXCLUSIVE MODE")
            feedback.add("event", _rows(20))
            wait_for(lambda: _value(feedback, "database_up") == 0, "the lock is noticed", 5)
            time.sleep(1.0)
        wait_for(lambda: _value(feedback, "database_up") == 1, "the database is used again", 20)
        with other.connect() as connection:
            waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            assert connection.exec_driver_sql(f"SELECT count(*) {waiting}").scalar() == 0, "a query is left behind"
        assert len(list(Database(postgres).read("event"))) == 20
        other.dispose()


def test_a_slow_database_takes_a_few_rows_at_a_time(postgres: str, tmp_path: Path) -> None:
    """A whole batch would take 5 s, and no try would ever succeed."""
    Database(postgres).write("event", [])
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$"
        )
        connection.exec_driver_sql("CREATE TRIGGER slow BEFORE INSERT ON feedback FOR EACH ROW EXECUTE FUNCTION slow()")
    with _feedback(postgres, tmp_path) as feedback:
        feedback.add("event", _rows(500))
        wait_for(lambda: len(Database(postgres).events_after(0, 501)) == 500, "all are written", 40)
    engine.dispose()


def test_a_follower_does_not_hang(server: Postgres, postgres: str) -> None:
    database = Database(postgres, longest=LONGEST)
    database.write("event", _rows(3))
    assert len(database.events_after(0, 10)) == 3
    ended: list[float] = []

    def look() -> None:
        began = time.monotonic()
        with pytest.raises(sa.exc.OperationalError):
            database.events_after(0, 10)
        ended.append(time.monotonic() - began)

    with server.frozen():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(10)
    assert ended
    assert ended[0] < LONGEST + 2
    assert len(database.events_after(0, 10)) == 3
    database.close()
