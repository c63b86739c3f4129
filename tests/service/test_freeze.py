"""A replica that hangs (SIGSTOP) behind the proxy: no client sees it, and when all hang the proxy says so in time."""

from __future__ import annotations

import signal
import time

import pytest

from tests.service.conftest import Deployment
from tests.service.parts import ask, wait_for

pytestmark = pytest.mark.service
FROZEN = 10  # seconds


def test_a_replica_that_hangs_fails_no_request(deployment: Deployment) -> None:
    with deployment.load() as load:
        load.wait(500)
        for one in deployment.replicas:
            one.send(signal.SIGSTOP)
            try:
                time.sleep(FROZEN)
            finally:
                one.send(signal.SIGCONT)
            deployment.wait_until_both_answer()
            load.wait(len(load.times) + 300)
    slow = sorted(load.times)
    print(
        f"\n{len(slow)} requests, {len(load.failed)} failed; p50 {1000 * slow[len(slow) // 2]:.0f} ms, "
        f"p99 {1000 * slow[len(slow) * 99 // 100]:.0f} ms, most {slow[-1]:.1f} s, {sum(t > 1 for t in slow)} over 1 s"
    )
    assert load.failed == []
    assert len(load.times) >= 5000
    assert slow[-1] < 6  # the first try of a request waits for `timeout server`, the second is answered
    wait_for(lambda: load.accepted <= deployment.stored_ids(), "all accepted events stored")


def test_when_all_hang_the_proxy_says_so(deployment: Deployment) -> None:
    url = f"{deployment.url}/v1/users/{deployment.users[0]}/recommendations"
    for one in deployment.replicas:
        one.send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        first, second = ask(url), ask(url)
        took = time.monotonic() - began
    finally:
        for one in deployment.replicas:
            one.send(signal.SIGCONT)
    deployment.wait_until_both_answer()
    for got in (first, second):
        assert got.status in (503, 504)
        assert (got.headers["content-type"], got.headers["retry-after"]) == ("application/problem+json", "1")
        assert got.json["status"] == got.status
    assert second.status == 503  # by then both are out
    print(f"\n{first.status}, {second.status} after {took:.1f} s")
    assert took < 8
    assert ask(url).status == 200
