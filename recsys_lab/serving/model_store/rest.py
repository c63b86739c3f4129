"""MLflow's registry and the artifacts that its server hands out, read over HTTP with the standard library.

MLflow's client would be a third of a replica's memory, and three seconds of its start. Who asks is said as MLflow's
client says it: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN;
MLFLOW_TRACKING_SERVER_CERT_PATH and MLFLOW_TRACKING_INSECURE_TLS are known too. What else that client takes, such as
signed requests or its file of credentials, is left to it: ``can_read`` says no.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import IO, Any, Self, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from recsys_lab.serving.model_store.version import Version

TIMEOUT = 2.0  # seconds without a byte
LOOK = 10.0  # seconds for a whole answer that is no artifact, both tries included
PAUSE = 0.2  # seconds before the second and last try
MOST_JSON = 1_000_000  # bytes of an answer that is no artifact
CHUNK = 1 << 20  # bytes of an artifact that are read at a time
AGAIN = {408, 429, 500, 502, 503, 504}  # what MLflow's client asks again
REGISTRY, FILES = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts/artifacts"
SCHEME = "mlflow-artifacts:"  # artifacts that the server hands out itself
_OTHERS = ("AUTH", "AWS_SIGV4", "CLIENT_CERT_PATH")  # of MLFLOW_TRACKING_...
T = TypeVar("T")


class RegistryError(Exception):
    """What the registry answered is none of the answers it should give."""


def can_read(uri: str) -> bool:
    """Whether the registry is a server whose way to know who asks is one of those above."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return False
    asked = [f"MLFLOW_TRACKING_{name}" for name in _OTHERS] + ["MLFLOW_WORKSPACE"]
    return not any(os.environ.get(name) for name in asked) and not Path("~/.mlflow/credentials").expanduser().exists()


def version_of(uri: str, name: str, wanted: str) -> Version | None:
    """The version that ``wanted`` means: a number, or an alias. None where there is none."""
    if wanted.isdigit():
        path = f"{REGISTRY}/model-versions/get?{urlencode({'name': name, 'version': wanted})}"
    else:
        path = f"{REGISTRY}/registered-models/alias?{urlencode({'name': name, 'alias': wanted})}"
    try:
        return _as_version(_json(uri, path)["model_version"], name)
    except HTTPError as error:
        if _code(error) in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RegistryError(f"{uri}{path}: {type(error).__name__}: {error}; is this MLflow's server?") from error


def _as_version(found: Any, name: str) -> Version:
    tags = {str(tag["key"]): str(tag.get("value", "")) for tag in found.get("tags") or []}
    if found["name"] != name:
        raise ValueError(f"it is about {str(found['name'])[:50]!r}, expected {name!r}")
    return Version(name, str(found["version"]), str(found.get("run_id") or ""), str(found.get("source")), tags)


def path_of(source: str) -> str | None:
    """The path below the server's artifacts of "mlflow-artifacts:/path"; None for other sources, and other servers."""
    path = source.removeprefix(SCHEME)
    return None if path == source or urlsplit(source).netloc else path.strip("/")


def read(uri: str, path: str, most: int) -> bytes:
    """The content of a small file of the server's artifacts. RegistryError for one of more than ``most`` bytes."""
    text = _ask(uri, f"{FILES}/{quote(path)}", lambda answer: answer.read(most + 1), LOOK)
    if len(text) > most:
        raise RegistryError(f"{path} has more than {most:,} bytes")
    return text


def fetch(uri: str, path: str, target: Path, n_bytes: int, seconds: float) -> None:
    """A file of the server's artifacts, to ``target``. ValueError unless it has ``n_bytes``; no more are written."""

    def once(answer: HTTPResponse) -> None:
        if answer.length not in (None, n_bytes):
            raise ValueError(f"{path} has {answer.length:,} bytes, its manifest says {n_bytes:,}")
        left = n_bytes
        with target.open("wb") as file:
            while chunk := answer.read(min(CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise ValueError(f"{path} has more than the {n_bytes:,} bytes that its manifest says")
                file.write(chunk)
        if left:
            raise HTTPException(f"{path} ended {left} bytes early")

    _ask(uri, f"{FILES}/{quote(path)}", once, seconds)


def _json(uri: str, path: str) -> Any:
    text = _ask(uri, path, lambda answer: answer.read(MOST_JSON + 1), LOOK)
    try:
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    except ValueError:  # an answer that was cut off for its length is no JSON either
        pass
    raise RegistryError(f"{uri}{path} answers no JSON object, but {text[:60]!r}; is this MLflow's server?")


def _ask(uri: str, path: str, read_answer: Callable[[HTTPResponse], T], seconds: float) -> T:
    """What ``read_answer`` makes of the answer, within ``seconds``, however slowly its bytes come.

    A second try where the first met no answer, half of one or a busy server.
    """
    request = Request(uri.rstrip("/") + path, headers=_headers())
    with _Deadline(seconds) as deadline:

        def once() -> T:
            with _opener(uri, deadline).open(request, timeout=TIMEOUT) as answer:
                return read_answer(answer)

        try:
            try:
                found = once()
            except (OSError, HTTPException) as error:  # HTTPError is an OSError
                if deadline.over or (isinstance(error, HTTPError) and error.code not in AGAIN):
                    raise
                time.sleep(PAUSE)
                found = once()
        except (OSError, HTTPException, ValueError):
            if not deadline.over:
                raise
    if deadline.over:
        raise TimeoutError(f"{uri}{path}: no whole answer within {seconds:.0f} s")
    return found


class _Deadline:
    """Ends the connection that it watches when the time is up: a timeout of a socket begins again with every byte."""

    def __init__(self, seconds: float) -> None:
        self.over: bool = False
        self._sock: Any = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    def watch(self, sock: Any) -> None:
        """Watch this socket from now on."""
        self._sock = sock
        if self.over:
            self._end()

    def _end(self) -> None:
        self.over = True
        if self._sock is not None:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


def _headers() -> dict[str, str]:
    user, password, token = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD", "TOKEN"))
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}


class _NoRedirect(HTTPRedirectHandler):
    """A redirect is an error: it could take the credentials to another host."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        raise RegistryError(f"{req.full_url} redirects to {newurl}; give the address that answers itself")


def _opener(uri: str, deadline: _Deadline) -> OpenerDirector:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            deadline.watch(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()  # the handshake has its time out as a whole
            deadline.watch(self.sock)

    class Handler(HTTPHandler):
        def http_open(self, req: Request) -> HTTPResponse:
            return self.do_open(Plain, req)

    class SecureHandler(HTTPSHandler):
        def https_open(self, req: Request) -> HTTPResponse:
            return self.do_open(Secure, req, context=_context())

    return build_opener(_NoRedirect, Handler, SecureHandler)


def _context() -> ssl.SSLContext:
    trusted = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or os.environ.get("REQUESTS_CA_BUNDLE")
    is_folder = bool(trusted) and Path(str(trusted)).is_dir()
    context = ssl.create_default_context(
        cafile=None if is_folder else trusted or None, capath=trusted if is_folder else None
    )
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _code(error: HTTPError) -> str:
    """MLflow's code of an error, such as RESOURCE_DOES_NOT_EXIST; empty where it is not MLflow's."""
    try:
        found = json.loads(error.read(MOST_JSON))
        return str(found.get("error_code", ""))
    except (ValueError, AttributeError, OSError):
        return ""
