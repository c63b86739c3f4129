"""The routes below /v1: what is asked, checked by its schema, goes to the service; answers leave as JSON bytes."""

from __future__ import annotations

from typing import Annotated, Any, cast

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from recsys_lab.serving import searches
from recsys_lab.serving.arms import pick
from recsys_lab.serving.bodies import BoundedRoute, checked
from recsys_lab.serving.errors import CONTENT_TYPE, Problem
from recsys_lab.serving.models import Loaded
from recsys_lab.serving.schemas import (
    ID_PATTERN,
    ID_RULE,
    AcceptedOut,
    Events,
    FoldIn,
    ItemsOut,
    ListOut,
    PageOptions,
    ProblemOut,
    SaidOut,
    SimilarOptions,
    SimilarOut,
    UserOptions,
    UsersOut,
)
from recsys_lab.serving.service import Service
from recsys_lab.serving.settings import MAX_ID

UserId = Annotated[str, Path(min_length=1, max_length=MAX_ID, pattern=ID_PATTERN, description=ID_RULE)]
ItemId = UserId


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": "#/components/schemas/ProblemOut"}
    content = {CONTENT_TYPE: {"schema": schema}}
    texts = {
        401: "The key is missing or wrong",
        404: "Not known",
        413: "The body is too large",
        422: "A field is not right",
        503: "No model, or a full queue; Retry-After says when to ask again",
    }
    return {status: {"description": texts[status], "content": content} for status in (401, 422, 503, *statuses)}


router = APIRouter(prefix="/v1", responses=_problems(), tags=["v1"], route_class=BoundedRoute)


def service_of(request: Request) -> Service:
    """The service of the app that got the request."""
    return cast(Service, request.scope["app"].state.service)


def answer(body: Any, status: int = 200) -> Response:
    """``body`` as JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")


@router.get("/users/{user_id:path}/recommendations", responses={200: {"model": ListOut}, **_problems(404)})
async def recommend(request: Request, user_id: UserId, asked: Annotated[UserOptions, Query()]) -> Response:
    """The k best items for a user."""
    return answer(await service_of(request).for_user(user_id, asked, request.scope["facts"]))


@router.get("/users/{user_id:path}/items", responses={200: {"model": ItemsOut}, **_problems(404)})
async def items_of_user(request: Request, user_id: UserId, asked: Annotated[PageOptions, Query()]) -> Response:
    """What the model knows that a user has."""
    served = _champion(request).recommender
    code = served.user_codes.get(user_id)
    if code is None:
        raise Problem(404, "the model does not know this user; /v1/users?q= finds users")
    return answer(searches.items_of_user(served, code, asked))


@router.get("/users/{user_id:path}/feedback", responses={200: {"model": SaidOut}, **_problems(404)})
async def said(request: Request, user_id: UserId) -> Response:
    """What a user said of items lately, as far as it acts on their lists."""
    return answer(service_of(request).said_by(user_id, request.scope["facts"]))


@router.post("/recommendations", responses={200: {"model": ListOut}, **_problems(404, 413)})
async def fold_in(request: Request, asked: FoldIn) -> Response:
    """The k best items for somebody who has the given items, known or not."""
    return answer(await service_of(request).fold_in(asked, request.scope["facts"]))


@router.get("/items/{item_id:path}/similar", responses={200: {"model": SimilarOut}, **_problems(404)})
async def similar(request: Request, item_id: ItemId, asked: Annotated[SimilarOptions, Query()]) -> Response:
    """The k items most like an item."""
    return answer(await service_of(request).similar(item_id, asked.k, asked.model))


@router.get("/items", responses={200: {"model": ItemsOut}})
async def find_items(request: Request, asked: Annotated[PageOptions, Query()]) -> Response:
    """Items by title or id, the most popular first."""
    return answer(await searches.find_items(_champion(request).recommender, asked))


@router.get("/users", responses={200: {"model": UsersOut}})
async def find_users(request: Request, asked: Annotated[PageOptions, Query()]) -> Response:
    """Users by id."""
    return answer(await searches.find_users(_champion(request).recommender, asked))


@router.post("/feedback", status_code=202, responses={202: {"model": AcceptedOut}, **_problems(413)})
async def feedback(request: Request, events: Events) -> Response:
    """What people did with items; all events are taken, or none."""
    return answer({"accepted": service_of(request).take(await checked(events))}, 202)


@router.get("/model", responses={200: {"description": "The champion, and the challenger where there is one"}})
async def model(request: Request) -> Response:
    """Which models answer: version, run, metrics, what they can do, since when."""
    service = service_of(request)
    champion, challenger = _champion(request), service.models.challenger
    settings = service.settings
    return answer(
        {
            **_described(service, champion),
            "challenger": _described(service, challenger) if challenger else None,
            "ab_share": settings.ab_share,
            "shadow": settings.shadow,
        }
    )


def _champion(request: Request) -> Loaded:
    service = service_of(request)
    return pick(service.settings, service.models, "champion")


def _described(service: Service, loaded: Loaded) -> dict[str, Any]:
    manifest, served = loaded.manifest, loaded.recommender
    names = ("label", "parameters", "experiment", "dataset", "metrics", "primary", "trained_on", "created", "reason")
    return {
        **loaded.about,
        "run_id": loaded.version.run_id,
        **{name: manifest[name] for name in names if name in manifest},
        "n_users": served.bundle.n_users,
        "n_items": served.bundle.n_items,
        "genres": served.genres,
        "capabilities": {"folds_in": manifest["folds_in"], "similar": True, "explain": True},
        "loaded_at": loaded.loaded_at,
        "stale": service.models.stale[loaded.role],
    }


__all__ = ["ProblemOut", "router", "service_of"]
