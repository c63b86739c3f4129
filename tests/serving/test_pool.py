"""Models with many items are asked in the thread pool: the same lists, for many requests at once."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from recsys_lab.serving import service
from recsys_lab.serving.app import create_app
from recsys_lab.serving.recommender import Recommender
from tests.serving.apps import Registry, bundle_of, settings_in


def _asked() -> list[tuple[str, str, Any]]:
    users, items = bundle_of("IALS").user_ids, bundle_of("IALS").item_ids
    asked: list[tuple[str, str, Any]] = []
    for place, user in enumerate(users[:60]):
        asked.append(("GET", f"/v1/users/{user}/recommendations?k=12&explain={place % 2}", None))
        rated = [{"item_id": str(item), "rating": 4} for item in items[place : place + 3]]
        asked.append(("POST", "/v1/recommendations", {"items": rated, "k": 7}))
        asked.append(("GET", f"/v1/items/{items[place]}/similar?k=5", None))
    asked.append(("GET", "/v1/users/nobody/recommendations?strict=1", None))
    asked.append(("GET", "/v1/items/nothing/similar", None))
    return asked


def _answers(app: FastAPI) -> list[tuple[int, Any]]:
    """Status and list of every question, all asked at once."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await asyncio.gather(*(client.request(how, path, json=body) for how, path, body in _asked()))

    return [(one.status_code, one.json().get("items")) for one in asyncio.run(ask())]


@pytest.fixture
def app(registry: Registry, tmp_path: Path) -> FastAPI:
    registry.add(bundle_of("IALS"), "champion")
    made = create_app(settings_in(tmp_path))
    made.state.watcher.check()
    return made


def test_lists_from_the_pool_are_those_of_the_event_loop(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[str] = set()
    recommend = Recommender.recommend

    def watched(self: Recommender, *given: Any, **options: Any) -> Any:
        threads.add(threading.current_thread().name)
        return recommend(self, *given, **options)

    monkeypatch.setattr(Recommender, "recommend", watched)
    monkeypatch.setattr(service, "POOL_FROM", 10**9)
    expected = _answers(app)
    assert threads == {threading.current_thread().name, "slow_0"}  # reasons take long with few items too
    threads.clear()
    monkeypatch.setattr(service, "POOL_FROM", 1)
    found = _answers(app)
    assert found == expected
    assert len([name for name in threads if name.startswith("score")]) > 1
    assert threads - {"slow_0"} == {name for name in threads if name.startswith("score")}
    assert [status for status, _ in found].count(404) == 2
    app.state.service.close()


def test_a_bug_in_the_pool_is_a_500_and_the_pool_goes_on(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "POOL_FROM", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Recommender, "recommend", lambda *_, **__: 1 / 0)
        assert {status for status, _ in _answers(app)[:180:3]} == {500}
    assert {status for status, _ in _answers(app)[:180]} == {200}
    app.state.service.close()
