"""No client sees a rolling restart, a promotion or a database outage; Prometheus sees all of it."""

from __future__ import annotations

import json
import signal
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.deploy.files import dashboard
from tests.service.conftest import Deployment
from tests.service.load import Load
from tests.service.parts import Part, fetch, free_port, needed, prometheus_config, wait_for, works

pytestmark = pytest.mark.service


def _load(deployment: Deployment, **changes: Any) -> Load:
    return Load(deployment.url, deployment.users, deployment.items, **changes)


def _stored(deployment: Deployment) -> set[str]:
    """The ids of the events in PostgreSQL."""
    engine = sa.create_engine(deployment.database.url)
    try:
        with engine.connect() as connection:
            return {row[0] for row in connection.execute(sa.text("SELECT event_id FROM feedback"))}
    finally:
        engine.dispose()


def test_rolling_restart_fails_no_request_and_loses_no_event(deployment: Deployment) -> None:
    with _load(deployment) as load:
        load.wait(200)
        for one in deployment.replicas:
            one.end()
            one.start()
            deployment.wait_until_both_answer()
    assert load.failed == []
    assert len(load.times) >= 1000
    wait_for(lambda: load.accepted <= _stored(deployment), "all accepted events stored")


def test_promotion_fails_no_request_and_both_replicas_follow(deployment: Deployment) -> None:
    first, second = deployment.versions
    deployment.promote(first)
    wait_for(lambda: {one.version() for one in deployment.replicas} == {first}, "the first version")
    with _load(deployment) as load:
        load.wait(300)
        deployment.promote(second)
        wait_for(lambda: {one.version() for one in deployment.replicas} == {second}, "the promoted version")
        load.wait(len(load.times) + 200)
    assert load.failed == []
    assert len(load.times) >= 1000
    assert load.versions == {first, second}


def test_a_database_outage_loses_no_accepted_event(deployment: Deployment) -> None:
    database = deployment.database
    with _load(deployment) as load:
        load.wait(200)
        database.end(signal.SIGQUIT)  # an immediate end, as in a crash
        before = len(load.accepted)
        load.wait(800)
        assert not database.is_up()
        assert len(load.accepted) > before  # accepted, while there is no database
        database.start()
        wait_for(database.is_up, "PostgreSQL")
    assert load.failed == []
    wait_for(lambda: load.accepted <= _stored(deployment), "all accepted events stored")


@pytest.fixture
def prometheus(deployment: Deployment, tmp_path: Path) -> Iterator[str]:
    """The URL of a Prometheus that asks the replicas and the proxy."""
    program, port = needed("prometheus"), free_port()
    targets = [one.url.removeprefix("http://") for one in deployment.replicas]
    config = prometheus_config(targets).replace("proxy:8404", deployment.status)
    (tmp_path / "prometheus.yml").write_text(config)
    options = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    part = Part([program, *options, f"--web.listen-address=127.0.0.1:{port}"], tmp_path / "log").start()
    try:
        wait_for(lambda: works(f"http://127.0.0.1:{port}/-/ready"), "Prometheus")
        yield f"http://127.0.0.1:{port}"
    finally:
        part.end()


def _answer(prometheus: str, expression: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expression})
    found: list[Any] = fetch(f"{prometheus}/api/v1/query?{query}")["data"]["result"]
    return found


def test_every_expression_of_the_dashboard_has_data_and_no_alert_fires(deployment: Deployment, prometheus: str) -> None:
    with _load(deployment, at_least=300) as load:
        for n in range(20):
            fetch(f"{deployment.url}/v1/users/nobody-{n}/recommendations")
        wait_for(lambda: bool(_answer(prometheus, "lists:clicks:share1h > 0")), "clicks per list")
        for title, expression in dashboard():
            wait_for(lambda asked=expression: bool(_answer(prometheus, asked)), f"{title}: {expression}", 60)
    assert load.failed == []
    assert {one["value"][1] for one in _answer(prometheus, "up")} == {"1"}
    firing = _answer(prometheus, 'ALERTS{alertstate="firing",severity="page"}')
    assert firing == [], json.dumps(firing)
