"""Metrics, drift and logs: what an operator sees, and what never leaves the process."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.spatial.distance import jensenshannon

from recsys_lab.serving import logs
from recsys_lab.serving.drift import Drift
from tests.serving.apps import Registry, Start, bundle_of, metric

USER = str(bundle_of().user_ids[3])
NAMES = {
    "request_seconds": "histogram",
    "score_seconds": "histogram",
    "model_info": "gauge",
    "model_loaded_timestamp": "gauge",
    "model_stale": "gauge",
    "registry_contact_timestamp": "gauge",
    "reload_total": "counter",
    "recommendations_total": "counter",
    "fallback_total": "counter",
    "feedback_total": "counter",
    "feedback_queue": "gauge",
    "feedback_queue_capacity": "gauge",
    "feedback_dropped_total": "counter",
    "feedback_written_total": "counter",
    "database_up": "gauge",
    "distinct_items": "gauge",
    "item_coverage": "gauge",
    "drift_items": "gauge",
    "drift_popularity": "gauge",
    "drift_unknown_users": "gauge",
    "drift_user_items": "gauge",
}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The service's log, as it is written."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logs.set_up(stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_every_metric_is_there(client: TestClient) -> None:
    client.get(f"/v1/users/{USER}/recommendations")
    got = client.get("/metrics")
    assert got.headers["content-type"].startswith("text/plain; version=")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", got.text, flags=re.MULTILINE))
    assert {name: types.get(name) for name in NAMES} == NAMES
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", got.text, flags=re.MULTILINE))
    assert all(helps.get(name) for name in NAMES)
    assert not [name for name in types if name.endswith("_created")]


def test_requests_are_counted_by_route_and_not_by_id(client: TestClient) -> None:
    for user in (USER, "nobody"):
        client.get(f"/v1/users/{user}/recommendations")
    client.get("/v1/users/x/recommendations?k=0")
    client.get("/" + "a" * 50)
    route = 'route="/v1/users/{user_id:path}/recommendations"'
    assert metric(client, f'request_seconds_count{{{route},status="200"}}') == 2
    assert metric(client, f'request_seconds_count{{{route},status="422"}}') == 1
    assert metric(client, 'request_seconds_count{route="none",status="404"}') == 1
    text = client.get("/metrics").text
    assert "nobody" not in text
    assert "aaaa" not in text


def test_coverage_and_drift(client: TestClient) -> None:
    users = [str(user) for user in bundle_of().user_ids[:20]]
    shown = [
        one["item_id"] for user in users for one in client.get(f"/v1/users/{user}/recommendations").json()["items"]
    ]
    for _ in range(5):
        shown += [one["item_id"] for one in client.get("/v1/users/nobody/recommendations").json()["items"]]
    bundle = bundle_of()
    assert metric(client, "distinct_items") == len(set(shown))
    assert metric(client, "item_coverage") == pytest.approx(len(set(shown)) / len(bundle.candidates))
    assert metric(client, "drift_unknown_users") == pytest.approx(5 / 25)
    codes = [[str(item) for item in bundle.item_ids].index(item) for item in shown]
    served = np.bincount(codes, minlength=bundle.n_items)
    expected = jensenshannon(served, bundle.popularity, base=2) ** 2
    assert metric(client, "drift_items") == pytest.approx(expected, rel=1e-9)
    rows = np.repeat(np.arange(bundle.n_items), bundle.popularity)
    ratio = bundle.popularity[codes].mean() / bundle.popularity[rows].mean()
    assert metric(client, "drift_popularity") == pytest.approx(ratio)
    sizes = np.diff(bundle.histories.indptr)
    assert metric(client, "drift_user_items") == pytest.approx(sizes[:20].mean() / sizes.mean())


def test_lists_drawn_like_the_training_rows_do_not_drift() -> None:
    drift, bundle = Drift(), bundle_of()
    drift.reset(bundle)
    rng = np.random.default_rng(0)
    share = bundle.popularity / bundle.popularity.sum()
    for _ in range(1000):
        drift.lists.append(rng.choice(bundle.n_items, 100, p=share).astype(np.int32))
    values = {family.name: family.samples[0].value for family in drift.collect()}
    assert values["drift_items"] < 0.01
    assert values["drift_popularity"] == pytest.approx(1, abs=0.03)
    assert np.isnan(values["drift_unknown_users"])


def test_log_lines(registry: Registry, start: Start, lines: io.StringIO) -> None:
    registry.add(bundle_of(), "champion")
    client = start()
    for user in ("someone@example.org", USER):
        client.get(f"/v1/users/{user}/recommendations?q=1")
        client.get(f"/v1/users/{user}/recommendations")
    client.post("/v1/recommendations", json={"user_id": "someone@example.org", "items": [{"item_id": "secret-item"}]})
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert all({"time", "level", "message"} <= set(line) for line in found)
    requests = [line for line in found if line["message"] == "request" and line["status"] == 200]
    assert len(requests) == 3, "probes that go well are not logged"
    line = requests[1]
    assert line["route"] == "/v1/users/{user_id:path}/recommendations"
    assert {"request_id", "ms", "user", "version", "source", "model"} <= set(line)
    assert (line["version"], line["source"], line["level"]) == ("1", "model", "info")
    assert line["user"] == logs.hashed(USER, "salt") != logs.hashed(USER, "other salt")
    assert "someone@example.org" not in lines.getvalue()
    assert "secret-item" not in lines.getvalue()
    assert not [line for line in found if line.get("user") == USER]


def test_tracing_is_off_unless_asked_for(registry: Registry, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("opentelemetry.sdk")
    registry.add(bundle_of(), "champion")
    client = start(tracing="console")
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"traceparent": parent, "X-Request-ID": "traced-one"}
    client.get("/v1/users/anna%40here/recommendations?exclude=her-item", headers=headers)
    printed = capsys.readouterr().out
    assert '"name": "GET /v1/users/{user_id}/recommendations"' in printed
    assert "4bf92f3577b34da6a3ce929d0e0e4736" in printed
    assert "traced-one" in printed
    assert "anna" not in printed
    assert "her-item" not in printed
