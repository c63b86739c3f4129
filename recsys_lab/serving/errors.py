"""Errors as problem+json (RFC 9457), with the request's id and without internals."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

CONTENT_TYPE = "application/problem+json"
LONGEST_PATH = 200  # characters of a field's path that are given back: the name of an unknown field may be a megabyte


class Problem(Exception):
    """An answer that is an error: status, what was wrong and what would be right."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.members = status, detail, dict(headers or {}), members


def problem_body(status: int, detail: str, request_id: str, **members: Any) -> bytes:
    """The body of a problem+json answer."""
    title = HTTPStatus(status).phrase
    return orjson.dumps(
        {"type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": request_id, **members}
    )


def add_error_handlers(app: FastAPI) -> None:
    """Every error that a route raises becomes problem+json; unexpected ones are the middleware's."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _answer(request: Request, status: int, detail: str, headers: Mapping[str, str] | None, **members: Any) -> Response:
    body = problem_body(status, detail, request.scope.get("request_id", ""), **members)
    return Response(body, status, headers=dict(headers or {}), media_type=CONTENT_TYPE)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error.status, error.detail, error.headers, **error.members)


async def _invalid(request: Request, error: Exception) -> Response:
    """422 with the path of every field that is not right, such as ``query.k`` or ``body.items.0.item_id``."""
    assert isinstance(error, RequestValidationError)
    found = [
        {"path": ".".join(map(str, one["loc"]))[:LONGEST_PATH], "message": one["msg"]} for one in error.errors()[:20]
    ]
    detail = "; ".join(f"{one['path']}: {one['message']}" for one in found[:3])
    return _answer(request, 422, detail, None, errors=found)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code in (400, 422):  # a body that cannot be read
        message = str(error.detail) if error.status_code == 422 else "the body cannot be read; expected JSON in UTF-8"
        return _answer(request, 422, f"body: {message}", None, errors=[{"path": "body", "message": message}])
    return _answer(request, error.status_code, str(error.detail), error.headers)
