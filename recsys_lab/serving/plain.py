"""Routes without FastAPI's own reading of requests, which costs a third of one: it still documents and refuses them."""

from __future__ import annotations

import re

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from recsys_lab.serving.settings import MAX_ID

ID_PATTERN = r"^[^\x00-\x1f\x7f]+$"
_ID = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_ID}}}")


class PlainRoute(APIRoute):
    """A route whose function takes the request and, by name, the ids in its path, and returns a response.

    Another method, and ids that are not right, are left to FastAPI, which says so.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose path is that of the route."""
        ids = scope["path_params"]
        if scope["method"] not in (self.methods or ()) or not all(map(_ID.fullmatch, ids.values())):
            await super().handle(scope, receive, send)
            return
        response = await self.endpoint(Request(scope, receive), **ids)
        await response(scope, receive, send)


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Put the routes of ``router`` into ``app`` as they are: an included router is searched twice for each request."""
    app.router.routes.extend(router.routes)
