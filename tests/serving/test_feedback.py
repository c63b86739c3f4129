"""What people did reaches the database: once each, through outages, and back into an experiment."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from recsys_lab.serving.storage import Database, Kind, Row, Written
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, stored, wait_until

USER = str(bundle_of().user_ids[3])


def _events(*ids: str, event: str = "click", **more: Any) -> list[dict[str, Any]]:
    return [{"event_id": one, "user_id": USER, "item_id": "5", "event": event, **more} for one in ids]


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A database that fails as a lost connection does while ``down`` is true."""
    switch, write = {"down": False}, Database.write

    def maybe(self: Database, *given: Any) -> Written:
        if switch["down"]:
            raise sa.exc.OperationalError("INSERT", {}, Exception("connection refused"))
        return write(self, *given)

    monkeypatch.setattr(Database, "write", maybe)
    monkeypatch.setattr("recsys_lab.serving.feedback.LONGEST_WAIT", 0.2)
    return switch


def test_events_are_written_once(client: TestClient, tmp_path: Path) -> None:
    shown = client.get(f"/v1/users/{USER}/recommendations").json()
    events = _events("a", "b", list_id=shown["list_id"])
    for _ in range(2):
        got = client.post("/v1/feedback", json=events)
        assert (got.status_code, got.json()) == (202, {"accepted": 2})
    wait_until(lambda: metric(client, 'feedback_repeated_total{kind="event"}') == 2)
    assert metric(client, 'feedback_written_total{kind="event"}') == 2
    rows = [{name: row[name] for name in row if name not in ("seq", "ts")} for row in stored(tmp_path)]
    assert rows == events
    assert metric(client, 'feedback_total{event="click"}') == 4
    wait_until(lambda: len(stored(tmp_path, "impressions")) == 1)
    impressions = stored(tmp_path, "impressions")
    assert impressions[0]["list_id"] == shown["list_id"]
    assert json.loads(impressions[0]["item_ids"]) == [one["item_id"] for one in shown["items"]]


def test_rows_that_come_while_a_batch_is_taken_do_not_end_the_writer(client: TestClient) -> None:
    """An iterator over a deque raises when the deque has grown since it was made."""
    feedback = app_of(client).state.feedback
    came: list[threading.Thread] = []

    class Busy(deque[Row]):
        def __iter__(self) -> Iterator[Row]:
            found = super().__iter__()
            if len(came) < 3:
                came.append(threading.Thread(target=feedback.add, args=("event", _rows(f"late{len(came)}"))))
                came[-1].start()
                came[-1].join(0.2)  # it waits for the lock, if there is one
            return found

    feedback.queues["event"] = Busy()
    feedback.add("event", _rows("first"))
    wait_until(lambda: metric(client, 'feedback_written_total{kind="event"}') == 4)
    assert feedback._thread.is_alive()


def _rows(*ids: str) -> list[Row]:
    return [{**event, "list_id": None, "ts": 4e9} for event in _events(*ids)]


def test_a_header_of_many_requests_makes_many_lists(client: TestClient, tmp_path: Path) -> None:
    """Five people behind one client that sends its own request id, and one event id for all of them."""
    users = [str(user) for user in bundle_of().user_ids[:5]]
    header = {"X-Request-ID": "the-same-for-all"}
    lists = [client.get(f"/v1/users/{user}/recommendations", headers=header).json() for user in users]
    lists += [client.post("/v1/recommendations", json={"items": [{"item_id": "5"}]}, headers=header).json()]
    wait_until(lambda: metric(client, 'feedback_written_total{kind="impression"}') == 6)
    rows = {row["list_id"]: row for row in stored(tmp_path, "impressions")}
    assert [rows[one["list_id"]]["user_id"] for one in lists] == [*users, None]
    assert metric(client, 'feedback_repeated_total{kind="impression"}') == 0
    for one in lists[:5]:
        event = {"event_id": "same", "user_id": one["user_id"], "item_id": "5", "event": "view"}
        got = client.post("/v1/feedback", json=[{**event, "list_id": one["list_id"]}], headers=header)
        assert got.status_code == 202
    wait_until(lambda: metric(client, 'feedback_written_total{kind="event"}') == 5)
    assert [row["user_id"] for row in stored(tmp_path)] == users
    assert metric(client, 'feedback_repeated_total{kind="event"}') == 0


