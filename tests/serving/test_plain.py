"""Routes that read their requests themselves: the same answers and refusals as FastAPI's own."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Path, Request, Response
from fastapi.testclient import TestClient

from recsys_lab.serving.plain import ID_PATTERN, PlainRoute, add_routes
from recsys_lab.serving.settings import MAX_ID
from tests.serving.apps import Registry, Start, bundle_of

Id = Annotated[str, Path(min_length=1, max_length=MAX_ID, pattern=ID_PATTERN)]


def _client(**options: Any) -> TestClient:
    router = APIRouter(prefix="/v1", **options)

    @router.get("/users/{user_id:path}/items/{item_id}")
    async def pair(request: Request, user_id: Id, item_id: Id) -> Response:
        return Response(f"{user_id}|{item_id}|{request.url.query}")

    app = FastAPI()
    add_routes(app, router)
    return TestClient(app)


@pytest.mark.parametrize(
    "path",
    ["/v1/users/7/items/8?k=3", "/v1/users/a%2Fb/items/c%20d", "/v1/users/%C3%A9/items/1", "/v1/users/a/b/items/c"]
    + [f"/v1/users/{'x' * n}/items/1" for n in (MAX_ID, MAX_ID + 1)]
    + ["/v1/users/a%00b/items/1", "/v1/users/1/items/a%0Ab", "/v1/users//items/1", "/v1/users/1/items/", "/v1/nothing"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_plain_route_says_what_fastapi_says(path: str, method: str) -> None:
    plain, usual = (_client(**options).request(method, path) for options in ({"route_class": PlainRoute}, {}))
    assert (plain.status_code, plain.content) == (usual.status_code, usual.content)


def test_the_function_of_a_plain_route_is_documented() -> None:
    assert _client(route_class=PlainRoute).get("/openapi.json").json() == _client().get("/openapi.json").json()


def test_the_route_is_known_to_metrics(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start()
    assert client.get(f"/v1/users/{bundle_of().user_ids[0]}/recommendations").status_code == 200
    assert 'route="/v1/users/{user_id:path}/recommendations",status="200"' in client.get("/metrics").text
