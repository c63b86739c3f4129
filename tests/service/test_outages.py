"""MLflow's server hangs, ends and comes back: lists go on, and say that they may be old."""

from __future__ import annotations

import signal

import pytest

from tests.service.conftest import Deployment
from tests.service.parts import ask, fetch, metric, wait_for

pytestmark = pytest.mark.service


def _all_stale(deployment: Deployment, stale: bool) -> bool:
    return all(one.is_stale() is stale for one in deployment.replicas)


def test_a_registry_that_hangs_holds_up_nobody(deployment: Deployment) -> None:
    wait_for(lambda: _all_stale(deployment, False), "the registry's word")
    with deployment.load() as load:
        load.wait(200)
        deployment.mlflow.send(signal.SIGSTOP)  # connections are taken, nothing is answered
        try:
            wait_for(lambda: _all_stale(deployment, True), "stale", 60)
            load.wait(len(load.times) + 400)
        finally:
            deployment.mlflow.send(signal.SIGCONT)
        wait_for(lambda: _all_stale(deployment, False), "the registry's word again", 60)
    assert load.failed == []


def test_without_a_registry_lists_go_on_and_a_restart_takes_the_copy_on_disk(deployment: Deployment) -> None:
    one = deployment.replicas[0]
    before = one.version()
    with deployment.load() as load:
        load.wait(200)
        deployment.mlflow.end()
        try:
            wait_for(lambda: _all_stale(deployment, True), "stale", 60)
            assert fetch(f"{deployment.url}/v1/model")["stale"] is True
            assert metric(one.url, 'model_stale{role="champion"}') == 1
            one.end(signal.SIGKILL)
            one.start()
            deployment.wait_until_both_answer()
            assert (one.version(), one.is_stale()) == (before, True)  # from its disk
            load.wait(len(load.times) + 300)
        finally:
            deployment.mlflow.start()
        wait_for(deployment.mlflow.is_up, "MLflow")
        wait_for(lambda: _all_stale(deployment, False), "the registry's word again", 60)
    assert load.failed == []
    assert load.versions == {before}
    assert ask(f"{deployment.url}/readyz").json == {"status": "ready", "version": before, "stale": False}
