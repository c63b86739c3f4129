"""What clients are told through the proxy: keys, rates, sizes, ids, and what comes for what is not right or known."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from recsys_lab.serving.settings import MAX_BODY
from tests.service.conftest import Deployment
from tests.service.parts import KEY, Proxy, ask, metric, wait_for, works

pytestmark = pytest.mark.service


def test_a_key_is_asked_for(deployment: Deployment) -> None:
    url = f"{deployment.url}/v1/model"
    for key in ("", "wrong", "key-of-these-test", "key-of-these-tests2"):
        got = ask(url, X_API_Key=key)
        assert (got.status, got.headers["www-authenticate"]) == (401, "Bearer"), key
        assert got.json["request_id"] == got.headers["x-request-id"]
    assert ask(url).status == 200
    assert ask(url, X_API_Key="", Authorization="Bearer key-of-these-tests").status == 200
    assert ask(f"{deployment.url}/readyz", X_API_Key="").status == 200  # probes have none


def _asked(
    url: str, n: int, key: str, path: str = "/healthz"
) -> tuple[dict[int, int], http.client.HTTPResponse, bytes]:
    """How often each status came for ``n`` requests with this key, on one connection; the last answer and its body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    found: dict[int, int] = {}
    for _ in range(n):
        connection.request("GET", path, headers={"X-API-Key": key} if key else {})
        answer = connection.getresponse()
        body = answer.read()
        found[answer.status] = found.get(answer.status, 0) + 1
    connection.close()
    return found, answer, body


@pytest.mark.parametrize("key", ["", "wrong", "the key in the file2", "the key in the fil"])
def test_a_rate_for_those_without_the_key(another: Callable[..., Any], tmp_path: Path, key: str) -> None:
    (tmp_path / "key").write_text("the key in the file\n")
    _, url = another(api_key="", api_key_file=str(tmp_path / "key"))
    assert ask(f"{url}/v1/model").status == 401  # with the key of the other replicas
    assert ask(f"{url}/v1/model", X_API_Key="the key in the file").status == 200
    found, answer, body = _asked(url, 400, key)
    assert set(found) == {200, 429}
    assert 200 <= found[200] < 400  # 300 in 10 s, of which the wait for the replica has used some
    assert answer.status == 429
    assert answer.getheader("retry-after") == "10"
    assert json.loads(body)["status"] == 429
    assert _asked(url, 400, "the key in the file")[0] == {200: 400}  # not limited
    assert ask(f"{url}/v1/model", X_API_Key="", Authorization="Bearer the key in the file").status == 200


def test_where_no_key_is_set_all_are_limited(tmp_path: Path) -> None:
    with _proxied(tmp_path, _Mirror, key="") as url:
        assert set(_asked(url, 400, "anything", "/metrics")[0]) == {404, 429}
        assert _asked(url, 1, "")[0] == {429: 1}


def test_guessing_keys_is_slowed_and_the_right_one_goes_on(another: Callable[..., Any]) -> None:
    _, url = another()
    model = f"{url}/v1/model"
    assert ask(model).status == 200
    found = [ask(model, X_API_Key=f"guess {n}").status for n in range(60)]
    assert found[:30] == [401] * 30
    assert found[-20:] == [429] * 20
    assert ask(model).status == 200
    assert ask(model, X_API_Key="", Authorization=f"Bearer {KEY}").status == 200
    assert ask(model, X_API_Key="", Authorization=f"bearer {KEY}").status == 200
    assert ask(model, X_API_Key="guess 60").status == 429
    assert ask(f"{url}/healthz", X_API_Key="").status == 429  # until ten seconds without a guess are over
    wait_for(lambda: ask(f"{url}/healthz", X_API_Key="").status == 200, "the address answered again", 30)


def test_metrics_are_not_for_clients(deployment: Deployment) -> None:
    for path in ("/metrics", "/metrics?x=1", "//metrics", "/metrics/", "/%6detrics", "/x/../metrics"):
        got = ask(f"{deployment.url}{path}")
        assert got.status == 404, path
        assert b"request_seconds" not in got.body
    assert b"request_seconds_count" in ask(f"{deployment.replicas[0].url}/metrics").body
    assert b"haproxy_backend_http_responses_total" in ask(f"http://{deployment.proxy.status}/metrics").body


@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "in chunks"])
def test_a_body_over_the_limit(deployment: Deployment, declared: bool) -> None:
    connection = http.client.HTTPConnection(urlsplit(deployment.url).netloc, timeout=20)
    headers = {"X-API-Key": "key-of-these-tests", "Content-Type": "application/json"}
    body = b" " * (MAX_BODY + 1)
    for path in ("/v1/feedback", "/v1/recommendations"):
        sent: Any = body if declared else (body[at : at + 10_000] for at in range(0, len(body), 10_000))
        connection.request("POST", path, sent, headers, encode_chunked=not declared)
        answer = connection.getresponse()
        assert json.loads(answer.read())["status"] == answer.status == 413
    connection.request("POST", "/v1/feedback", b"[" + b" " * (MAX_BODY - 2) + b"]", headers)  # the largest body
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["errors"][0]["path"]) == (422, "body")
    connection.close()


