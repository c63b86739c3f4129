"""No client sees that a replica is killed, or that one after the other is restarted."""

from __future__ import annotations

import signal

import pytest

from tests.service.conftest import Deployment
from tests.service.parts import wait_for

pytestmark = pytest.mark.service
N_KILLS = 4


def test_kill_9_of_replicas_fails_no_request(deployment: Deployment) -> None:
    with deployment.load() as load:
        load.wait(200)
        for n in range(N_KILLS):
            one = deployment.replicas[n % 2]
            one.end(signal.SIGKILL)
            load.wait(len(load.times) + 150)  # the other one answers alone
            one.start()
            deployment.wait_until_both_answer()
    assert load.failed == []
    assert len(load.times) >= 5000


def test_a_rolling_restart_fails_no_request_and_loses_no_event(deployment: Deployment) -> None:
    with deployment.load() as load:
        load.wait(200)
        for one in deployment.replicas:
            one.end()
            one.start()
            deployment.wait_until_both_answer()
    assert load.failed == []
    assert len(load.times) >= 5000
    wait_for(lambda: load.accepted <= deployment.stored_ids(), "all accepted events stored")
