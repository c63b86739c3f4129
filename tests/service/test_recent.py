"""Feedback acts on the next list behind two replicas: wherever it was sent, both follow it within seconds."""

from __future__ import annotations

import signal
import time
import uuid
from typing import Any

import pytest

from tests.service.conftest import Deployment
from tests.service.parts import Replica, ask, fetch, wait_for

pytestmark = pytest.mark.service
SECONDS = (
    5.0  # within which another replica follows: the writer waits .1 s for more rows, the reader looks every second
)


def _say(url: str, user: str, event: str, items: list[str]) -> None:
    rows = [{"event_id": uuid.uuid4().hex, "user_id": user, "item_id": item, "event": event} for item in items]
    assert ask(f"{url}/v1/feedback", rows).status == 202


def _list(url: str, user: str) -> tuple[str, list[str]]:
    found: dict[str, Any] = fetch(f"{url}/v1/users/{user}/recommendations?k=10&model=champion")
    return found["source"], [one["item_id"] for one in found["items"]]


def _both(deployment: Deployment, user: str) -> list[tuple[str, list[str]]]:
    return [_list(one.url, user) for one in deployment.replicas]


def test_five_dislikes_change_the_list_of_every_replica(deployment: Deployment) -> None:
    deployment.promote(deployment.versions[0])
    user = deployment.users[40]
    _, before = _list(deployment.url, user)
    _say(deployment.url, user, "dislike", before[:5])
    began = time.monotonic()
    wait_for(lambda: all(one[1][:5] == before[5:] for one in _both(deployment, user)), "both replicas", SECONDS)
    print(f"\nboth after {time.monotonic() - began:.1f} s")
    lists = {tuple(_list(deployment.url, user)[1]) for _ in range(20)}
    assert len(lists) == 1, "whoever answers"
    assert not set(lists.pop()) & set(before[:5])
    _say(deployment.url, user, "retract", before[:5])
    wait_for(lambda: all(one[1] == before for one in _both(deployment, user)), "taken back", SECONDS)


def test_a_new_user_with_five_likes_is_served_by_them_and_a_restart_remembers(deployment: Deployment) -> None:
    deployment.promote(deployment.versions[0])
    user = f"new-{uuid.uuid4().hex}"
    source, popular = _list(deployment.url, user)
    assert source == "popularity"
    _say(deployment.url, user, "like", popular[:5])
    wait_for(lambda: all(one[0] == "fold_in" for one in _both(deployment, user)), "both replicas", SECONDS)
    first, second = _both(deployment, user)
    assert first == second
    assert not set(first[1]) & set(popular[:5])
    one = deployment.replicas[0]
    one.end(signal.SIGKILL)
    one.start()
    deployment.wait_until_both_answer()
    wait_for(lambda: _list(one.url, user) == first, "the replica that was killed", SECONDS)


def test_a_frozen_database_holds_up_no_list_and_the_replica_that_was_told_acts(deployment: Deployment) -> None:
    user, (told, other) = deployment.users[41], deployment.replicas
    before = _list(told.url, user)[1]
    with deployment.database.frozen(), deployment.load(at_least=300) as load:
        _say(told.url, user, "dislike", before[:5])
        assert not set(_list(told.url, user)[1]) & set(before[:5]), "at once"
        time.sleep(6)  # past every bound
        assert not set(_list(told.url, user)[1]) & set(before[:5])
        assert _list(other.url, user)[1] == before
    assert load.failed == []
    wait_for(lambda: not set(_list(other.url, user)[1]) & set(before[:5]), "the other one, after the thaw", 20)
    _say(told.url, user, "retract", before[:5])
    wait_for(lambda: _shown(told, user) == _shown(other, user) == before, "taken back", 20)


def _shown(replica: Replica, user: str) -> list[str]:
    return _list(replica.url, user)[1]