def test_the_old_name_of_a_list_is_refused(client: TestClient) -> None:
    got = client.post("/v1/feedback", json=_events("a", request_id="x" * 32))
    assert (got.status_code, got.json()["errors"][0]["path"]) == (422, "body.0.request_id")


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [{"event_id": "a"}],
        _events("a", event="bought"),
        _events(*map(str, range(1001))),
        _events("x" * 201),
        {"event_id": "a"},
        _events("a", ts=5),
    ],
)
def test_events_that_are_not_right(client: TestClient, wrong: Any) -> None:
    got = client.post("/v1/feedback", json=wrong)
    assert got.status_code == 422
    assert got.json()["errors"][0]["path"].startswith("body")


def test_nothing_accepted_is_lost_in_an_outage(client: TestClient, outage: dict[str, bool], tmp_path: Path) -> None:
    outage["down"] = True
    for number in range(20):
        assert client.post("/v1/feedback", json=_events(*(f"{number}-{n}" for n in range(50)))).status_code == 202
        assert client.get(f"/v1/users/{USER}/recommendations").status_code == 200
    wait_until(lambda: metric(client, "database_up") == 0)
    assert metric(client, 'feedback_queue{kind="event"}') == 1000
    assert stored(tmp_path) == []
    outage["down"] = False
    wait_until(lambda: len(stored(tmp_path)) == 1000)
    wait_until(lambda: metric(client, "database_up") == 1)
    assert metric(client, 'feedback_dropped_total{kind="event"}') == 0


def test_a_full_queue_refuses(registry: Registry, start: Start, outage: dict[str, bool], tmp_path: Path) -> None:
    registry.add(bundle_of(), "champion")
    client = start(queue_size=100)
    outage["down"] = True
    assert client.post("/v1/feedback", json=_events(*(f"a{n}" for n in range(60)))).status_code == 202
    refused = client.post("/v1/feedback", json=_events(*(f"b{n}" for n in range(60))))
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    assert refused.headers["content-type"] == "application/problem+json"
    assert metric(client, 'feedback_total{event="click"}') == 60
    for _ in range(110):
        assert client.get(f"/v1/users/{USER}/recommendations?k=1").status_code == 200
    assert metric(client, 'feedback_dropped_total{kind="impression"}') == 10
    outage["down"] = False
    wait_until(lambda: len(stored(tmp_path)) == 60)
    assert client.post("/v1/feedback", json=_events(*(f"b{n}" for n in range(60)))).status_code == 202


def test_the_end_writes_what_waits(registry: Registry, start: Start, tmp_path: Path) -> None:
    registry.add(bundle_of(), "champion")
    client = start()
    client.post("/v1/feedback", json=_events(*map(str, range(700))))
    app_of(client).state.feedback.close()
    assert len(stored(tmp_path)) == 700


def test_what_no_database_took_waits_in_a_file(
    registry: Registry, start: Start, outage: dict[str, bool], tmp_path: Path
) -> None:
    registry.add(bundle_of(), "champion")
    outage["down"] = True
    client = start()
    client.post("/v1/feedback", json=_events("kept"))
    app_of(client).state.feedback.close(seconds=0.3)
    spool = tmp_path / "bundles" / "spool"
    assert len(list(spool.glob("*.jsonl"))) == 1
    outage["down"] = False
    start()
    wait_until(lambda: [row["event_id"] for row in stored(tmp_path)] == ["kept"])
    wait_until(lambda: not list(spool.iterdir()))


def test_a_row_the_database_refuses_does_not_hold_up_the_others(client: TestClient, tmp_path: Path) -> None:
    feedback = app_of(client).state.feedback
    good = [{**one, "ts": 1.0, "list_id": None} for one in _events("a", "b", "c", "d")]
    good[2]["user_id"] = None  # NOT NULL
    assert feedback.add("event", good)
    wait_until(lambda: metric(client, 'feedback_dropped_total{kind="event"}') == 1)
    wait_until(lambda: [row["event_id"] for row in stored(tmp_path)] == ["a", "b", "d"])


def test_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"right would be sqlite:///\.\.\. or postgresql"):
        Database("mysql://localhost/x")


def test_rows_that_come_one_by_one_are_written_together(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write = Database.write

    def counted(self: Database, kind: Kind, rows: Sequence[Row]) -> Written:
        sizes.append(len(rows))
        return write(self, kind, rows)

    monkeypatch.setattr(Database, "write", counted)
    feedback = app_of(client).state.feedback
    for n in range(100):
        event = {"event_id": str(n), "user_id": USER, "item_id": "5", "event": "view", "list_id": None, "ts": n}
        assert feedback.add("event", [event])
        threading.Event().wait(0.005)  # slower than a transaction, so that each would find one row
    wait_until(lambda: len(stored(tmp_path)) == 100)
    assert sum(sizes) == 100
    assert len([size for size in sizes if size]) <= 25
