"""Whatever is sent, no answer is a 5xx, and every answer is one that the OpenAPI description names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.serving.app import create_app
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.models import Loaded
from recsys_lab.serving.openapi import route_table
from recsys_lab.serving.recommender import Recommender
from tests.serving.apps import app_of, bundle_of, settings_in

CALM = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
IDS = st.one_of(st.sampled_from([str(bundle_of().item_ids[0]), str(bundle_of().user_ids[0])]), st.text(max_size=30))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
NAMES = st.sampled_from(
    ["k", "exclude", "genre", "model", "explain", "strict", "exclude_seen", "q", "limit", "offset", "x"]
)
VALUES = st.sampled_from(["1", "0", "-1", "true", "champion", "challenger", "9" * 30, "nan", "", "Drama"]) | st.text(
    max_size=10
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = create_app(settings_in(tmp_path_factory.mktemp("app")))
    version = Version("recommender", "1", "r", "s", {})
    manifest = {"algorithm": "EASE", "folds_in": True}
    app.state.models.swap(Loaded("champion", version, Recommender(bundle_of()), manifest, 0.0))
    app.state.feedback.start()
    yield TestClient(app)
    app.state.service.close()
    app.state.feedback.close()


def _is_described(client: TestClient, template: str, method: str, got: Any) -> None:
    assert got.status_code < 500, got.text
    responses = app_of(client).openapi()["paths"][template][method]["responses"]
    assert str(got.status_code) in responses
    assert got.headers["content-type"] in responses[str(got.status_code)]["content"]
    json.loads(got.content)


@CALM
@given(
    template=st.sampled_from(
        [
            "/v1/users/{user_id}/recommendations",
            "/v1/users/{user_id}/items",
            "/v1/items/{item_id}/similar",
            "/v1/items",
            "/v1/users",
        ]
    ),
    one=IDS.filter(lambda text: text.strip("/.") != ""),
    values=st.lists(st.tuples(NAMES, VALUES), max_size=4),
)
def test_questions(client: TestClient, template: str, one: str, values: list[tuple[str, str]]) -> None:
    from urllib.parse import quote

    path = template.replace("{user_id}", quote(one, safe="")).replace("{item_id}", quote(one, safe=""))
    _is_described(client, template, "get", client.get(path, params=values))


ITEM = st.fixed_dictionaries({"item_id": IDS | st.integers()}, optional={"rating": st.floats() | st.none()})
NEAR = st.fixed_dictionaries(
    {"items": st.lists(ITEM, max_size=5)},
    optional={
        "k": st.integers(-1, 120),
        "exclude": st.lists(IDS, max_size=3),
        "user_id": IDS,
        "genre": IDS,
        "explain": st.booleans(),
    },
)
EVENT = st.fixed_dictionaries(
    {
        "event_id": IDS,
        "user_id": IDS,
        "item_id": IDS,
        "event": st.sampled_from(["view", "click", "like", "dislike", "x"]),
    },
    optional={"list_id": IDS | st.none()},
)


@CALM
@given(path=st.sampled_from(["/v1/recommendations", "/v1/feedback"]), body=ANY | NEAR | st.lists(EVENT, max_size=4))
def test_bodies(client: TestClient, path: str, body: Any) -> None:
    text = json.dumps(body)
    headers = {"content-type": "application/json"}
    _is_described(client, path, "post", client.post(path, content=text, headers=headers))


@CALM
@given(
    path=st.sampled_from(["/v1/recommendations", "/v1/feedback"]),
    body=st.binary(max_size=60),
    kind=st.sampled_from(["application/json", "text/plain", ""]),
)
def test_bytes(client: TestClient, path: str, body: bytes, kind: str) -> None:
    _is_described(client, path, "post", client.post(path, content=body, headers={"content-type": kind}))


def test_the_table_of_routes_in_the_docs_is_up_to_date(client: TestClient) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    assert route_table(app_of(client)) in text
