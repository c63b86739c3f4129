"""A running Prometheus: every expression of the dashboard has data, alerts fire when they should and not otherwise."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.files import MONITORING, PROXY, dashboard
from tests.service.conftest import Deployment
from tests.service.parts import Part, ask, fetch, free_port, metric, needed, prometheus_config, wait_for, works

pytestmark = pytest.mark.service


@pytest.fixture
def prometheus(deployment: Deployment, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start Prometheus for replicas, with these rules; its URL."""
    running: list[Part] = []

    def begin(targets: list[str], rules: Path = MONITORING / "rules.yml") -> str:
        config = prometheus_config([one.removeprefix("http://") for one in targets], rules)
        (tmp_path / "prometheus.yml").write_text(config.replace("proxy:8404", deployment.proxy.status))
        port = free_port()
        options = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        command = [needed("prometheus"), *options, f"--web.listen-address=127.0.0.1:{port}"]
        running.append(Part(command, tmp_path / "prometheus.log").start())
        wait_for(lambda: works(f"http://127.0.0.1:{port}/-/ready"), "Prometheus")
        return f"http://127.0.0.1:{port}"

    yield begin
    for part in running:
        part.end()


def _answer(prometheus: str, expression: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expression})
    found: list[Any] = fetch(f"{prometheus}/api/v1/query?{query}")["data"]["result"]
    return found


def _firing(prometheus: str) -> set[str]:
    return {one["metric"]["alertname"] for one in _answer(prometheus, 'ALERTS{alertstate="firing"}')}


def test_every_expression_of_the_dashboard_has_data_and_no_alert_fires(
    deployment: Deployment, prometheus: Callable[..., str]
) -> None:
    url = prometheus([one.url for one in deployment.replicas])
    with deployment.load(at_least=300) as load:
        for n in range(20):
            fetch(f"{deployment.url}/v1/users/nobody-{n}/recommendations")
        wait_for(lambda: bool(_answer(url, "lists:clicks:share1h > 0")), "clicks per list")
        for title, expression in dashboard():
            wait_for(lambda asked=expression: bool(_answer(url, asked)), f"{title}: {expression}", 60)
    assert load.failed == []
    assert {one["value"][1] for one in _answer(url, "up")} == {"1"}
    firing = _answer(url, 'ALERTS{alertstate="firing",severity="page"}')
    assert firing == [], json.dumps(firing)


def test_the_metrics_of_a_replica_at_work_are_as_prometheus_wants_them(deployment: Deployment) -> None:
    fetch(f"{deployment.url}/v1/users/{deployment.users[0]}/recommendations")
    for one in deployment.replicas:
        page = ask(f"{one.url}/metrics").body
        assert b"request_seconds_bucket" in page
        done = subprocess.run([needed("promtool"), "check", "metrics"], input=page, capture_output=True, timeout=60)
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def _at_once(folder: Path) -> Path:
    """The rules, with seconds where they wait for minutes."""
    text, n = re.subn(r"(?m)^( +for:) \d+m$", r"\1 2s", (MONITORING / "rules.yml").read_text())
    assert n >= 12
    text, n = re.subn(r"timestamp > (900|300)", "timestamp > 5", text)
    assert n == 2
    (folder / "rules.yml").write_text(text)
    return folder / "rules.yml"


def test_a_replica_without_anything_is_alive_not_ready_and_rings_the_alarms(
    deployment: Deployment, another: Callable[..., Any], prometheus: Callable[..., str], tmp_path: Path
) -> None:
    nothing = f"127.0.0.1:{free_port()}"
    replica, url = another(
        ready=False,
        registry_uri=f"http://{nothing}",
        database_url=f"postgresql+psycopg://recsys_lab@{nothing}/postgres",
        queue_size="20",
    )
    watching = prometheus([replica.url], _at_once(tmp_path))
    assert ask(f"{replica.url}/healthz").json == {"status": "alive"}
    ready = ask(f"{replica.url}/readyz")
    assert (ready.status, ready.headers["retry-after"]) == (503, "1")
    for path in (f"/v1/users/{deployment.users[0]}/recommendations", "/v1/model", "/v1/items"):
        got = ask(f"{replica.url}{path}")
        assert (got.status, got.headers["retry-after"]) == (503, "1"), path
        assert got.json["detail"].startswith("no model is loaded yet")
        by_proxy = ask(f"{url}{path}")  # which has nobody to ask
        assert (by_proxy.status, by_proxy.headers["retry-after"], by_proxy.json["status"]) == (503, "1", 503)
    events = [{"event_id": f"waits-{n}", "user_id": "u", "item_id": "i", "event": "view"} for n in range(18)]
    assert ask(f"{replica.url}/v1/feedback", events).status == 202  # for this no model is needed
    rings = {"NoModel", "DatabaseDown", "DatabaseNotWriting", "FeedbackQueueFilling", "RegistryOutOfContact"}
    wait_for(lambda: _firing(watching) >= rings, "five alerts", 60)
    assert not _firing(watching) & {"NoReplica", "ReplicaDown"}
    assert metric(replica.url, 'reload_total{result="failed"}') > 0
    replica.end(signal.SIGKILL)
    wait_for(lambda: "NoReplica" in _firing(watching), "NoReplica", 60)
    wait_for(lambda: "NoModel" not in _firing(watching), "NoModel rests: it is about replicas that are there", 60)


