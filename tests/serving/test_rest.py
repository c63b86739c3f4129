"""The registry read over HTTP: who asks, what is bounded, and what a server may not do."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit

import pytest

from recsys_lab.serving.model_store import Version, fetch_bundle, rest, version_of

VERSION = {"name": "a b/c", "version": "7", "run_id": "r1", "source": "mlflow-artifacts:/0/r1/artifacts/model-1"}
ROOT = "0/r1/artifacts/model-1/artifacts/bundle"


class Server(ThreadingHTTPServer):
    """Answers what a test puts into ``answers`` (path and query -> status, body), in turn; keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def gives(self, path: str, body: bytes) -> None:
        """Let a file have this content."""
        self.answers[f"{rest.FILES}/{path}"] = [(200, body)]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = "&".join(f"{name}={','.join(values)}" for name, values in parse_qs(parts.query).items())
        key = f"{parts.path}?{query}" if query else parts.path
        self.server.asked.append(key)
        self.server.headers.append(dict(self.headers.items()))
        waiting = self.server.answers.get(key, [(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})])
        status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", str(body))
        self.send_header("Content-Length", str(len(text) + (10 if status == 206 else 0)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setattr(rest, "PAUSE", 0.0)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


ALIAS = f"{rest.REGISTRY}/registered-models/alias?name=a b/c&alias=champion"
NUMBER = f"{rest.REGISTRY}/model-versions/get?name=a b/c&version=7"


def test_a_version_by_alias_and_by_number(server: Server) -> None:
    tags = {"tags": [{"key": "dataset", "value": "ml"}, {"key": "empty"}]}
    server.answers = {ALIAS: [(200, {"model_version": VERSION | tags})], NUMBER: [(200, {"model_version": VERSION})]}
    expected = Version("a b/c", "7", "r1", VERSION["source"], {"dataset": "ml", "empty": ""})
    assert version_of(server.url, "a b/c", "champion") == expected
    assert version_of(server.url + "/", "a b/c", "7") == Version("a b/c", "7", "r1", VERSION["source"], {})


@pytest.mark.parametrize(("status", "code"), [(404, "RESOURCE_DOES_NOT_EXIST"), (400, "INVALID_PARAMETER_VALUE")])
def test_no_version_is_none(server: Server, status: int, code: str) -> None:
    server.answers[ALIAS] = [(status, {"error_code": code, "message": "no"})]
    assert version_of(server.url, "a b/c", "champion") is None
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", [b"<html>not here</html>", b"[]", {"error_code": "PERMISSION_DENIED"}])
def test_an_error_of_something_else_is_no_missing_version(server: Server, body: Any) -> None:
    server.answers[ALIAS] = [(404, body)]
    with pytest.raises(HTTPError, match="404"):
        version_of(server.url, "a b/c", "champion")


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[1]", {}, {"model_version": 3}, b'{"a": "' + b"x" * 2**20])
def test_an_answer_that_is_none_is_named(server: Server, body: Any) -> None:
    server.answers[ALIAS] = [(200, body)]
    with pytest.raises(rest.RegistryError, match="is this MLflow's server"):
        version_of(server.url, "a b/c", "champion")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_once_more(server: Server, status: int) -> None:
    server.answers[ALIAS] = [(status, {}), (200, {"model_version": VERSION})]
    assert version_of(server.url, "a b/c", "champion") is not None
    server.answers[ALIAS] = [(status, {}), (status, {}), (200, {"model_version": VERSION})]
    with pytest.raises(HTTPError):
        version_of(server.url, "a b/c", "champion")


def test_a_server_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "TIMEOUT", 0.1)
    silent = ThreadingHTTPServer(("127.0.0.1", 0), Handler)  # listens, and never answers
    with silent, pytest.raises(OSError, match="timed out"):
        version_of(f"http://127.0.0.1:{silent.server_address[1]}", "m", "champion")
    with pytest.raises(URLError, match="refused"):
        version_of("http://127.0.0.1:9", "m", "champion")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"USERNAME": "ann", "PASSWORD": "b:c", "TOKEN": "t"}, "Basic " + base64.b64encode(b"ann:b:c").decode()),
        ({"USERNAME": "ann", "TOKEN": "t"}, "Bearer t"),
        ({}, None),
    ],
)
def test_who_asks_is_said_as_mlflow_says_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    version_of(server.url, "a b/c", "champion")
    assert server.headers[0].get("Authorization") == expected


