"""``recsys-lab serve`` as somebody types it in a new folder: stopped twice on the way, served, and served beside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from recsys_lab import tracking
from recsys_lab.serving import model_store
from tests.service.parts import Part, fetch, free_port, wait_for, works

pytestmark = pytest.mark.service

LONG = 900.0  # seconds that the quickstart may take on a busy machine


@dataclass(frozen=True)
class Lab:
    """A folder of the lab, and the server that was started there on its own port."""

    home: Path
    port: int
    server: Part

    def serve(self, name: str, port: int) -> Part:
        return _server(self.home, name, port)


def _server(home: Path, name: str, port: int) -> Part:
    environ = {"RECSYS_LAB_HOME": str(home), "MLFLOW_TRACKING_URI": "", "PYTHONUNBUFFERED": "1"}
    # a shell may have told its jobs to ignore Ctrl-C
    command = [sys.executable, "-c", "import signal, sys; signal.signal(2, signal.default_int_handler); "]
    command[-1] += "from recsys_lab.cli import main; sys.exit(main(sys.argv[1:]))"
    return Part([*command, "serve", "--port", str(port)], home.parent / f"{name}.log", environ)


def _stopped_after(server: Part, text: str) -> None:
    """Start, and press Ctrl-C a moment after ``text`` was printed: everything ends, in order."""
    server.start()
    assert server.process is not None
    wait_for(lambda: text in server.log.read_text(), text, LONG)
    time.sleep(3)  # in the middle of what it does next
    children = psutil.Process(server.process.pid).children(recursive=True)
    assert children
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 130
    psutil.wait_procs(children, 10)
    assert [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert "Stopped. Run the same command again" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Stopped in the quickstart and in the first promotion, and started a third time."""
    home = tmp_path_factory.mktemp("new") / "home"
    home.mkdir()
    port = free_port()
    server = _server(home, "third", port)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_LAB_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        try:
            _stopped_after(first := _server(home, "first", port), "notebooks ")
            assert tracking.stale_runs() == []
            assert _alias("champion") is None
            _stopped_after(second := _server(home, "second", port), "the best that is no")
            assert _alias("champion") is None
            server.start()
            wait_for(lambda: works(f"http://127.0.0.1:{port}/readyz"), "the page", LONG)
            yield Lab(home, port, server)
        finally:
            for part in (first, second, server):
                part.end()


def _alias(wanted: str) -> model_store.Version | None:
    return model_store.version_of(tracking.tracking_uri(), "recommender", wanted)


@pytest.mark.timeout(2 * LONG)
def test_it_goes_on_where_it_was_stopped(lab: Lab) -> None:
    champion, challenger = _alias("champion"), _alias("challenger")
    assert champion is not None
    assert challenger is not None
    assert champion.tags["experiment"] == "quickstart"
    assert champion.tags["algorithm"] != challenger.tags["algorithm"]
    third = lab.server.log.read_text()
    assert (
        "finished 10_collaborative_filtering" not in third
        or "finished 10_collaborative_filtering" not in (lab.home.parent / "second.log").read_text()
    )  # nothing is run twice


def test_the_page_and_both_models_answer(lab: Lab) -> None:
    base = f"http://127.0.0.1:{lab.port}"
    assert works(base)
    wait_for(lambda: fetch(f"{base}/v1/model")["challenger"] is not None, "the challenger")
    model = fetch(f"{base}/v1/model")
    assert (model["experiment"], model["stale"]) == ("quickstart", False)
    user = fetch(f"{base}/v1/users")["users"][0]["user_id"]
    for role, algorithm in (("champion", model["algorithm"]), ("challenger", model["challenger"]["algorithm"])):
        got = fetch(f"{base}/v1/users/{user}/recommendations?model={role}&explain=true")
        assert (got["source"], got["model"]["algorithm"], len(got["items"])) == ("model", algorithm, 10)
        assert all(one["title"] for one in got["items"])


def test_a_second_server_beside_it(lab: Lab) -> None:
    port = free_port()
    beside = lab.serve("beside", port).start()
    try:
        wait_for(lambda: works(f"http://127.0.0.1:{port}/readyz"), "the second server", 240)
        assert "running" not in beside.log.read_text().partition("Uvicorn")[0]  # nothing is promoted again
        lists = [fetch(f"http://127.0.0.1:{one}/v1/users/7/recommendations")["items"] for one in (lab.port, port)]
        assert lists[0] == lists[1]
        assert [fetch(f"http://127.0.0.1:{one}/readyz")["stale"] for one in (lab.port, port)] == [False, False]
    finally:
        beside.end()


def test_a_third_on_the_same_port_is_told_so(lab: Lab) -> None:
    command = [sys.executable, "-m", "recsys_lab", "serve", "--port", str(lab.port)]
    environ = {**os.environ, "RECSYS_LAB_HOME": str(lab.home)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert f"port {lab.port} of 127.0.0.1 is taken" in done.stderr
    assert done.stdout == ""


def test_ctrl_c_ends_the_service_in_order(lab: Lab) -> None:
    events = [{"event_id": f"e{n}", "user_id": "7", "item_id": "1", "event": "like"} for n in range(300)]
    assert fetch(f"http://127.0.0.1:{lab.port}/v1/feedback", events) == {"accepted": 300}
    assert lab.server.process is not None
    lab.server.process.send_signal(signal.SIGINT)
    assert lab.server.process.wait(60) == 0
    output = lab.home / "feedback.parquet"
    command = [sys.executable, "-m", "recsys_lab", "export-feedback", "--output", str(output)]
    environ = {**os.environ, "RECSYS_LAB_HOME": str(lab.home)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Wrote 1 rows" in done.stdout
