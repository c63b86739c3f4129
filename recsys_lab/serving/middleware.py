"""Around every request, in plain ASGI: its id, the key, the size of the body, headers, metrics, the log line, bugs."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import time
import uuid
from collections.abc import Collection
from typing import Any

from opentelemetry import trace
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys_lab.serving.errors import CONTENT_TYPE, problem_body
from recsys_lab.serving.logs import HIDDEN, log
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.settings import HEALTH, MAX_BODY, MAX_ITEMS, METRICS, READY

MOST_PARAMETERS = MAX_ITEMS + 20  # of a query string: each item to exclude may be one
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{8,100}")
_HOST = re.compile(rb"([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::\d*)?")
_QUIET = {HEALTH, READY, METRICS}  # asked every second: their good answers say nothing new
_POLICY = (
    b"default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; object-src 'none'; "
    b"frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class Around:
    """The one middleware: what it learns of a request while it is answered stands in the scope under "facts".

    ``hosts``: names in the Host header that are answered without a key.
    """

    def __init__(self, app: ASGIApp, monitoring: Monitoring, api_key: str, hosts: Collection[str]) -> None:
        self.app, self.monitoring = app, monitoring
        self.key = api_key.encode()
        self.hosts = frozenset() if "*" in hosts else frozenset({"", "localhost", *hosts})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        scope["request_id"] = request_id = _request_id(headers)
        scope["facts"] = {}
        trace.get_current_span().set_attribute("request_id", request_id)
        status = 0
        guarded = scope["path"].startswith("/v1/")

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += [(b"x-request-id", request_id.encode()), *_HEADERS]
                if guarded:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        bug: BaseException | None = None
        try:
            if not self.key and self.hosts and not all(_is_ours(one, self.hosts) for one in _hosts(scope)):
                await _refuse(answer, 421, _FOREIGN, request_id)
            elif guarded and not self.key and headers.get(b"sec-fetch-site", b"none") not in _OWN_PAGES:
                await _refuse(answer, 403, _CROSS_SITE, request_id)
            elif guarded and self.key and not _has_key(headers, self.key):
                await _refuse(answer, 401, "give the key as X-API-Key, or as Authorization: Bearer", request_id)
            elif _too_long(headers):
                await _refuse(answer, 413, _LIMIT, request_id)
            elif scope["query_string"].count(b"&") > MOST_PARAMETERS:
                message = f"expected at most {MOST_PARAMETERS} parameters"
                fault = {"path": "query", "message": message}
                await _refuse(answer, 422, f"query: {message}", request_id, errors=[fault])
            else:
                await self.app(scope, _Bounded(receive), answer)
        except Exception as error:
            bug = error
            if not status:
                await _refuse(answer, 500, "something went wrong here; the request id finds it in the log", request_id)
        route = getattr(scope.get("route"), "path", None) or "none"
        seconds = time.perf_counter() - started
        self.monitoring.request(route, status, seconds)
        if bug is not None or status >= 400 or route not in _QUIET:
            _log(route, scope, status, seconds, bug)


_FOREIGN = "the Host header has a foreign name; expected localhost, an IP address or a name in RECSYS_LAB_HOSTS"
_OWN_PAGES = (b"same-origin", b"none")  # none: a person typed the address; other programs send no such header
_CROSS_SITE = "a page of another site asks; without a key only the service's own page may"
_LIMIT = f"the body is larger than {MAX_BODY:,} bytes; send less at a time"


class _Bounded:
    """``receive`` that counts the bytes of a body without a Content-Length."""

    __slots__ = ("receive", "received")

    def __init__(self, receive: Receive) -> None:
        self.receive, self.received = receive, 0

    async def __call__(self) -> Message:
        message = await self.receive()
        self.received += len(message.get("body", b""))
        if self.received > MAX_BODY:
            raise HTTPException(413, _LIMIT)
        return message


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"")
    return given.decode("ascii") if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _hosts(scope: Scope) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == b"host"]


def _is_ours(host: bytes, names: Collection[str]) -> bool:
    """Whether a page that the browser has from ``host`` may be ours.

    A foreign site can have its own name point here (DNS rebinding), but not be loaded from an address of ours.
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].decode("ascii").lower()
    if name in names:
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _has_key(headers: dict[bytes, bytes], key: bytes) -> bool:
    """In a time that does not depend on how much of the key is right."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    given = headers.get(b"x-api-key") or (token.strip() if scheme.lower() == b"bearer" else b"")
    return hmac.compare_digest(given, key)


def _too_long(headers: dict[bytes, bytes]) -> bool:
    length = headers.get(b"content-length", b"0")
    return length.isdigit() and int(length[:20]) > MAX_BODY


async def _refuse(send: Send, status: int, detail: str, request_id: str, **members: Any) -> None:
    body = problem_body(status, detail, request_id, **members)
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log(route: str, scope: Scope, status: int, seconds: float, bug: BaseException | None) -> None:
    facts = scope["facts"]
    hide = {facts.pop(HIDDEN, ""), scope.get("path_params", {}).get("user_id", "")}
    level = logging.ERROR if status >= 500 and status != 503 else logging.WARNING if status >= 400 else logging.INFO
    log(
        "request" if bug is None else f"unhandled {type(bug).__name__}",
        level=level,
        error=bug,
        hide=hide,
        request_id=scope["request_id"],
        route=route,
        method=scope["method"],
        status=status,
        ms=round(seconds * 1000, 2),
        **facts,
    )
