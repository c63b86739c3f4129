"""What users did lately acts on their next list: at once here, within seconds from elsewhere, and within bounds."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.cli import main
from recsys_lab.serving.export import export_feedback
from recsys_lab.serving.recent import MOST_OF_ONE, NOTHING, Acts, Recent
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.storage import Database, event_row, hash_of
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, stored, wait_until
from tests.serving.test_storage import BAD, insert_bad

BUNDLE = bundle_of()
USER, OTHER = str(BUNDLE.user_ids[3]), str(BUNDLE.user_ids[4])
COUNT = itertools.count()


def _event(user: str, item: str, event: str, at: float = 1.0) -> dict[str, Any]:
    return event_row({"event_id": f"e{next(COUNT)}", "user_id": user, "item_id": item, "event": event}, at)


def _say(client: TestClient, user: str, event: str, *items: str) -> None:
    rows = [{"event_id": f"e{next(COUNT)}", "user_id": user, "item_id": item, "event": event} for item in items]
    assert client.post("/v1/feedback", json=rows).status_code == 202


def _list(client: TestClient, user: str, **query: Any) -> dict[str, Any]:
    got = client.get(f"/v1/users/{user}/recommendations", params={"k": 10, **query})
    assert got.status_code == 200, got.text
    found: dict[str, Any] = got.json()
    return found


def _ids(found: dict[str, Any]) -> list[str]:
    return [one["item_id"] for one in found["items"]]


def test_disliked_items_leave_the_next_list_and_the_rest_moves_up(client: TestClient) -> None:
    before = _list(client, USER, k=15)
    gone, kept = _ids(before)[:5], _ids(before)[5:]
    _say(client, USER, "dislike", *gone)
    after = _list(client, USER, k=10)
    assert _ids(after) == kept
    assert (after["source"], after["recent_items"], before["recent_items"]) == ("model", 5, 0)
    assert _ids(_list(client, OTHER)) == _ids(_list(client, OTHER, model="champion")), "nobody else's"
    seen_too = _ids(_list(client, USER, k=100, exclude_seen="false"))
    assert not set(seen_too) & set(gone), "who wants what they have seen wants nothing that they dislike"


@pytest.mark.parametrize("event", ["like", "click"])
def test_what_a_user_takes_is_folded_into_their_list(client: TestClient, event: str) -> None:
    before = _ids(_list(client, USER))
    far = [str(item) for item in BUNDLE.item_ids if str(item) not in set(_ids(_list(client, USER, k=100)))][-3:]
    served = Recommender(BUNDLE)
    new = [str(item) for item in served.new_to(USER, far)]
    assert new
    _say(client, USER, event, *new)
    after = _list(client, USER)
    expected = served.fold_in(dict.fromkeys(new), 10, user_id=USER)
    assert _ids(after) == [str(one.item_id) for one in expected.items] != before
    assert after["source"] == "fold_in"
    assert not set(_ids(after)) & set(new)
    reasons = {reason["item_id"] for one in _list(client, USER, explain=1, k=100)["items"] for reason in one["because"]}
    assert reasons & set(new), "what was taken speaks for other items"


def test_a_new_user_gets_a_list_of_their_own_after_a_like(client: TestClient) -> None:
    popular = _list(client, "nobody yet")
    assert popular["source"] == "popularity"
    liked = _ids(popular)[:5]
    _say(client, "nobody yet", "like", *liked)
    own = _list(client, "nobody yet")
    assert own["source"] == "fold_in"
    assert not set(_ids(own)) & set(liked)
    assert _ids(own) == [str(one.item_id) for one in Recommender(BUNDLE).fold_in(dict.fromkeys(liked), 10).items]


def test_a_model_that_cannot_fold_in_leaves_out_what_was_done(registry: Registry, start: Start) -> None:
    registry.add(bundle_of("BPR"), "champion")
    client = start()
    before = _ids(_list(client, USER, k=14))
    for event, item in zip(("like", "click", "view", "dislike"), before):
        _say(client, USER, event, item)
    after = _list(client, USER)
    assert _ids(after) == before[4:]
    assert after["source"] == "model"
    popular = _ids(_list(client, "nobody yet", k=12))
    _say(client, "nobody yet", "like", *popular[:2])
    assert _ids(_list(client, "nobody yet")) == popular[2:]


def test_what_was_said_can_be_taken_back_and_changed(client: TestClient) -> None:
    before = _list(client, USER)
    item = _ids(before)[0]
    path = f"/v1/users/{USER}/feedback"
    assert client.get(path).json() == {"items": []}
    _say(client, USER, "dislike", item)
    title = before["items"][0]["title"]
    assert client.get(path).json() == {
        "items": [{"item_id": item, "title": title, "event": "dislike", "list_id": None}]
    }
    _say(client, USER, "retract", item)
    again = _list(client, USER)
    assert (_ids(again), again["recent_items"]) == (_ids(before), 0)
    _say(client, USER, "like", item, _ids(before)[1])
    assert [one["event"] for one in client.get(path).json()["items"]] == ["like", "like"]
    assert [one["item_id"] for one in client.get(path).json()["items"]] == [_ids(before)[1], item]
    _say(client, USER, "dislike", item)
    assert {one["item_id"]: one["event"] for one in client.get(path).json()["items"]}[item] == "dislike"
    assert client.get("/v1/users/nobody/feedback").json() == {"items": []}


def test_a_fold_in_for_a_user_takes_what_they_did_too(client: TestClient) -> None:
    item, disliked = _ids(_list(client, USER))[:2]
    body = {"items": [{"item_id": item}], "user_id": USER, "k": 10}
    before = client.post("/v1/recommendations", json=body).json()
    assert disliked in _ids(before)
    _say(client, USER, "dislike", disliked)
    after = client.post("/v1/recommendations", json=body).json()
    assert disliked not in _ids(after)
    assert after["recent_items"] == 1
    for more in ({}, {"user_id": OTHER}):
        other = client.post("/v1/recommendations", json={**body, "user_id": None, **more}).json()
        assert other["recent_items"] == 0


def test_what_training_knows_already_changes_nothing(client: TestClient) -> None:
    before = _list(client, USER)
    held = client.get(f"/v1/users/{USER}/items").json()["items"][0]["item_id"]
    _say(client, USER, "like", held)
    after = _list(client, USER)
    assert (_ids(after), after["source"]) == (_ids(before), "model"), "their own list, not one folded in"
    _say(client, USER, "like", "no such item")
    assert _ids(_list(client, USER)) == _ids(before)


def test_another_replica_and_the_next_start_know_it(registry: Registry, start: Start, tmp_path: Any) -> None:
    registry.add(bundle_of(), "champion")
    first, second = start(), start()
    liked = _ids(_list(first, "new"))[:3]
    _say(first, "new", "like", *liked)
    own = _ids(_list(first, "new"))
    wait_until(lambda: _list(second, "new")["source"] == "fold_in", 10)
    assert _ids(_list(second, "new")) == own
    third = start()
    wait_until(lambda: _ids(_list(third, "new")) == own, 10)
    assert metric(third, "recent_items") == 3
    assert metric(third, "recent_read_timestamp") > time.time() - 60


def test_a_row_that_is_no_event_does_not_keep_others_from_acting(client: TestClient, tmp_path: Path) -> None:
    """SQLite takes anything, from whoever writes to it by hand."""
    wait_until(lambda: metric(client, "recent_read_timestamp") > 0)
    insert_bad(tmp_path / "feedback.db", *BAD)
    wait_until(lambda: bool(client.get("/v1/users/u/feedback").json()["items"]))
    _say(client, USER, "like", _ids(_list(client, USER))[0])
    read = metric(client, "recent_read_timestamp")
    wait_until(lambda: metric(client, "recent_read_timestamp") > read)  # it goes on reading


def test_a_forgotten_user_is_new_again(
    registry: Registry, start: Start, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(bundle_of(), "champion")
    client = start()
    popular = _ids(_list(client, "gone"))
    _say(client, "gone", "like", *popular[:3])
    _say(client, "stays", "like", *popular[:3])
    database = Database(f"sqlite:///{tmp_path / 'feedback.db'}")
    wait_until(lambda: len(database.events_after(0, 10)) == 6)
    monkeypatch.setenv("RECSYS_LAB_DATABASE_URL", f"sqlite:///{tmp_path / 'feedback.db'}")
    monkeypatch.setenv("RECSYS_LAB_REGISTRY_URI", "http://registry.invalid")
    monkeypatch.setenv("RECSYS_LAB_BUNDLE_DIR", str(tmp_path / "bundles"))
    main(["forget", "gone"])
    wait_until(lambda: _ids(_list(client, "gone")) == popular, 10)
    assert _list(client, "stays")["source"] == "fold_in"
    service, follow = app_of(client).state.service, app_of(client).state.follow
    for ahead, expected in ((20, 0), (70, 1)):  # seconds: what clocks may differ by, and what they may not
        monkeypatch.setattr(service, "clock", lambda ahead=ahead: time.time() + ahead)
        _say(client, "gone", "like", popular[0])
        for _ in range(3):
            follow.look()
        assert _list(client, "gone")["recent_items"] == expected


def test_what_is_said_last_counts_when_the_clock_is_set_back(
    registry: Registry, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(bundle_of(), "champion")
    client, real = start(), time.time
    item = _ids(_list(client, USER))[0]
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    _say(client, USER, "like", item)
    monkeypatch.setattr(time, "time", real)
    _say(client, USER, "dislike", item)
    path = f"/v1/users/{USER}/feedback"
    assert [one["event"] for one in client.get(path).json()["items"]] == ["dislike"]
    body = [
        {"event_id": event, "user_id": USER, "item_id": item, "event": event}
        for event in ("like", "dislike", "retract")
    ]
    assert client.post("/v1/feedback", json=body).status_code == 202
    assert client.get(path).json()["items"] == []
    assert _ids(_list(client, USER))[0] == item
    wait_until(lambda: len(stored(tmp_path)) == 5)
    rows = stored(tmp_path)
    assert [row["event"] for row in rows] == ["like", "dislike", "like", "dislike", "retract"]
    assert len({row["ts"] for row in rows}) == 5
    wait_until(lambda: len(stored(tmp_path, "impressions")) == 2)
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5]
    assert min(row["ts"] for row in stored(tmp_path, "impressions")[1:]) > rows[-1]["ts"]
    with pytest.raises(LookupError, match="no such feedback"):
        export_feedback(f"sqlite:///{tmp_path / 'feedback.db'}", tmp_path / "out.csv")
    second = start()
    wait_until(lambda: metric(second, "recent_read_timestamp") > 0)
    assert second.get(path).json()["items"] == []


def test_it_can_be_switched_off(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start(recent_items=0)
    before = _ids(_list(client, USER))
    _say(client, USER, "dislike", *before[:5])
    assert _ids(_list(client, USER)) == before


def test_a_database_that_is_away_leaves_what_this_replica_was_told(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start(database_url="postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    before = _ids(_list(client, USER))
    _say(client, USER, "dislike", before[0])
    assert _ids(_list(client, USER))[:9] == before[1:]


KINDS = st.sampled_from(["like", "dislike", "retract", "click", "view"])
EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), KINDS), max_size=40)


@given(EVENTS, st.randoms(use_true_random=False))
def test_any_order_and_any_number_of_deliveries_come_to_the_same(
    events: list[tuple[str, str, str]], random: Any
) -> None:
    rows = [_event(*one, at=float(n)) for n, one in enumerate(events)]
    once, often = Recent(1000), Recent(1000)
    once.note(rows)
    mixed = rows * 2
    random.shuffle(mixed)
    for row in mixed:
        often.note([row])
    for user in "abc":
        said: dict[str, str] = {}
        for who, item, event in events:
            if who == user and event in ("like", "dislike"):
                said[item] = event
            elif who == user and event == "retract":
                said.pop(item, None)
        done = {item for who, item, event in events if who == user and event in ("click", "view")}
        clicked = {item for who, item, event in events if who == user and event == "click"}
        for found in (once.of(user), often.of(user)):
            assert {item: event for item, (event, _) in found.said.items()} == said
            assert set(found.disliked) == {item for item, event in said.items() if event == "dislike"}
            assert set(found.taken) == {i for i, event in said.items() if event == "like"} | (clicked - set(said))
            assert set(found.seen) == set(said) | done
    assert len(once) == len(often) == len({(who, item) for who, item, _ in events})


def test_it_is_bounded_and_who_did_something_last_is_kept() -> None:
    recent = Recent(1000)
    for number in range(300):
        recent.note([_event(f"u{number}", str(item), "click") for item in range(10)])
    assert len(recent) == 1000
    assert recent.of("u199") is NOTHING
    assert len(recent.of("u299").taken) == len(recent.of("u200").taken) == 10
    recent.note([_event("one", str(item), "like", at=item) for item in range(500)])
    assert len(recent.of("one").taken) == MOST_OF_ONE
    assert recent.of("one").taken[0] == "499"
    recent.forget({hash_of("one"): 450.0})
    assert recent.of("one").taken == tuple(str(item) for item in range(499, 450, -1))
    recent.forget({hash_of("one"): 1e9})
    assert recent.of("one") == Acts()
    assert len(recent) == sum(len(recent.of(f"u{number}").seen) for number in range(300))


def test_a_hundred_thousand_pairs_take_few_megabytes() -> None:
    tracemalloc.start()
    try:
        recent = Recent(100_000)
        for number in range(40_000):
            recent.note([_event(f"user-{number}", f"item-{number % 3000 + item}", "click") for item in range(5)])
        assert len(recent) == 100_000
        assert tracemalloc.get_traced_memory()[0] < 40_000_000
    finally:
        tracemalloc.stop()
