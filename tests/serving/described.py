"""Requests that the OpenAPI description gives rise to, and what their answers must be; by schemathesis.

Its checks: no 5xx, the status, content type and body are described, what is described is taken and nothing else is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from starlette.types import ASGIApp, Receive, Scope, Send

from recsys_lab.serving.app import create_app
from tests.serving.apps import settings_in


def app_to_describe(folder: Path) -> FastAPI:
    """An app that has no model yet and has touched nothing."""
    return create_app(settings_in(folder))


def examples(n: int) -> settings:
    """So many requests of each route, beside those that stand at the bounds of the description."""
    return settings(max_examples=n, deadline=None, suppress_health_check=list(HealthCheck))


def without_lifespan(app: ASGIApp) -> ASGIApp:
    """The app, whose threads are started and ended by the test and not by each client."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        message: Any = {"type": ""}
        while message["type"] != "lifespan.shutdown":
            message = await receive()
            await send({"type": f"{message['type']}.complete"})

    return asked
