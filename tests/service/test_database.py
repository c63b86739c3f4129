"""PostgreSQL ends and comes back: lists go on, and what was accepted is written, once."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from recsys_lab.serving.storage import Database
from tests.service.conftest import Deployment
from tests.service.parts import ask, metric, wait_for

pytestmark = pytest.mark.service


@contextmanager
def _outage(deployment: Deployment) -> Iterator[None]:
    """No database inside, as after a crash; it is back afterwards."""
    deployment.database.end(signal.SIGQUIT)  # an immediate end
    try:
        yield
    finally:
        deployment.database.start()
        wait_for(deployment.database.is_up, "PostgreSQL")


def _events(deployment: Deployment, n: int) -> list[dict[str, str]]:
    return [
        {"event_id": uuid.uuid4().hex, "user_id": deployment.users[0], "item_id": deployment.items[k], "event": "view"}
        for k in range(n)
    ]


def _ids(events: list[dict[str, str]]) -> set[str]:
    return {one["event_id"] for one in events}


def _repeated(deployment: Deployment) -> float:
    return sum(metric(one.url, 'feedback_repeated_total{kind="event"}') for one in deployment.replicas)


def test_an_outage_loses_no_accepted_event(deployment: Deployment) -> None:
    with deployment.load() as load:
        load.wait(200)
        with _outage(deployment):
            before = len(load.accepted)
            load.wait(800)
            assert not deployment.database.is_up()
            assert len(load.accepted) > before  # accepted, while there is no database
    assert load.failed == []
    wait_for(lambda: load.accepted <= deployment.stored_ids(), "all accepted events stored")


def test_a_full_queue_refuses_feedback_lists_go_on_and_what_waits_is_written(
    deployment: Deployment, another: Callable[..., Any]
) -> None:
    replica, url = another(queue_size="50")
    kept, refused = _events(deployment, 40), _events(deployment, 20)
    with _outage(deployment):
        assert ask(f"{url}/v1/feedback", kept).status == 202
        got = ask(f"{url}/v1/feedback", refused)  # 40 + 20 > 50: none of them
        assert (got.status, got.headers["retry-after"]) == (503, "5")
        assert got.json["detail"].startswith("the queue for the database is full")
        for user in deployment.users[:60]:  # more impressions than the queue takes
            assert ask(f"{url}/v1/users/{user}/recommendations").status == 200
        assert metric(replica.url, 'feedback_queue{kind="event"}') == 40
        wait_for(lambda: metric(replica.url, "database_up") == 0, "the outage is noticed")
    wait_for(lambda: _ids(kept) <= deployment.stored_ids(), "drained")
    assert not _ids(refused) & deployment.stored_ids()
    wait_for(lambda: metric(replica.url, "database_up") == 1, "the database is used again")
    assert ask(f"{url}/v1/feedback", refused).status == 202  # sent again, as it was told
    wait_for(lambda: _ids(refused) <= deployment.stored_ids(), "written")


def test_an_end_during_an_outage_keeps_what_waits_for_the_next_start(
    deployment: Deployment, another: Callable[..., Any]
) -> None:
    replica, url = another(queue_size="500")
    events = _events(deployment, 100)
    with _outage(deployment):
        assert ask(f"{url}/v1/feedback", events).status == 202
        replica.end(signal.SIGTERM)
        spool = list((replica.log.parent / "bundles" / "spool").glob("*.jsonl"))
        assert len(spool) == 1
        assert len(spool[0].read_text().splitlines()) == 100
    assert not _ids(events) & deployment.stored_ids()
    replica.start()
    wait_for(lambda: _ids(events) <= deployment.stored_ids(), "written by the next process")
    wait_for(lambda: not spool[0].exists(), "the file is gone")


def test_an_event_that_comes_again_is_one_event(deployment: Deployment) -> None:
    """As after a retry of the proxy, or of a client that did not get the answer."""
    again, new = _events(deployment, 5), _events(deployment, 5)
    before = _repeated(deployment)
    for one in (*deployment.replicas, *deployment.replicas):
        assert ask(f"{one.url}/v1/feedback", again).status == 202
    wait_for(lambda: _ids(again) <= deployment.stored_ids(), "written")
    changed = [{**one, "event": "dislike"} for one in again]
    assert ask(f"{deployment.url}/v1/feedback", [*changed, *new, *new]).status == 202  # and twice in one request
    wait_for(lambda: _ids(new) <= deployment.stored_ids(), "written")
    wait_for(lambda: not any(metric(one.url, 'feedback_queue{kind="event"}') for one in deployment.replicas), "empty")
    found = [row for row in deployment.stored() if row["event_id"] in _ids(again) | _ids(new)]
    assert len(found) == 10
    assert {row["event"] for row in found} == {"view"}  # the first word stands
    for one in deployment.replicas:
        assert metric(one.url, 'feedback_dropped_total{kind="event"}') == 0
    # the first five came five times, the others twice
    wait_for(lambda: _repeated(deployment) - before == 4 * 5 + 5, "counted")


def test_one_header_of_five_users_makes_five_lists(deployment: Deployment) -> None:
    users = deployment.users[:5]
    lists = [
        ask(f"{deployment.url}/v1/users/{user}/recommendations", X_Request_ID="the-same-for-all").json for user in users
    ]
    ids = {one["list_id"] for one in lists}
    assert len(ids) == 5

    def noted() -> dict[str, str]:
        database = Database(deployment.database.url)
        rows = {row["list_id"]: row["user_id"] for row in database.read("impression") if row["list_id"] in ids}
        database.close()
        return rows

    wait_for(lambda: noted() == {one["list_id"]: user for one, user in zip(lists, users, strict=True)}, "five lists")
