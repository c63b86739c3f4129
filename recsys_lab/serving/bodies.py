"""JSON bodies at a bounded cost: no body of a size that is taken holds the event loop up for more than a few ms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import FailFast, TypeAdapter, ValidationError
from pydantic_core import from_json

from recsys_lab.serving.schemas import Event

MOST_MARKS = 40_000  # opening brackets, commas and quotation marks of a body: 1,000 events have 26,000
SLICE = 50  # events that are checked before others have their turn
_EVENTS: TypeAdapter[list[Event]] = TypeAdapter(Annotated[list[Event], FailFast()])


class BoundedRoute(APIRoute):
    """A route whose body is read by ``BoundedRequest``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given our request."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def bounded(request: Request) -> Response:
            return await handle(BoundedRequest(request.scope, request.receive))

        return bounded


class BoundedRequest(Request):
    """A request that refuses JSON of very many parts before any is made."""

    async def json(self) -> Any:
        """The body; HTTPException 422 for one that is not taken."""
        body = await self.body()
        if sum(map(body.count, (b"[", b"{", b",", b'"'))) > MOST_MARKS:
            raise HTTPException(422, f"too many parts; expected at most {MOST_MARKS:,} of '[', '{{', ',' and '\"'")
        try:
            return from_json(body, cache_strings="keys")
        except ValueError as error:
            raise HTTPException(422, f"invalid JSON: {error}") from None


async def checked(posted: Sequence[Any]) -> list[Event]:
    """The events in ``posted``, checked in slices. RequestValidationError for the first that is not right."""
    events: list[Event] = []
    for first in range(0, len(posted), SLICE):
        try:
            events += _EVENTS.validate_python(posted[first : first + SLICE])
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            where = ("body", first + int(found[0]["loc"][0]))
            raise RequestValidationError([{**one, "loc": (*where, *one["loc"][1:])} for one in found]) from None
        await asyncio.sleep(0)
    return events