def test_a_registry_that_is_gone_and_mixed_versions_ring_the_alarm(
    deployment: Deployment, another: Callable[..., Any], prometheus: Callable[..., str], tmp_path: Path
) -> None:
    """A third replica is pinned to another version; then the registry hangs."""
    first, second = deployment.versions
    deployment.promote(first)
    pinned, _ = another(model_version=second)
    one = deployment.replicas[0]
    watching = prometheus([one.url, pinned.url], _at_once(tmp_path))
    wait_for(lambda: "MixedVersions" in _firing(watching), "MixedVersions", 60)
    rings = {"ReloadFailing", "RegistryOutOfContact"}
    assert not rings & _firing(watching)
    deployment.mlflow.send(signal.SIGSTOP)
    try:
        wait_for(lambda: rings <= _firing(watching), "both alerts", 60)
    finally:
        deployment.mlflow.send(signal.SIGCONT)
    wait_for(lambda: not rings & _firing(watching), "the registry's word again", 60)


def test_a_replica_that_is_killed_and_a_proxy_ring_the_alarm(
    deployment: Deployment, prometheus: Callable[..., str], tmp_path: Path
) -> None:
    watching = prometheus([one.url for one in deployment.replicas], _at_once(tmp_path))
    rings = {"ReplicaDown", "LastReplica"}
    wait_for(lambda: {one["value"][1] for one in _answer(watching, "up")} == {"1"}, "both replicas and the proxy")
    rest = {*rings, "ProxyDown", "NoReplica", "UsersSeeErrors"}  # before it has asked anybody it misses all
    wait_for(lambda: not rest & _firing(watching), "no alert", 30)
    one = deployment.replicas[0]
    one.end(signal.SIGKILL)
    try:
        wait_for(lambda: rings <= _firing(watching), "both alerts", 60)
        assert ask(f"{deployment.url}/v1/model").status == 200  # the other one answers
        assert "NoReplica" not in _firing(watching)
    finally:
        one.start()
    deployment.wait_until_both_answer()
    wait_for(lambda: not rings & _firing(watching), "two replicas again", 60)
    deployment.proxy.end(signal.SIGKILL)
    try:
        wait_for(lambda: "ProxyDown" in _firing(watching), "ProxyDown", 60)
    finally:
        deployment.proxy.start()
    wait_for(lambda: "ProxyDown" not in _firing(watching), "the proxy again", 60)
    deployment.wait_until_both_answer()


def test_errors_that_only_the_proxy_sees_ring_the_alarm(
    deployment: Deployment, prometheus: Callable[..., str], tmp_path: Path
) -> None:
    """All replicas hang: 504 and 503, of which no replica counts one."""
    watching = prometheus([one.url for one in deployment.replicas], _at_once(tmp_path))
    url = f"{deployment.url}/v1/users/{deployment.users[0]}/recommendations"
    wait_for(lambda: ask(url).status == 200 and bool(_answer(watching, "proxy:errors:share5m == 0")), "no errors yet")
    assert "UsersSeeErrors" not in _firing(watching)
    for one in deployment.replicas:
        one.send(signal.SIGSTOP)
    try:
        statuses = {ask(url).status for _ in range(40)}
        wait_for(lambda: ask(url).status >= 500 and "UsersSeeErrors" in _firing(watching), "UsersSeeErrors", 60)
        assert statuses <= {503, 504}
        wait_for(lambda: "LastReplica" in _firing(watching), "LastReplica", 60)
    finally:
        for one in deployment.replicas:
            one.send(signal.SIGCONT)
    deployment.wait_until_both_answer()
    assert "ErrorBudgetFast" not in _firing(watching)
    wait_for(lambda: ask(url).status == 200 and "LastReplica" not in _firing(watching), "both replicas again", 60)


def test_a_database_that_hangs_rings_the_alarm(
    deployment: Deployment, prometheus: Callable[..., str], tmp_path: Path
) -> None:
    watching = prometheus([one.url for one in deployment.replicas], _at_once(tmp_path))
    wait_for(lambda: bool(_answer(watching, "feedback_queue")), "the queues")
    assert "DatabaseNotWriting" not in _firing(watching)
    with deployment.database.frozen():
        for n in range(20):
            event = {"event_id": f"hangs-{n}", "user_id": "u", "item_id": deployment.items[0], "event": "view"}
            assert ask(f"{deployment.url}/v1/feedback", [event]).status == 202
        wait_for(lambda: "DatabaseNotWriting" in _firing(watching), "DatabaseNotWriting", 60)
    wait_for(lambda: "DatabaseNotWriting" not in _firing(watching), "written", 60)
    wait_for(lambda: {f"hangs-{n}" for n in range(20)} <= deployment.stored_ids(), "all of them stored")


def test_the_proxy_has_the_metrics_that_the_rules_read(deployment: Deployment) -> None:
    families = text_string_to_metric_families(ask(f"http://{deployment.proxy.status}/metrics").body.decode())
    found = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    assert {name: found.get(name) for name in PROXY} == PROXY