def test_what_else_mlflow_can_say_is_left_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert rest.can_read("http://host:5000")
    assert rest.can_read("https://host/mlflow")
    for uri in ("sqlite:////mlflow.db", "databricks", "/folder", "http://ann:secret@host"):
        assert not rest.can_read(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_AWS_SIGV4", "true")
    assert not rest.can_read("http://host:5000")
    monkeypatch.delenv("MLFLOW_TRACKING_AWS_SIGV4")
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").touch()
    assert not rest.can_read("http://host:5000")


def test_credentials_do_not_follow_a_redirect(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    server.answers[ALIAS] = [(302, b"http://elsewhere.invalid/")]
    with pytest.raises(rest.RegistryError, match="redirects to"):
        version_of(server.url, "a b/c", "champion")


def _version(source: str = VERSION["source"]) -> Version:
    return Version("m", "7", "r1", source, {})


FILE = f"{rest.FILES}/{ROOT}"
CONTENT = {"arrays.npz": b"\x00" * 3_000_000, "state.json": b"{}"}


def _manifest(**changes: Any) -> bytes:
    files = {name: {"bytes": len(content), "sha256": "x"} for name, content in CONTENT.items()}
    return json.dumps(
        {"format": 2, "algorithm": "EASE", "folds_in": True, "trial": [], "files": files} | changes
    ).encode()


def _give_bundle(server: Server, **changes: bytes) -> None:
    for name, content in CONTENT.items():
        server.gives(f"{ROOT}/state/{name}", changes.get(name.partition(".")[0], content))
    server.gives(f"{ROOT}/manifest.json", changes.get("manifest", _manifest()))


def test_a_bundle_is_fetched_whole_and_for_this_user_only(server: Server, tmp_path: Path) -> None:
    _give_bundle(server)
    place = fetch_bundle(server.url, _version(), tmp_path / "copies" / "copy", 4_000_000)
    found = {path.relative_to(place).as_posix(): path for path in place.rglob("*")}
    assert sorted(found) == ["manifest.json", "state", "state/arrays.npz", "state/state.json"]
    assert {name: found[f"state/{name}"].read_bytes() for name in CONTENT} == CONTENT
    assert {oct(path.stat().st_mode & 0o777) for path in found.values() if path.is_file()} == {"0o600"}
    folders = (place, place / "state", place.parent)
    assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o700"}
    assert [path.name for path in place.parent.iterdir()] == ["copy"]
    assert [asked.removeprefix(FILE) for asked in server.asked] == [
        "/manifest.json",
        "/state/arrays.npz",
        "/state/state.json",
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"../evil": {"bytes": 1, "sha256": "x"}},
        {"arrays.npz": {"bytes": 1, "sha256": "x"}},
        {**{name: {"bytes": 1, "sha256": "x"} for name in CONTENT}, "/etc/evil": {"bytes": 1, "sha256": "x"}},
        {name: {"bytes": -1, "sha256": "x"} for name in CONTENT},
        {name: {"bytes": True, "sha256": "x"} for name in CONTENT},
        {name: {"bytes": "1", "sha256": "x"} for name in CONTENT},
        [],
        None,
    ],
)
def test_a_manifest_names_the_files_of_a_bundle_and_no_others(server: Server, tmp_path: Path, files: Any) -> None:
    _give_bundle(server, manifest=_manifest(files=files))
    with pytest.raises(ValueError, match="manifest"):
        fetch_bundle(server.url, _version(), tmp_path / "copy")
    assert not list(tmp_path.iterdir())
    assert len(server.asked) == 1


def test_no_more_is_written_than_the_manifest_says(server: Server, tmp_path: Path) -> None:
    _give_bundle(server)
    with pytest.raises(
        ValueError, match=r"3,000,002 bytes, and this replica takes 3,000,001; RECSYS_LAB_MAX_BUNDLE_BYTES"
    ):
        fetch_bundle(server.url, _version(), tmp_path / "copy", 3_000_001)
    assert server.asked == [f"{FILE}/manifest.json"]
    _give_bundle(server, state=b"{} and more")
    with pytest.raises(ValueError, match=r"state\.json has 11 bytes, its manifest says 2"):
        fetch_bundle(server.url, _version(), tmp_path / "copy")
    _give_bundle(server, manifest=_manifest(padding="x" * 2_000_000))
    with pytest.raises(rest.RegistryError, match=r"manifest\.json has more than 2,000,000 bytes"):
        fetch_bundle(server.url, _version(), tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def test_half_a_file_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "PAUSE", 0.0)
    bodies = [b"hal", b"half", b"hal", b"hal"]
    with _raw(lambda client: client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + bodies.pop(0))) as uri:
        rest.fetch(uri, "x", tmp_path / "x", 4, 10.0)
        assert (tmp_path / "x").read_bytes() == b"half"
        with pytest.raises(HTTPException, match="ended 1 bytes early"):
            rest.fetch(uri, "x", tmp_path / "x", 4, 10.0)


