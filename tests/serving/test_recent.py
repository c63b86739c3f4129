"""What users did lately acts on their next list: at once here, within seconds from elsewhere, and within bounds."""

from __future__ import annotations

import gc
import itertools
import json
import sys
import time
import tracemalloc
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.cli import main
from recsys_lab.serving.export import export_feedback
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.recent import BYTES, MOST_OF_ONE, NOTHING, Acts, Follow, Recent
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.settings import MAX_EVENTS
from recsys_lab.serving.storage import Database, event_row, hash_of
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, stored, wait_until
from tests.serving.processes import Process, served
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


def test_an_event_that_a_client_sends_again_does_not_act_again(
    registry: Registry, start: Start, tmp_path: Path
) -> None:
    """After a retraction, and on another replica: a retry is enough."""
    registry.add(bundle_of(), "champion")
    first, path = start(), f"/v1/users/{USER}/feedback"
    item = _ids(_list(first, USER))[0]
    said = [{"event_id": event, "user_id": USER, "item_id": item, "event": event} for event in ("like", "retract")]
    for one in said:
        assert first.post("/v1/feedback", json=[one]).status_code == 202
    assert first.post("/v1/feedback", json=said[:1]).status_code == 202
    assert first.get(path).json()["items"] == []
    assert _ids(_list(first, USER))[0] == item
    wait_until(lambda: metric(first, 'feedback_repeated_total{kind="event"}') == 1)
    second = start()
    wait_until(lambda: metric(second, "recent_items") == 1)
    assert second.post("/v1/feedback", json=said[:1]).status_code == 202
    assert second.get(path).json()["items"] == []
    other = {**said[0], "user_id": OTHER}  # an id is one of its user
    assert second.post("/v1/feedback", json=[other]).status_code == 202
    assert [one["item_id"] for one in second.get(f"/v1/users/{OTHER}/feedback").json()["items"]] == [item]


def test_an_event_sent_to_two_replicas_has_the_time_that_the_database_has() -> None:
    like = {"event_id": "1", "user_id": "u", "item_id": "x", "event": "like"}
    retract = {**like, "event_id": "2", "event": "retract"}
    recent = Recent(10)
    recent.take([event_row(like, 3.0)])  # sent again, here, before this replica has read the others' events
    recent.note([event_row(like, 1.0), event_row(retract, 2.0)])
    assert recent.of("u").said == {}
    recent = Recent(10)
    recent.take([event_row(like, 1.0), event_row(retract, 2.0)])
    recent.note([event_row(like, 3.0)])  # another replica's came into the database first
    assert recent.of("u").said == {"x": ("like", None)}


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab"), st.sampled_from("xyz"), KINDS), max_size=60))
def test_of_events_with_one_id_the_first_acts(events: list[tuple[int, str, str, str]]) -> None:
    names = ("event_id", "user_id", "item_id", "event")
    rows = [event_row(dict(zip(names, (str(one[0]), *one[1:]))), float(at)) for at, one in enumerate(events)]
    first = {(row["user_id"], row["event_id"]): row for row in reversed(rows)}
    sent, once = Recent(100), Recent(100)
    for row in rows:
        sent.take([row])
    once.note(sorted(first.values(), key=lambda row: float(row["ts"])))
    assert [sent.of(user) for user in "ab"] == [once.of(user) for user in "ab"]


def test_a_whole_request_that_is_sent_again_does_not_act_again() -> None:
    recent = Recent(1000)
    kinds = ("like", "dislike", "retract", "click")
    rows = [_event("u", str(n % 7), kinds[n % 4], at=float(n)) for n in range(MAX_EVENTS)]
    recent.take(rows)
    before = recent.of("u")
    recent.take([{**row, "ts": row["ts"] + 5000} for row in rows])
    assert recent.of("u") == before


WIDE = "\U0001f600" * 190  # four bytes a character


def _traced(recent: Recent, n: int, items_of_one: int, wide: str = "", events_of_one: int = 1) -> tuple[float, float]:
    """Bytes that pairs take, and what is counted."""
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(n * events_of_one):
            pair = number // events_of_one
            names = (f"e{number}", f"user-{pair // items_of_one}{wide}", f"item-{pair % 3000}{wide}", "like")
            row = dict(zip(("event_id", "user_id", "item_id", "event"), names))
            recent.note([event_row({**row, "list_id": f"{pair:032x}{wide}"}, 1e9 + number)])
        gc.collect()
        return tracemalloc.get_traced_memory()[0], recent.n_bytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("items_of_one", "wide", "events_of_one"),
    [(1, "", 1), (5, "", 1), (100, "", 1), (1, WIDE, 1), (7, WIDE, 1), (5, "", 5)],
)
def test_bytes_are_counted_as_they_are(items_of_one: int, wide: str, events_of_one: int) -> None:
    found, counted = _traced(Recent(1_000_000), 20_000 if not wide else 5000, items_of_one, wide, events_of_one)
    assert 0.8 < counted / found < 1.25


def test_what_long_ids_take_is_bounded() -> None:
    recent = Recent(10_000)
    found, counted = _traced(recent, 20_000, 1, WIDE)
    assert counted <= 10_000 * BYTES
    assert found < 1.25 * 10_000 * BYTES  # 30 MB without a bound
    assert 1000 < len(recent) < 2000
    assert len(recent.of(f"user-19999{WIDE}").taken) == 1
    small = Recent(3)
    small.note([_event("u", f"{n}{WIDE}", "like", at=float(n)) for n in range(9)])
    assert [item.removesuffix(WIDE) for item in small.of("u").taken] == ["8", "7", "6"], "one user is kept"
    small.note([_event("v", "x", "like")])
    assert small.of("u") == NOTHING


def test_reading_back_takes_no_more_than_what_is_remembered(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'feedback.db'}")
    for first in range(0, 20_000, 1000):
        database.write("event", [_event(f"{n}{WIDE}", f"{n}{WIDE}", "like") for n in range(first, first + 1000)])
    recent = Recent(20_000)
    follow = Follow(database, recent, Monitoring())
    tracemalloc.start()
    try:
        follow.look()
        assert tracemalloc.get_traced_memory()[1] < 20_000 * BYTES + 12_000_000
    finally:
        tracemalloc.stop()
    assert 2000 < len(recent) < 5000
    database.close()


@pytest.mark.cli
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of a process is read from /proc")
def test_a_replica_stays_small_whatever_ids_it_is_sent(tmp_path: Path) -> None:
    """Each body has 245,000 bytes; without the bound this took 104 MB."""
    with served(bundle_of(), tmp_path, RECENT_ITEMS="20000", QUEUE_SIZE="1000") as replica:
        before, n_sent = _resident(replica), 0
        while n_sent < 25_000:
            numbers = range(n_sent, n_sent + 100)
            names = ("user_id", "item_id", "list_id")
            rows = [{"event_id": str(n), "event": "like", **dict.fromkeys(names, f"{n}{WIDE}")} for n in numbers]
            body = json.dumps(rows, ensure_ascii=False).encode()
            url = f"http://127.0.0.1:{replica.port}/v1/feedback"
            try:
                urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"}))
                n_sent += 100
            except urllib.error.HTTPError as error:
                if error.code != 503:  # the queue is full
                    raise
                time.sleep(0.05)
        assert _resident(replica) - before < 40


def _resident(replica: Process) -> int:
    """MB of a process that are in memory."""
    lines = Path(f"/proc/{replica.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


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
