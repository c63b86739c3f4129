"""``python -m benchmarks`` measures; ``--quick`` on small data; ``--docs`` writes the last full report into docs.

The report is stored after each bench. ``--only`` measures some anew and keeps the other rows of the stored report.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from scipy import sparse

from benchmarks import report
from benchmarks.checks import check
from benchmarks.peers import HERE, Environment, environment
from benchmarks.session import Failed, Process, Runner, medians, take_turns
from benchmarks.table import BENCHES, Bench

ROOT = HERE.parent
RESULTS = ROOT / "outputs" / "bench"
PAGE = ROOT / "docs" / "performance.md"


def main() -> None:
    """Measure what is asked for, print the table, store the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Each kernel beside its peers.")
    parser.add_argument("--quick", action="store_true", help="100,000 interactions and two rounds")
    parser.add_argument("--only", default="", help="names of rows, with commas: " + ",".join(b.name for b in BENCHES))
    parser.add_argument("--rounds", type=int, help="rounds after the warm-up (default: by row)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="threads of each side")
    parser.add_argument("--docs", action="store_true", help="write the last full report into docs/performance.md")
    options = parser.parse_args()
    stored = RESULTS / ("quick.json" if options.quick else "full.json")
    if options.docs:
        write_docs(stored)
        return
    chosen = select(options.only)
    rounds = options.rounds or (2 if options.quick else None)
    found = measure(chosen, stored, quick=options.quick, rounds=rounds, threads=options.threads)
    print(report.table(found))
    print(f"\nStored in {stored.relative_to(ROOT)}")


def select(names: str) -> list[Bench]:
    """The benches named, all for an empty text; ValueError for an unknown name."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {bench.name: bench for bench in BENCHES}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"unknown rows {unknown}; known: {', '.join(known)}")
    return [known[name] for name in wanted] or list(BENCHES)


def measure(chosen: list[Bench], stored: Path, *, quick: bool, rounds: int | None, threads: int) -> dict[str, Any]:
    """The report: machine, peers, rows with date and load; other rows of ``stored`` stay where they were made alike."""
    from benchmarks.prepare import names, prepare

    peers = {c.peer: environment(c.peer) for bench in chosen for c in bench.contenders}
    found = merged(stored, {"machine": machine(), "threads": threads, "data": names(quick)}, chosen)
    found["peers"] |= {name: one.version for name, one in peers.items() if name}
    order = [bench.name for bench in BENCHES]
    with tempfile.TemporaryDirectory(prefix="bench_") as scratch:
        folder = Path(scratch)
        prepare(folder, quick)
        for bench in chosen:
            print(f"{bench.name} ...", flush=True)
            before = load_average()
            rows = _bench(bench, peers, folder, rounds or bench.rounds, threads)
            found["rows"] += [
                {**row, "date": time.strftime("%Y-%m-%d"), "load": [before, load_average()]} for row in rows
            ]
            found["rows"].sort(key=lambda row: order.index(row["bench"]))
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def merged(stored: Path, conditions: dict[str, Any], chosen: list[Bench]) -> dict[str, Any]:
    """A report with the rows of ``stored`` that are not measured anew, none if it was made under other conditions."""
    if stored.is_file():
        before = json.loads(stored.read_text(encoding="utf-8"))
        if all(before.get(name) == value for name, value in conditions.items()):
            again = {bench.name for bench in chosen}
            return {**before, "rows": [row for row in before["rows"] if row["bench"] not in again]}
    return {**conditions, "peers": {}, "rows": []}


def _bench(
    bench: Bench, peers: dict[str | None, Environment], folder: Path, rounds: int, threads: int
) -> list[dict[str, Any]]:
    runners: dict[str, Runner] = {}
    missing: dict[str, str] = {}
    results: dict[str, dict[str, Any]] = {}
    try:
        for contender in bench.contenders:
            found = peers[contender.peer]
            if found.python is None:
                missing[contender.label] = found.missing
                continue
            try:
                runners[contender.label] = Process(contender, found.python, folder, threads)
            except Failed as failure:
                missing[contender.label] = str(failure)
        measured, failures = take_turns(runners, rounds)
        missing |= failures
        for label in measured:
            results[label] = runners[label].result(folder / "result.npz")
    finally:
        for runner in runners.values():
            runner.close()
    checked = check(bench, results, sparse.load_npz(folder / "test.npz"))
    return report.rows_of(bench, {label: medians(found) for label, found in measured.items()}, checked, missing)


def write_docs(stored: Path) -> None:
    """Put the table of a stored report between the markers of docs/performance.md."""
    from recsys_lab.docs import replace_block

    text = PAGE.read_text(encoding="utf-8")
    body = report.table(json.loads(stored.read_text(encoding="utf-8")))
    PAGE.write_text(replace_block(text, "performance", body), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(ROOT)}")


def machine() -> dict[str, Any]:
    """Processor, cores, Python."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version()}


def load_average() -> float:
    """Of the last minute."""
    return round(os.getloadavg()[0], 1)


if __name__ == "__main__":
    main()