def test_a_missing_artifact_is_an_error_of_the_registry(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HTTPError, match="404"):
        fetch_bundle(server.url, _version(), tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def test_of_a_folder_of_this_machine_only_the_bundle_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "model" / "artifacts" / "bundle"
    (source / "state").mkdir(parents=True)
    (source / "manifest.json").write_bytes(_manifest())
    for name, content in CONTENT.items():
        (source / "state" / name).write_bytes(content)
    (source / "state" / "other").write_text("no part of it")
    place = fetch_bundle("http://unused.invalid", _version(str(tmp_path / "model")), tmp_path / "copy")
    assert sorted(path.name for path in place.rglob("*")) == ["arrays.npz", "manifest.json", "state", "state.json"]


@contextmanager
def _raw(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a server that reads a request and lets ``answer`` send what it likes."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            with suppress(OSError):
                client, _ = listener.accept()
                with client, suppress(OSError):
                    client.recv(65_536)
                    answer(client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _drip(first: bytes) -> Callable[[socket.socket], None]:
    def answer(client: socket.socket) -> None:
        client.sendall(first)
        while True:
            time.sleep(0.05)
            client.sendall(b"x")

    return answer


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nX-Header: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["a header", "a body", "a body without a length"],
)
def test_a_server_that_drips_is_left_when_the_time_for_a_look_is_up(
    first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes well within the timeout of the socket."""
    monkeypatch.setattr(rest, "LOOK", 1.0)
    with _raw(_drip(first)) as uri:
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="no whole answer within 1 s"):
            version_of(uri, "m", "champion")
        assert 0.9 < time.monotonic() - begun < 5


def test_a_file_that_comes_too_slowly_or_without_end_is_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "LOOK", 1.0)
    length = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"
    with _raw(_drip(length)) as uri, pytest.raises(TimeoutError):
        rest.fetch(uri, "x", tmp_path / "x", 3_000_000, 1.0)

    def endless(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b"x" * 100_000)

    with (
        _raw(endless) as uri,
        pytest.raises(ValueError, match="has more than the 3,000,000 bytes that its manifest says"),
    ):
        rest.fetch(uri, "x", tmp_path / "x", 3_000_000, 10.0)
    assert (tmp_path / "x").stat().st_size <= 3_000_000
    ten_terabytes = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000000\r\n\r\n"
    with _raw(_drip(ten_terabytes)) as uri, pytest.raises(ValueError, match="has 10,000,000,000,000 bytes"):
        rest.fetch(uri, "x", tmp_path / "x", 3_000_000, 10.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "7x"},
        {"version": "../../7"},
        {"version": "٣"},
        {"version": ""},
        {"version": None},
        {"name": "another"},
    ],
)
def test_a_version_that_is_none_is_named(server: Server, changes: dict[str, Any]) -> None:
    server.answers[ALIAS] = [(200, {"model_version": VERSION | changes})]
    with pytest.raises(rest.RegistryError, match=r"expected a number|expected 'a b/c'"):
        version_of(server.url, "a b/c", "champion")


def test_other_sources_are_fetched_by_mlflow_in_a_process_of_its_own(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"client cannot fetch dbfs:/model; it says: .*\w"):
        fetch_bundle(server.url, _version("dbfs:/model"), tmp_path / "copy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("start", ["mlflow-artifacts://", "http://", "https://", "ftp://", "MLFLOW-ARTIFACTS://u:p@"])
def test_a_source_at_another_host_is_not_asked(server: Server, tmp_path: Path, start: str) -> None:
    """It would get the password of this replica at the registry."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.2)
        place = f"{start}127.0.0.1:{other.getsockname()[1]}/0/r"
        with pytest.raises(ValueError, match="expected mlflow-artifacts:/path of the registry's own server"):
            fetch_bundle(server.url, _version(place), tmp_path / "copy")
        with pytest.raises(TimeoutError):
            other.accept()


@pytest.mark.parametrize("source", ["dbfs:/model", "mlflow-artifacts://OWN/0/r"])
def test_only_the_own_server_gets_the_password(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    seen: list[dict[str, str]] = []

    def run(*given: Any, env: dict[str, str], **more: Any) -> subprocess.CompletedProcess[str]:
        seen.append(env)
        return subprocess.CompletedProcess([], 1, "", "no")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(OSError, match="it says: no"):
        fetch_bundle(server.url, _version(source.replace("OWN", urlsplit(server.url).netloc)), tmp_path / "copy")
    assert ("MLFLOW_TRACKING_PASSWORD" in seen[0]) == (source.startswith("mlflow"))


def test_a_source_at_another_server_has_no_path() -> None:
    assert rest.path_of("mlflow-artifacts://other:5000/0/r") is None
