"""What somebody who means harm may send, and what they must not get: keys, files, names, other people's ids."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.serving.logs import JsonLines, without
from recsys_lab.serving.model_store import Version, rest
from recsys_lab.serving.models import Models
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.reload import Watcher
from recsys_lab.serving.settings import Settings
from recsys_lab.serving.storage import Database, event_row
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, settings_in, trial_of, wait_until
from tests.serving.processes import served
from tests.serving.test_settings import LEAST

USER, ITEM = str(bundle_of().user_ids[3]), str(bundle_of().item_ids[5])
LIST = f"/v1/users/{USER}/recommendations"
JSON = {"content-type": "application/json"}
ONE = b'"items": [{"item_id": "1"}]'
MARK = "qqmark"  # in a request, and in the name of nothing that a request may open


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "bearer key"}, 200),  # RFC 9110: the scheme's case does not matter
        ({"Authorization": "key"}, 401),
        ({"Authorization": "Basic key"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"X-API-Key": "ke"}, 401),
        ({"X-API-Key": "key2"}, 401),
        ({"X-API-Key": "wrong", "Authorization": "Bearer key"}, 401),
    ],
)
def test_only_the_key_opens(registry: Registry, start: Start, headers: dict[str, str], status: int) -> None:
    registry.add(bundle_of(), "champion")
    assert start(api_key="key").get("/v1/model", headers=headers).status_code == status


def test_no_way_round_the_key(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start(api_key="key")
    paths = [
        "//v1/model",
        "/V1/model",
        "/v1/../v1/model",
        "/v1%2fmodel",
        "/v1/model/",
        "/static/../v1/model",
        "/v1;/model",
    ]
    for path in paths:
        assert client.get(path).status_code in (401, 404), path
    assert client.post("/v1/feedback", content=b"[" * 10**6).status_code == 401  # refused before it is read


FOREIGN = [
    "evil.test",
    "evil.test:8000",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "localhost@evil.test",
    "a b",
    "[",
]
OURS = ["", "localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000", "10.1.2.3:8000", "films.example:80", "lab"]


@pytest.mark.parametrize("path", ["/v1/model", LIST, "/", "/metrics", "/readyz", "/nothing", "/static/page.js"])
def test_a_foreign_name_is_not_answered_without_a_key(registry: Registry, start: Start, path: str) -> None:
    """A page of evil.test whose name points here (DNS rebinding) may read what this browser gets from evil.test."""
    registry.add(bundle_of(), "champion")
    client = start(ready=False, host="lab", hosts=("films.example",))
    wait_until(lambda: app_of(client).state.models.champion is not None)
    for host in FOREIGN:
        got = client.get(path, headers={"host": host})
        assert (got.status_code, got.headers["content-type"]) == (421, "application/problem+json"), host
        assert got.json()["title"] == "Misdirected Request"
        assert "RECSYS_LAB_HOSTS" in got.json()["detail"]
    for host in OURS:
        assert client.get(path, headers={"host": host}).status_code == (404 if path == "/nothing" else 200), host


def test_a_page_of_another_site_is_not_answered_without_a_key(
    client: TestClient, registry: Registry, start: Start
) -> None:
    """It cannot read the answer, and a list that it asks for would be noted as one that somebody saw."""
    for site in ("cross-site", "same-site", "anything"):  # same-site: another port of this machine
        got = client.get(LIST, headers={"sec-fetch-site": site})
        assert (got.status_code, got.json()["title"]) == (403, "Forbidden"), site
    for site in ("same-origin", "none"):
        assert client.get(LIST, headers={"sec-fetch-site": site}).status_code == 200, site
    wait_until(lambda: metric(client, 'feedback_written_total{kind="impression"}') == 2)
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200, "a link may lead here"
    keyed = start(api_key="key")
    assert keyed.get(LIST, headers={"sec-fetch-site": "cross-site", "x-api-key": "key"}).status_code == 200


@pytest.mark.cli
def test_a_process_without_a_key_answers_its_own_names_and_probes_without_any(tmp_path: Path) -> None:
    with served(bundle_of(), tmp_path) as process:
        for head, status in (
            (b"GET /readyz HTTP/1.0\r\n\r\n", 200),  # HAProxy's httpchk
            (b"GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n", 200),
            (b"GET /v1/model HTTP/1.0\r\nHost: localhost\r\n\r\n", 200),
            (b"GET /v1/model HTTP/1.0\r\nHost: evil.test\r\n\r\n", 421),
            (b"GET /v1/model HTTP/1.0\r\nHost: evil.test\r\nHost: localhost\r\n\r\n", 421),
            (b"GET http://localhost/v1/model HTTP/1.0\r\nHost: evil.test\r\n\r\n", 421),
            (b"POST /v1/feedback HTTP/1.0\r\nHost: evil.test\r\nContent-Length: 2\r\n\r\n[]", 421),
        ):
            assert int(process.ask(head).split(b" ")[1]) == status, head


def test_any_name_is_answered_with_a_key_or_where_all_are_named(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    for changes in ({"api_key": "key", "hosts": ()}, {"hosts": ("*",)}):
        got = start(**changes).get("/v1/model", headers={"host": "evil.test", "x-api-key": "key"})
        assert got.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"items": [{"item_id": "\\ud800"}]}',  # half of a surrogate pair
        b'{"\\ud800": 1, ' + ONE + b"}",
        b'{"genre": "\\udfff", ' + ONE + b"}",
        b'{"user_id": "a\\u0000b", ' + ONE + b"}",
        b'{"items": [{"item_id": ' + b"9" * 5000 + b"}]}",  # more digits than Python reads
        b'{"items": [{"item_id": "1", "rating": ' + b"9" * 400 + b"}]}",
        b'{"items": [{"item_id": 1e999}]}',
        b'{"items": [{"item_id": "1", "rating": -Infinity}]}',
        b'{"k": ' + b"9" * 400 + b", " + ONE + b"}",
        b'{"items":' * 9_000 + b"1" + b"}" * 9_000,
        b'{"items":' * 11_000 + b"1" + b"}" * 11_000,
        b'{"' + b"x" * 200_000 + b'": 1, ' + ONE + b"}",
        b"{" + b",".join(b'"%d%s": 1' % (n, b"x" * 8_000) for n in range(30)) + b"}",
        b"{" + b",".join(b'"%d": 1' % n for n in range(20_000)) + b"}",
        b'{"items": [' + b",".join([b'{"' + b'": 1, "'.join(b"%d" % n for n in range(30)) + b'": 1}'] * 400) + b"]}",
    ],
)
def test_a_hostile_body_gets_a_short_422(client: TestClient, body: bytes) -> None:
    got = client.post("/v1/recommendations", content=body, headers=JSON)
    assert got.status_code == 422
    assert got.headers["content-type"] == "application/problem+json"
    assert len(got.content) < 12_000  # what was sent is not sent back


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_of_another_site_is_no_feedback(client: TestClient, kind: str) -> None:
    """A browser sends these kinds across sites without asking; JSON it asks about first, and gets no leave."""
    body = json.dumps([{"event_id": "1", "user_id": USER, "item_id": ITEM, "event": "like"}])
    assert client.post("/v1/feedback", content=body, headers={"content-type": kind}).status_code == 422
    asked = client.options(
        "/v1/feedback", headers={"Origin": "http://evil.test", "Access-Control-Request-Method": "POST"}
    )
    assert asked.status_code == 405
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize(
    "path",
    [
        "%00",
        "a%00b",
        "..%2f..%2fsettings.py",
        "%5c..%5csettings.py",
        "%2e%2e%2fapp.py",
        "/etc/passwd",
        "a" * 300,
        "a/" * 999,
    ],
)
def test_static_files_are_those_of_the_page_only(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


@pytest.fixture
def opened() -> Any:
    """What this process opens whose name has the mark; hooks cannot be taken back, so it is told when to listen."""
    found: list[str] = []
    listening = [True]

    def hook(event: str, given: Any) -> None:
        if listening[0] and event.split(".")[0] in (
            "open",
            "os",
            "socket",
            "sqlite3",
            "import",
            "subprocess",
            "shutil",
        ):
            found.extend(f"{event} {one}" for one in given if isinstance(one, str | bytes) and MARK in str(one))

    sys.addaudithook(hook)
    yield found
    listening[0] = False


def test_nothing_of_a_request_reaches_the_registry_or_the_disk(
    registry: Registry, client: TestClient, opened: list[str]
) -> None:
    asked = registry.asked
    name = f"..%2F..%2F{MARK}"
    paths = [
        f"users/{name}/recommendations",
        f"users/{name}/items",
        f"items/{name}/similar",
        f"users?q={name}",
        f"items?q={name}",
    ]
    for path in [*(f"/v1/{one}" for one in paths), f"/{name}", f"/static/other/{MARK[:3]}", f"{LIST}?genre={name}"]:
        assert client.get(path).status_code in (200, 404)
    for option in ("model", "alias", "version", "run", "path", "registry_uri"):
        assert client.get(f"{LIST}?{option}={name}").status_code == 422
        body = json.dumps({"items": [{"item_id": MARK}], option: MARK})
        assert client.post("/v1/recommendations", content=body, headers=JSON).status_code == 422
    event = {"event_id": MARK, "user_id": MARK, "item_id": MARK, "event": "like", "list_id": f"../{MARK}"}
    assert client.post("/v1/feedback", json=[event]).status_code == 202
    wait_until(lambda: not app_of(client).state.feedback.queues["event"])
    assert registry.asked == asked
    assert [one for one in opened if "sqlite3" not in one] == []


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [JsonLines().format(record) for record in caplog.records]


@pytest.mark.parametrize("user", ["anna-42", "7", "a b/ü"])
def test_no_traceback_shows_whose_list_it_was(
    registry: Registry, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, user: str
) -> None:
    registry.add(bundle_of(), "champion")
    client = start()

    def broken(*_: object, **__: object) -> Any:
        try:
            raise KeyError(user)
        except KeyError as error:
            raise RuntimeError(f"no row of {user!r} among 77 rows") from error

    caplog.clear()
    for method in ("recommend", "popular", "fold_in"):
        monkeypatch.setattr(Recommender, method, broken)
    monkeypatch.setattr("recsys_lab.serving.searches.items_of_user", broken)
    codes = app_of(client).state.models.champion.recommender.user_codes
    monkeypatch.setitem(codes, user, 0)
    assert client.get(f"/v1/users/{user}/recommendations").status_code == 500
    assert client.get(f"/v1/users/{user}/items").status_code == 500
    assert client.post("/v1/recommendations", json={"items": [{"item_id": ITEM}], "user_id": user}).status_code == 500
    tracebacks = [json.loads(line)["traceback"] for line in _lines(caplog) if '"traceback"' in line]
    assert len(tracebacks) == 3
    for text in tracebacks:
        assert "no row of '[user]' among 77 rows" in text
        assert "KeyError: '[user]'" in text
        assert "recsys_lab" in text  # the places are kept
    if len(user) > 1:
        assert user not in "".join(_lines(caplog))


def test_a_version_that_fails_its_trial_names_no_user(
    registry: Registry, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    bundle = replace(bundle_of("ItemKNN"), user_ids=[f"secret-{user}" for user in bundle_of().user_ids])
    registry.add(bundle, "champion", trial=[{**one, "items": one["items"][::-1]} for one in trial_of(bundle)])
    app_of(client).state.watcher.check()
    text = "".join(_lines(caplog))
    assert "trial user 0: the list is" in text
    assert "secret-" not in text


def test_words_are_left_out_of_tracebacks_and_places_stay() -> None:
    text = 'Traceback:\n  File "/srv/7/app.py", line 7, in ask\n    rows[7]\nKeyError: 7 of 77, x7'
    assert without(text, {"7", ""}) == (
        'Traceback:\n  File "/srv/7/app.py", line 7, in ask\n    rows[[user]]\nKeyError: [user] of 77, x7'
    )


def test_half_a_character_in_a_message_is_logged_too() -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "got \ud800", None, None)
    assert json.loads(JsonLines().format(record))["message"] == "got \ud800"


TOKENS = ("Qz7", "Wx9", "Yk4", "Zj8")  # in no message of ours, SQLAlchemy's, psycopg's or urllib's
MARKS = st.sampled_from([*"/@:?#%&=+ '\"\\[]{}<>|,;$!~^`()*ü€\t", "%41", "://", "\\u0041", "//", "@@"])
ADDRESSES = {
    "DATABASE_URL": [
        "{}",
        "postgresql:me:{}@127.0.0.1/db",
        "postgresql+psycopg://{}",
        "postgresql+psycopg://me:{}@127.0.0.1:9/db",
        "postgresql+psycopg://me:{}@127.0.0.1:9",
        "postgresql+psycopg://127.0.0.1:9/db?user=me&password={}",
        "postgresql+nothing://me:{}@127.0.0.1:9/db",
        "postgresql+psycopg://127.0.0.1:9/db?password={}&sslmode=nothing",
        "mysql://me:{}@127.0.0.1:9/db",
    ],
    "REGISTRY_URI": ["{}", "me:{}@127.0.0.1", "http://me:{}@127.0.0.1:9", "http://127.0.0.1:9/?token={}", "http://{}"],
    "TRACING": ["{}", "https://me:{}@127.0.0.1:9", "ftp://127.0.0.1?key={}"],
    "API_KEY": ["{}"],
    "LOG_SALT": ["{}"],
    "API_KEY_FILE": ["{}", "~{}", "/{}"],
    "DATABASE_URL_FILE": ["{}"],
}


def _said(act: Callable[[], Any], secrets: Collection[str] = ()) -> str:
    """All that a log would have of the error that ``act`` raises, with its causes."""
    try:
        return repr(act())
    except Exception as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, str(error), (), (type(error), error, error.__traceback__))
        return JsonLines(secrets).format(record)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), marks=st.lists(MARKS, min_size=3, max_size=3), is_encoded=st.booleans())
def test_no_part_of_a_secret_is_shown(data: st.DataObject, marks: list[str], is_encoded: bool) -> None:
    secret = "".join(token + mark for token, mark in zip(TOKENS, [*marks, ""], strict=True))
    name = data.draw(st.sampled_from(sorted(ADDRESSES)))
    address = data.draw(st.sampled_from(ADDRESSES[name])).format(quote(secret, safe="") if is_encoded else secret)
    environ = {key: value for key, value in LEAST.items() if not f"RECSYS_LAB_{name}".startswith(key)}
    environ[f"RECSYS_LAB_{name}"] = address
    said = _said(lambda: Settings.from_environment(environ))
    with suppress(ValueError):
        made = Settings.from_environment(environ)
        hidden = made.secrets()
        if name == "DATABASE_URL" and "127.0.0.1" in address:
            said += _said(lambda: Database(made.database_url).write("event", [event_row({}, 0.0)]), hidden)
        elif name == "REGISTRY_URI" and rest.can_read(made.registry_uri) and "127.0.0.1" in address:
            said += _said(lambda: rest.version_of(made.registry_uri, "a", "b"), hidden)
    assert not [token for token in TOKENS if token in said], (address, said)


def test_the_log_of_a_watcher_hides_the_password_of_its_registry(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client, which such an address needs, writes the whole of it into its errors."""
    made = settings_in(tmp_path, registry_uri="http://me:Qz7%2FWx9@127.0.0.1:9")
    version = Version("recommender", "1", "", "mlflow-artifacts:/1", {})
    monkeypatch.setattr("recsys_lab.serving.model_store.version_of", lambda *_: version)
    Watcher(made, Models(Monitoring())).check()
    formatter = JsonLines(made.secrets())
    lines = [formatter.format(record) for record in caplog.records]
    assert any("a version cannot be fetched" in line for line in lines)
    plain = "".join(JsonLines().format(record) for record in caplog.records)
    assert "Qz7" in plain, "the error of MLflow's client has no address any more: drop this test"
    assert "Qz7" not in "".join(lines)
