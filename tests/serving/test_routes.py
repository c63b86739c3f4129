"""The answers of every route, and of every row of the table of cases that needs no other process."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from recsys_lab.serving.middleware import Around
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.settings import MAX_BODY
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric

USER = str(bundle_of().user_ids[3])
ITEM = str(bundle_of().item_ids[5])


def test_a_list(client: TestClient) -> None:
    got = client.get(f"/v1/users/{USER}/recommendations?k=7&explain=true", headers={"X-Request-ID": "from-a-test"})
    assert got.status_code == 200
    body = got.json()
    expected = Recommender(bundle_of()).recommend(USER, 7, explain=True)
    assert expected is not None
    assert [one["item_id"] for one in body["items"]] == [str(one.item_id) for one in expected.items]
    assert [one["score"] for one in body["items"]] == [one.score for one in expected.items]
    assert [[why["item_id"] for why in one["because"]] for one in body["items"]] == [
        [str(item) for item in one.because] for one in expected.items
    ]
    assert body["items"][0]["title"] == expected.items[0].title
    assert body["model"] == {"name": "recommender", "version": "1", "algorithm": "EASE", "role": "champion"}
    assert (body["source"], body["exhausted"], body["user_id"]) == ("model", False, USER)
    assert got.headers["x-request-id"] == "from-a-test"
    assert len(body["list_id"]) == 32


@pytest.mark.parametrize("given", ["short", "a b c d e f g h", "x" * 101, "line%0Abreak<script>"])
def test_a_request_id_that_is_not_sane_is_replaced(client: TestClient, given: str) -> None:
    got = client.get("/healthz", headers={"X-Request-ID": given})
    assert got.headers["x-request-id"] != given
    assert len(got.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/v1/users/{USER}/recommendations?k=0", "query.k"),
        (f"/v1/users/{USER}/recommendations?k=101", "query.k"),
        (f"/v1/users/{USER}/recommendations?k=ten", "query.k"),
        (f"/v1/users/{USER}/recommendations?explain=perhaps", "query.explain"),
        (f"/v1/users/{USER}/recommendations?model=../../etc", "query.model"),
        (f"/v1/users/{USER}/recommendations?K=5", "query.K"),
        (f"/v1/users/{USER}/recommendations?exclude=" + ",".join(map(str, range(501))), "query.exclude"),
        ("/v1/users/" + "x" * 201 + "/recommendations", "path.user_id"),
        ("/v1/users/a%00b/recommendations", "path.user_id"),
        (f"/v1/items/{ITEM}/similar?k=-1", "query.k"),
        ("/v1/items?limit=1000", "query.limit"),
        ("/v1/users?offset=-1", "query.offset"),
        ("/v1/users?" + "&".join(f"x{n}" for n in range(30)), "query"),
        ("/v1/users?" + "&" * 600, "query"),
    ],
)
def test_a_value_that_is_not_right_is_named(client: TestClient, path: str, field: str) -> None:
    got = client.get(path)
    assert got.status_code == 422
    assert got.headers["content-type"] == "application/problem+json"
    assert field in [one["path"] for one in got.json()["errors"]]
    assert got.json()["request_id"] == got.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 100_000, "body"),
        (b'{"items": []}', "body.items"),
        (b'{"items": [{"item_id": ""}]}', "body.items.0.item_id"),
        (b'{"items": [{"item_id": true}]}', "body.items.0.item_id"),
        (b'{"items": [{"item_id": "a\\u0000"}]}', "body.items.0.item_id"),
        (b'{"items": [{"item_id": "1", "rating": 1e300}]}', "body.items.0.rating"),
        (b'{"items": [{"item_id": "1", "rating": NaN}]}', "body.items.0.rating"),
        (b'{"items": [{"item_id": "1"}], "path": "/etc/passwd"}', "body.path"),
        (b"{" + b",".join(b'"%d": 1' % n for n in range(30)) + b"}", "body"),
        (b'{"items": [{"item_id": "1"}, {' + b",".join(b'"%d": 1' % n for n in range(30)) + b"}]}", "body.items.1"),
        (b"[" + b",".join([b"1"] * 50_000) + b"]", "body"),
        (b'{"items": [' + b",".join([b'{"item_id": 1}'] * 501) + b"]}", "body.items"),
    ],
)
def test_a_body_that_is_not_right_is_named(client: TestClient, body: bytes, field: str) -> None:
    got = client.post("/v1/recommendations", content=body, headers={"content-type": "application/json"})
    assert got.status_code == 422, got.text
    assert field in [one["path"] for one in got.json()["errors"]], got.text


def test_the_first_event_that_is_not_right_is_named(client: TestClient) -> None:
    events = [{"event_id": str(n), "user_id": USER, "item_id": ITEM, "event": "view"} for n in range(200)]
    events[130] = {**events[130], "event": "bought", "user_id": ""}
    events[150] = {}
    got = client.post("/v1/feedback", json=events)
    assert got.status_code == 422
    assert sorted(one["path"] for one in got.json()["errors"]) == ["body.130.event", "body.130.user_id"]
    assert not app_of(client).state.feedback.queues["event"]


def test_an_unknown_user(client: TestClient) -> None:
    got = client.get("/v1/users/nobody/recommendations").json()
    assert got["source"] == "popularity"
    expected = [str(one.item_id) for one in Recommender(bundle_of()).popular(10).items]
    assert [one["item_id"] for one in got["items"]] == expected
    assert metric(client, 'fallback_total{reason="unknown_user"}') == 1
    assert client.get("/v1/users/nobody/recommendations?strict=1").status_code == 404
    assert metric(client, 'fallback_total{reason="unknown_user"}') == 1


def test_similar_items(client: TestClient) -> None:
    got = client.get(f"/v1/items/{ITEM}/similar?k=3").json()
    expected = Recommender(bundle_of()).similar(ITEM, 3)
    assert expected is not None
    assert [one["item_id"] for one in got["items"]] == [str(one.item_id) for one in expected.items]
    missing = client.get("/v1/items/nothing/similar")
    assert missing.status_code == 404
    assert missing.json()["title"] == "Not Found"


def test_folding_in(client: TestClient) -> None:
    items = [{"item_id": str(item)} for item in bundle_of().item_ids[:3]]
    got = client.post("/v1/recommendations", json={"items": [*items, {"item_id": "x"}], "k": 4}).json()
    assert got["source"] == "fold_in"
    assert got["ignored_items"] == ["x"]
    assert len(got["items"]) == 4
    assert not {one["item_id"] for one in got["items"]} & {one["item_id"] for one in items}
    none = client.post("/v1/recommendations", json={"items": [{"item_id": "x"}, {"item_id": 123456789}]}).json()
    assert (none["source"], none["ignored_items"]) == ("popularity", ["x", "123456789"])
    assert metric(client, 'fallback_total{reason="no_known_items"}') == 1


def test_a_known_user_who_takes_one_more_item(client: TestClient) -> None:
    before = client.get(f"/v1/users/{USER}/recommendations?k=5").json()["items"]
    liked = before[0]["item_id"]
    after = client.post("/v1/recommendations", json={"user_id": USER, "items": [{"item_id": liked}], "k": 5}).json()
    assert after["source"] == "fold_in"
    assert liked not in [one["item_id"] for one in after["items"]]
    served = Recommender(bundle_of())
    row = served.history(served.user_codes[USER])
    own = {str(served.bundle.item_ids[code]): float(value) for code, value in zip(row.indices, row.data, strict=True)}
    by_hand = served.fold_in({**own, liked: None}, 5)
    assert [one["item_id"] for one in after["items"]] == [str(one.item_id) for one in by_hand.items]


def test_a_model_that_cannot_fold_in(registry: Registry, start: Start) -> None:
    registry.add(bundle_of("BPR"), "champion")
    client = start()
    strangers = client.post("/v1/recommendations", json={"items": [{"item_id": ITEM}]}).json()
    assert strangers["source"] == "popularity"
    assert metric(client, 'fallback_total{reason="cannot_fold_in"}') == 1
    before = client.get(f"/v1/users/{USER}/recommendations?k=3").json()["items"]
    body = {"user_id": USER, "items": [{"item_id": before[0]["item_id"]}], "exclude": [before[1]["item_id"]], "k": 1}
    own = client.post("/v1/recommendations", json=body).json()
    assert own["source"] == "model"
    assert own["items"][0]["item_id"] == before[2]["item_id"]
    assert client.get("/v1/model").json()["capabilities"]["folds_in"] is False


def test_filters_that_leave_too_few(client: TestClient) -> None:
    some = client.get(f"/v1/users/{USER}/recommendations?k=100&genre=nothing").json()
    assert (some["items"], some["exhausted"]) == ([], True)
    first = client.get(f"/v1/users/{USER}/recommendations?k=3").json()["items"]
    out = ",".join(one["item_id"] for one in first[:2])
    rest = client.get(f"/v1/users/{USER}/recommendations?k=1&exclude={out}&exclude=unknown").json()["items"]
    assert [one["item_id"] for one in rest] == [first[2]["item_id"]]


def test_everything_seen(registry: Registry, start: Start) -> None:
    bundle = bundle_of()
    full = bundle.histories.tolil()
    full[3, :] = 1
    registry.add(replace(bundle, histories=full.tocsr()), "champion")
    got = start().get(f"/v1/users/{USER}/recommendations").json()
    assert (got["items"], got["exhausted"]) == ([], True)


def test_ids_with_slashes_and_letters(registry: Registry, start: Start) -> None:
    bundle = bundle_of()
    users = [f"a/{user} ü" for user in bundle.user_ids]
    items = [f"b/{item}" for item in bundle.item_ids]
    registry.add(replace(bundle, user_ids=users, item_ids=items), "champion")
    client = start()
    got = client.get(f"/v1/users/{users[3]}/recommendations").json()
    assert (got["source"], got["user_id"]) == ("model", users[3])
    assert client.get(f"/v1/items/{items[2].replace('/', '%2F')}/similar").status_code == 200


def test_searches(client: TestClient) -> None:
    title = bundle_of().titles[4]
    found = client.get("/v1/items", params={"q": title.upper()}).json()
    assert str(bundle_of().item_ids[4]) in [one["item_id"] for one in found["items"]]
    first, second = (client.get(f"/v1/items?limit=2&offset={start}").json() for start in (0, 2))
    assert first["total"] == second["total"] == bundle_of().n_items
    assert not {one["item_id"] for one in first["items"]} & {one["item_id"] for one in second["items"]}
    users = client.get(f"/v1/users?q={USER}").json()["users"]
    assert users[0] == {"user_id": USER, "n_items": int(bundle_of().histories[3].nnz)}
    own = client.get(f"/v1/users/{USER}/items?limit=100").json()
    assert own["total"] == bundle_of().histories[3].nnz
    assert client.get("/v1/users/nobody/items").status_code == 404


def test_the_model_says_what_it_is(client: TestClient) -> None:
    got = client.get("/v1/model").json()
    assert (got["version"], got["run_id"], got["algorithm"]) == ("1", "run1", "EASE")
    assert got["metrics"] == {"ndcg@10": 0.25}
    assert got["capabilities"] == {"folds_in": True, "similar": True, "explain": True}
    assert got["stale"] is False
    assert got["challenger"] is None


def test_without_a_model(start: Start) -> None:
    client = start(ready=False, poll_seconds=20.0)
    assert client.get("/healthz").status_code == 200
    for path in ("/readyz", f"/v1/users/{USER}/recommendations", f"/v1/items/{ITEM}/similar", "/v1/model", "/v1/items"):
        got = client.get(path)
        assert got.status_code == 503
        assert got.headers["retry-after"] == "20"
        assert got.headers["content-type"] == "application/problem+json"


def test_a_bug_shows_nothing_of_itself(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret path /srv/models")

    monkeypatch.setattr(Recommender, "recommend", broken)
    got = client.get(f"/v1/users/{USER}/recommendations")
    assert got.status_code == 500
    assert got.headers["content-type"] == "application/problem+json"
    assert "secret" not in got.text
    assert "Traceback" not in got.text
    lines = [record for record in caplog.records if record.exc_info]
    assert len(lines) == 1
    assert lines[0].fields["request_id"] == got.json()["request_id"]  # type: ignore[attr-defined]
    assert metric(client, 'request_seconds_count{route="/v1/users/{user_id:path}/recommendations",status="500"}') == 1


def test_unknown_paths_and_methods(client: TestClient) -> None:
    for got, status in (
        (client.get("/v2/x"), 404),
        (client.delete("/v1/feedback"), 405),
        (client.get("/v1/users//recommendations"), 422),
    ):
        assert got.status_code == status
        assert got.headers["content-type"] == "application/problem+json"
    assert client.get("/static/../settings.py").status_code == 404
    assert client.get("/static/%2e%2e/settings.py").status_code == 404


def test_bodies_are_bounded(client: TestClient) -> None:
    whole = client.post("/v1/feedback", content=b"[" + b" " * MAX_BODY + b"]")
    parts = client.post("/v1/feedback", content=(b" " * 100_000 for _ in range(11)))
    for got in (whole, parts):
        assert got.status_code == 413
        assert got.headers["content-type"] == "application/problem+json"


def test_headers(client: TestClient) -> None:
    for path in ("/", "/docs", f"/v1/users/{USER}/recommendations", "/v1/model", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
    assert client.get("/v1/model").headers["cache-control"] == "no-store"


def test_the_key(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start(api_key="right key")
    for headers in (
        {},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic right key"},
    ):
        got = client.get("/v1/model", headers=headers)
        assert got.status_code == 401
        assert got.headers["www-authenticate"] == "Bearer"
        assert "right" not in got.text
    for headers in ({"X-API-Key": "right key"}, {"Authorization": "Bearer right key"}):
        assert client.get("/v1/model", headers=headers).status_code == 200
    assert all(client.get(path).status_code == 200 for path in ("/", "/healthz", "/readyz", "/metrics"))
    assert isinstance(app_of(client).user_middleware[0].cls, type)
    assert app_of(client).user_middleware[0].cls is Around


BLANK = (" ", "\u00a0", "\u2003", "\u3000", " 1", "1 ", "1\u2028", "\u00851")


@pytest.mark.parametrize("odd", BLANK)
def test_an_id_neither_begins_nor_ends_in_whitespace(client: TestClient, odd: str) -> None:
    """A reader of tables drops it, and then this id is missing, or is another user's."""
    event = {"event_id": "e", "user_id": "u", "item_id": "5", "event": "like", "list_id": "l"}
    for name in ("event_id", "user_id", "item_id", "list_id"):
        got = client.post("/v1/feedback", json=[event, event | {name: odd}])
        assert (got.status_code, got.json()["errors"][0]["path"]) == (422, f"body.1.{name}")
    assert client.get(f"/v1/users/{quote(odd)}/recommendations").status_code == 422
    assert client.get(f"/v1/items/{quote(odd)}/similar").status_code == 422
    assert client.get(f"/v1/users/{USER}/recommendations", params={"exclude": f"1,{odd}"}).status_code == 422
    assert client.post("/v1/recommendations", json={"items": [{"item_id": odd}]}).status_code == 422
    assert client.post("/v1/feedback", json=[event | {"user_id": "a b", "item_id": "a\u00a0b"}]).status_code == 202
    described = client.get("/openapi.json").json()["paths"]["/v1/users/{user_id}/recommendations"]["get"]["parameters"]
    assert "without whitespace at either end" in described[0]["description"]
