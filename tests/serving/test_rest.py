"""The registry read over HTTP: who asks, what is bounded, and what a server may not do."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
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

    def lists(self, path: str, *names: str) -> None:
        """Let a folder of artifacts have these entries; a name that ends in / is a folder."""
        files = [{"path": name.removesuffix("/"), "is_dir": name.endswith("/")} for name in names]
        self.answers[f"{rest.FILES}?path={path}"] = [(200, {"files": files})]

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


def test_a_bundle_is_fetched_whole(server: Server, tmp_path: Path) -> None:
    server.lists(ROOT, "manifest.json", "state/")
    server.lists(f"{ROOT}/state", "an array.npz")
    server.gives(f"{ROOT}/manifest.json", b"{}")
    server.gives(f"{ROOT}/state/an%20array.npz", b"\x00" * 3_000_000)
    place = fetch_bundle(server.url, _version(), tmp_path / "copy")
    assert {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} == {
        "manifest.json",
        "state/an array.npz",
    }
    assert (place / "state" / "an array.npz").stat().st_size == 3_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


@pytest.mark.parametrize(
    "name",
    ["../evil", "..", "/etc/evil", "a/../../evil", "..\\evil", "C:evil", ".", "", "/"],
)
@pytest.mark.parametrize("is_dir", [False, True])
def test_a_server_cannot_write_outside_the_folder(server: Server, tmp_path: Path, name: str, is_dir: bool) -> None:
    server.answers[f"{rest.FILES}?path={ROOT}"] = [(200, {"files": [{"path": name, "is_dir": is_dir}]})]
    (tmp_path / "in").mkdir()
    with pytest.raises(rest.RegistryError, match="plain name"):
        fetch_bundle(server.url, _version(), tmp_path / "in" / "copy")
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_a_bundle_without_end_is_left(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MOST_FILES", 3)
    server.lists(ROOT, *"abcd")
    for name in "abcd":
        server.gives(f"{ROOT}/{name}", b"x")
    with pytest.raises(rest.RegistryError, match="more than 3 files"):
        fetch_bundle(server.url, _version(), tmp_path / "copy")
    for depth in range(12):
        server.lists(ROOT + "/a" * depth, "a/")
    with pytest.raises(rest.RegistryError, match="too deep"):
        fetch_bundle(server.url, _version(), tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def test_half_a_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.lists(ROOT, "manifest.json")
    server.answers[f"{rest.FILES}/{ROOT}/manifest.json"] = [(206, b'{"half'), (200, b'{"whole": 1}')]
    place = fetch_bundle(server.url, _version(), tmp_path / "copy")
    assert (place / "manifest.json").read_bytes() == b'{"whole": 1}'


def test_no_artifacts_are_named(server: Server, tmp_path: Path) -> None:
    server.lists(ROOT)
    with pytest.raises(FileNotFoundError, match="no artifacts at 0/r1"):
        fetch_bundle(server.url, _version(), tmp_path / "copy")


def test_other_sources_are_fetched_by_mlflow_in_a_process_of_its_own(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"client cannot fetch nowhere:/model; it says: .*nowhere"):
        fetch_bundle(server.url, _version("nowhere:/model"), tmp_path / "copy")
    assert not list(tmp_path.iterdir())
    assert rest.path_of("mlflow-artifacts://other:5000/0/r") is None