def test_a_request_id_is_kept_or_given(deployment: Deployment) -> None:
    path = f"{deployment.url}/v1/users/{deployment.users[0]}/recommendations"
    got = ask(path, X_Request_ID="an.id:of-a_client")
    assert got.headers["x-request-id"] == "an.id:of-a_client"
    unfit = ("", "short", "a b c d e f g", "x" * 101)
    given = {ask(path, X_Request_ID=one).headers["x-request-id"] for one in unfit}
    assert len(given) == 4
    assert all(len(one) == 32 for one in given)


class _Mirror(BaseHTTPRequestHandler):
    """Answers with the headers, or the length of the body, that it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(list(self.headers.items()))

    def do_POST(self) -> None:
        n_bytes = len(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(n_bytes)

    def _answer(self, found: Any) -> None:
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Dying(_Mirror):
    """Closes the connection when it has read a POST, as a process that is killed."""

    n_died = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        _Dying.n_died += 1
        self.close_connection = True


@contextmanager
def _proxied(folder: Path, *handlers: type[BaseHTTPRequestHandler], key: str = KEY) -> Iterator[str]:
    """The URL of a proxy before servers with these handlers."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), one) for one in handlers]
    threads = [threading.Thread(target=one.serve_forever) for one in servers]
    proxy = Proxy(folder, [int(one.server_address[1]) for one in servers], key)
    try:
        for thread in threads:
            thread.start()
        proxy.start()
        wait_for(lambda: works(f"{proxy.url}/readyz"), "the proxy's servers")
        yield proxy.url
    finally:
        proxy.end()
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join(10)
            server.server_close()


@pytest.mark.parametrize("size", [10, 1_000, 30_000])
def test_a_request_whose_replica_dies_is_asked_again_at_another(tmp_path: Path, size: int) -> None:
    died = _Dying.n_died
    with _proxied(tmp_path, _Dying, _Mirror) as url:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10) as client:
                head = f"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\nContent-Length: {size}\r\n\r\n"
                client.sendall(head.encode())
                threading.Event().wait(0.01)  # the body comes in a packet of its own, as from most clients
                client.sendall(b"x" * size)
                got = client.recv(65_536)
                assert got.startswith(b"HTTP/1.1 200"), got
                assert got.endswith(f"\r\n\r\n{size}".encode())
    assert _Dying.n_died >= died + 5


def test_the_proxy_says_whom_it_asks_for(tmp_path: Path) -> None:
    with _proxied(tmp_path, _Mirror) as url:
        names = [(name.lower(), value) for name, value in ask(f"{url}/v1/model").json]
        assert ("x-forwarded-for", "127.0.0.1") in names
        # who ends TLS in front says last whom it asks for, after what the client claims
        names = [(name.lower(), value) for name, value in ask(url, X_Forwarded_For="203.0.113.9, 198.51.100.7").json]
    assert [value for name, value in names if name == "x-forwarded-for"][-1] == "198.51.100.7"


def test_who_ends_tls_in_front_is_not_limited_as_one_client(tmp_path: Path) -> None:
    with _proxied(tmp_path, _Mirror) as url:
        found = [ask(f"{url}/metrics", X_API_Key="", X_Forwarded_For=f"198.51.100.{n % 8}").status for n in range(400)]
        assert set(found) == {404}  # 50 for each of its clients
        found = [ask(f"{url}/metrics", X_API_Key="", X_Forwarded_For="2001:db8::1").status for _ in range(400)]
        assert set(found) == {404, 429}


def test_every_case_has_its_answer(deployment: Deployment) -> None:
    url, user, item = deployment.url, deployment.users[0], deployment.items[0]
    lists, fold_in = f"{url}/v1/users/{user}/recommendations", f"{url}/v1/recommendations"
    for path, where in ((f"{lists}?k=0", "query.k"), (f"{lists}?k=many", "query.k"), (f"{lists}?k=101", "query.k")):
        got = ask(path)
        assert (got.status, got.json["errors"][0]["path"]) == (422, where)
    for body, where in ((b"{", "body"), ({"items": [{"item_id": None}]}, "body.items.0.item_id"), (b"\xff", "body")):
        got = ask(fold_in, body)
        assert (got.status, got.json["errors"][0]["path"]) == (422, where), body
    before = sum(metric(one.url, 'fallback_total{reason="unknown_user"}') for one in deployment.replicas)
    got = ask(f"{url}/v1/users/nobody/recommendations")
    assert (got.status, got.json["source"], len(got.json["items"])) == (200, "popularity", 10)
    after = sum(metric(one.url, 'fallback_total{reason="unknown_user"}') for one in deployment.replicas)
    assert after == before + 1
    assert ask(f"{url}/v1/users/nobody/recommendations?strict=1").status == 404
    assert ask(f"{url}/v1/items/nothing/similar").status == 404
    assert ask(f"{url}/v1/items/{item}/similar").status == 200
    got = ask(fold_in, {"items": [{"item_id": item}, {"item_id": "nothing"}]})
    assert (got.status, got.json["source"], got.json["ignored_items"]) == (200, "fold_in", ["nothing"])
    got = ask(fold_in, {"items": [{"item_id": "nothing"}]})
    assert (got.status, got.json["source"], got.json["ignored_items"]) == (200, "popularity", ["nothing"])
    everything = deployment.items[:500]
    got = ask(fold_in, {"items": [{"item_id": item}], "exclude": everything, "k": 100})
    assert (got.status, got.json["exhausted"]) == (200, True)
    assert len(got.json["items"]) < 100
    got = ask(f"{lists}?genre=of-no-item")
    assert (got.status, got.json["items"], got.json["exhausted"]) == (200, [], True)
