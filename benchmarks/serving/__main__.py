"""``python -m benchmarks.serving`` measures and stores; ``--quick`` on small data; ``--docs`` writes the last report.

Three servers stay up and take turns: a raw ASGI app, `recsys_lab serve`, `mlflow models serve`. In each turn one
connection asks for lists one after another (CPU and latency), then four ask at a time (requests a second).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.__main__ import PAGE, RESULTS, load_average, machine
from benchmarks.serving import report
from benchmarks.serving.bundles import Served, data_of, prepare
from benchmarks.serving.client import Connection, one_after_another, side_by_side
from benchmarks.serving.servers import CONTROL, MLFLOW, OURS, Contender, Server

CONTENDERS = (CONTROL, OURS, MLFLOW)
N_COMPARED = 20  # users whose lists must be equal before anything is measured
N_CONNECTIONS = 4


def main() -> None:
    """Measure what is asked for, print the tables, store the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description="The service beside others.")
    parser.add_argument("--quick", action="store_true", help="small data, two rounds")
    parser.add_argument("--sizes", default="small,large", help="small (3.7k items), large (27k), or both")
    parser.add_argument("--rounds", type=int, help="rounds after the warm-up (default: 7)")
    parser.add_argument("--requests", type=int, help="requests a turn (default: 1000)")
    parser.add_argument("--docs", action="store_true", help="write the last full report into docs/performance.md")
    options = parser.parse_args()
    stored = RESULTS / ("serving-quick.json" if options.quick else "serving.json")
    if options.docs:
        write_docs(stored)
        return
    rounds = options.rounds or (2 if options.quick else 7)
    n_requests = options.requests or (50 if options.quick else 1000)
    found: dict[str, Any] = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), "mlflow": version("mlflow")}
    found["rows"] = []
    with tempfile.TemporaryDirectory(prefix="bench_") as scratch:
        for size in options.sizes.split(","):
            print(f"{size} ...", flush=True)
            served = prepare(data_of(size, options.quick), Path(scratch) / size)
            before = load_average()
            row = measure(served, CONTENDERS, Path(scratch), rounds=rounds, n_requests=n_requests)
            found["rows"].append({"size": size, **row, "load": [before, load_average()]})
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(report.table(found))


def measure(
    served: Served, contenders: tuple[Contender, ...], folder: Path, *, rounds: int, n_requests: int
) -> dict[str, Any]:
    """Summaries of all servers for one model, and CPU ratios of pairs in the same round."""
    found: dict[str, list[dict[str, Any]]] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        servers: dict[Contender, Server] = {}
        for contender in contenders:
            try:
                server = Server(contender, served, folder / f"{contender.label}.log")
            except RuntimeError as error:
                missing[contender.label] = str(error)
                continue
            stack.callback(server.close)
            servers[contender] = server
        _require_equal(servers, served)
        for number in range(rounds + 1):
            for contender, server in servers.items():
                one = _turn(contender, server, served, n_requests)
                if number:  # the first round is cold
                    found.setdefault(contender.label, []).append(one)
        started = {contender.label: server.seconds_to_start for contender, server in servers.items()}
    summaries = {label: {**report.summary(one), "seconds_to_start": started[label]} for label, one in found.items()}
    compared = {
        "to_control": report.ratio(found, report.OURS, report.CONTROL),
        "to_mlflow": report.ratio(found, report.MLFLOW, report.OURS) if report.MLFLOW in found else None,
    }
    about = {"data": served.data, "n_items": served.n_items, "n_users": len(served.users)}
    return {**about, "servers": summaries, **compared, "missing": missing}


def _turn(contender: Contender, server: Server, served: Served, n_requests: int) -> dict[str, Any]:
    requests = [contender.request(user) for user in islice(cycle(served.users), n_requests)]
    before = server.cpu_seconds()
    times = one_after_another(server.port, requests)
    cpu = (server.cpu_seconds() - before) / n_requests
    per_second = side_by_side(server.port, requests, N_CONNECTIONS)
    return {"times": times, "cpu": cpu, "per_second": per_second, "mb": server.megabytes()}


def _require_equal(servers: dict[Contender, Server], served: Served) -> None:
    """Servers that list must list alike."""
    for user in served.users[:N_COMPARED]:
        lists = {}
        for contender, server in servers.items():
            if contender.items is not None:
                connection = Connection(server.port)
                lists[contender.label] = contender.items(connection.ask(contender.request(user)))
                connection.close()
        if len({tuple(items) for items in lists.values()}) > 1:
            raise RuntimeError(f"user {user}: the servers list differently: {lists}")


def write_docs(stored: Path) -> None:
    """Put the tables of a stored report between the markers of docs/performance.md."""
    from recsys_lab.docs import replace_block

    text = PAGE.read_text(encoding="utf-8")
    body = report.table(json.loads(stored.read_text(encoding="utf-8")))
    PAGE.write_text(replace_block(text, "serving", body), encoding="utf-8")
    print(f"Wrote {PAGE.name}")


if __name__ == "__main__":
    main()
