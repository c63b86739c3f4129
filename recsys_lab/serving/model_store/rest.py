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
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from recsys_lab.serving.model_store.version import Version

TIMEOUT = 2.0  # seconds without a byte
PAUSE = 0.2  # seconds before the second and last try
MOST_JSON = 1_000_000  # bytes of an answer that is no artifact
MOST_FILES = 1000  # of a bundle
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
        found = _json(uri, path)["model_version"]
        tags = {str(tag["key"]): str(tag.get("value", "")) for tag in found.get("tags") or []}
        return Version(found["name"], str(found["version"]), found.get("run_id") or "", str(found.get("source")), tags)
    except HTTPError as error:
        if _code(error) in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    except (KeyError, TypeError, AttributeError) as error:
        raise RegistryError(f"{uri}{path}: {type(error).__name__}: {error}; is this MLflow's server?") from error


def path_of(source: str) -> str | None:
    """The path below the server's artifacts of "mlflow-artifacts:/path"; None for other sources, and other servers."""
    path = source.removeprefix(SCHEME)
    return None if path == source or urlsplit(source).netloc else path.strip("/")


def fetch(uri: str, path: str, folder: Path) -> None:
    """All files below ``path`` of the server's artifacts, to ``folder``, which does not exist yet.

    Names come from the server: one that is no plain name is refused, so that nothing is written outside ``folder``.
    """
    folder.mkdir()
    for count, (file, target) in enumerate(_files(uri, path, folder), 1):
        if count > MOST_FILES:
            raise RegistryError(f"{path} has more than {MOST_FILES} files; a bundle has a few")
        _download(uri, file, target)


def _files(uri: str, path: str, folder: Path, depth: int = 0) -> Iterator[tuple[str, Path]]:
    """Path and place of every file below ``path``; the folders are made. FileNotFoundError where there is none."""
    found = _json(uri, f"{FILES}?{urlencode({'path': path})}").get("files") or []
    if not found and not depth:
        raise FileNotFoundError(f"{uri} has no artifacts at {path}")
    if depth > 8:
        raise RegistryError(f"{path} lies too deep; a bundle has one folder in another")
    for one in found:
        name = str(one["path"])
        if name in ("", ".", "..") or any(mark in name for mark in "/\\:\0"):
            raise RegistryError(f"the server names an artifact {name!r}; right would be the plain name of a file")
        if one.get("is_dir"):
            (folder / name).mkdir()
            yield from _files(uri, f"{path}/{name}", folder / name, depth + 1)
        else:
            yield f"{path}/{name}", folder / name


def _download(uri: str, path: str, target: Path) -> None:
    def once(answer: HTTPResponse) -> None:
        with target.open("wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
        if answer.length:
            raise HTTPException(f"{path} ended {answer.length} bytes early")

    _ask(uri, f"{FILES}/{quote(path)}", once)


def _json(uri: str, path: str) -> Any:
    def once(answer: HTTPResponse) -> bytes:
        return answer.read(MOST_JSON + 1)

    text = _ask(uri, path, once)
    try:
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    except ValueError:  # an answer that was cut off for its length is no JSON either
        pass
    raise RegistryError(f"{uri}{path} answers no JSON object, but {text[:60]!r}; is this MLflow's server?")


def _ask(uri: str, path: str, read: Callable[[HTTPResponse], T]) -> T:
    """What ``read`` makes of the answer; a second try where the first met no answer, half of one or a busy server."""
    opener = _opener(uri)
    request = Request(uri.rstrip("/") + path, headers=_headers())
    for last in (False, True):
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                return read(answer)
        except (OSError, HTTPException) as error:  # HTTPError is an OSError
            if last or (isinstance(error, HTTPError) and error.code not in AGAIN):
                raise
        time.sleep(PAUSE)
    raise AssertionError


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


def _opener(uri: str) -> OpenerDirector:
    return build_opener(_NoRedirect, *([HTTPSHandler(context=_context())] if urlsplit(uri).scheme == "https" else []))


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
