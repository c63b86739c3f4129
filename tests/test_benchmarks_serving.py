"""The harness of `make bench-serving`: its client, its summaries, and a whole small run. No test looks at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.serving import report
from benchmarks.serving.__main__ import measure
from benchmarks.serving.bundles import data_of, prepare
from benchmarks.serving.client import Connection, get, one_after_another, post, side_by_side
from benchmarks.serving.servers import CONTROL, OURS, Contender

Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server that sends the given pieces for every request; its port."""
    listeners: list[socket.socket] = []

    def accept(listener: socket.socket, pieces: tuple[bytes, ...]) -> None:
        with suppress(OSError):  # the end of the test closes it
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection, pieces), daemon=True).start()

    def serve(connection: socket.socket, pieces: tuple[bytes, ...]) -> None:
        while connection.recv(65536):
            for piece in pieces:
                connection.sendall(piece)

    def begin(*pieces: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=accept, args=(listener, pieces), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    yield begin
    for listener in listeners:
        listener.close()


def test_a_body_in_pieces_is_read_whole_and_the_connection_kept(start: Start) -> None:
    port = start(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", b"\r\nhe", b"llo")
    connection = Connection(port)
    assert [connection.ask(get("/")), connection.ask(post("/", {"a": 1}))] == [b"hello", b"hello"]
    connection.close()


def test_an_error_of_the_server_ends_the_measurement(start: Start) -> None:
    port = start(b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno")
    with pytest.raises(RuntimeError, match=r"the server answered HTTP/1\.1 503 Busy: b'no'"):
        one_after_another(port, [get("/")])
    with pytest.raises(RuntimeError, match="503"):
        side_by_side(port, [get("/")] * 4, 2)


def test_summaries_are_medians_over_rounds_and_quantiles_over_requests() -> None:
    rounds = [{"times": [0.001, 0.003], "cpu": cpu, "per_second": 10.0 * cpu, "mb": cpu} for cpu in (1.0, 5.0, 2.0)]
    found = report.summary(rounds)
    assert (found["cpu_ms"], found["per_second"], found["mb"]) == (2000.0, 20.0, 5.0)
    assert found["p50_ms"] == pytest.approx(2.0)
    other = [{**one, "cpu": one["cpu"] * factor} for one, factor in zip(rounds, (2, 3, 9), strict=True)]
    assert report.ratio({"a": other, "b": rounds}, "a", "b") == 3


def test_a_small_run_from_fitting_to_the_table(tmp_path: Path) -> None:
    served = prepare(data_of("small", quick=True), tmp_path / "small", n_epochs=1)
    broken = Contender("broken", lambda *_: ["false"], lambda *_: {}, OURS.request, None)
    row = measure(served, (CONTROL, OURS, broken), tmp_path, rounds=1, n_requests=5)
    assert set(row["servers"]) == {"raw ASGI app", "recsys_lab"}
    assert row["missing"]["broken"].startswith("broken did not start")
    assert row["to_mlflow"] is None
    machine = {"cpu": "x", "cores": 2, "python": "3"}
    found = {"machine": machine, "date": "today", "mlflow": "3", "rows": [{"size": "small", "load": [0, 1], **row}]}
    text = report.table(found)
    assert "| 400 (synthetic-small) | recsys_lab |" in text
    assert "| 400 | memory ≤ 200 MB |" in text
    assert "Missing: broken (" in text
