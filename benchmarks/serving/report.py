"""From measurements to medians, targets and a Markdown table."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

CONTROL, OURS, MLFLOW = "raw ASGI app", "recsys_lab", "mlflow models serve"
HEADER = (
    "| items | server | CPU ms / request | × the raw app | p50 ms | p99 ms | requests / s | MB | s to start |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def summary(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """Of one server: medians over rounds; p50 and p99 over all requests of all rounds."""
    times = np.concatenate([one["times"] for one in rounds]) * 1e3
    return {
        "cpu_ms": median(one["cpu"] for one in rounds) * 1e3,
        "p50_ms": float(np.quantile(times, 0.5)),
        "p99_ms": float(np.quantile(times, 0.99)),
        "per_second": median(one["per_second"] for one in rounds),
        "mb": max(one["mb"] for one in rounds),
    }


def ratio(rounds: dict[str, list[dict[str, Any]]], over: str, under: str) -> float:
    """The median over rounds of one server's CPU over another's in the same round."""
    pairs = zip(rounds[over], rounds[under], strict=True)
    return median(a["cpu"] / b["cpu"] for a, b in pairs)


def verdicts(row: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Targets of the design, what was found, and whether it is met."""
    ours, large = row["servers"][OURS], row["size"] == "large"
    limit = 2.0 if large else 0.8
    found = [(f"CPU a request ≤ {limit} ms", f"{ours['cpu_ms']:.2f} ms", ours["cpu_ms"] <= limit)]
    if not large:
        if row.get("to_mlflow"):
            found.append(
                ("≥ 4 × less CPU than mlflow models serve", f"{row['to_mlflow']:.1f} ×", row["to_mlflow"] >= 4)
            )
        found.append(("memory ≤ 200 MB", f"{ours['mb']:.0f} MB", ours["mb"] <= 200))
    return found


def table(report: dict[str, Any]) -> str:
    """The report in Markdown."""
    machine = report["machine"]
    loads = [load for row in report["rows"] for load in row["load"]]
    lines = [
        f"{report['date']}; {machine['cpu']}, {machine['cores']} cores; load average {min(loads)} to {max(loads)} "
        f"before and after; Python {machine['python']}; MLflow {report['mlflow']}; iALS with 64 factors, lists of "
        f"10 for {report['rows'][0]['n_users']} known users in turn.",
        "",
        HEADER,
    ]
    for row in report["rows"]:
        control = row["servers"][CONTROL]["cpu_ms"]
        for label, one in row["servers"].items():
            times = "1" if label == CONTROL else f"{one['cpu_ms'] / control:.1f}"
            cells = f"{one['cpu_ms']:.3f} | {times} | {one['p50_ms']:.2f} | {one['p99_ms']:.2f}"
            tail = f"{one['per_second']:.0f} | {one['mb']:.0f} | {one['seconds_to_start']:.1f}"
            lines.append(f"| {row['n_items']:,} ({row['data']}) | {label} | {cells} | {tail} |")
    lines += ["", "| items | target | found | |", "|---|---|---|---|"]
    for row in report["rows"]:
        for target, found, met in verdicts(row):
            lines.append(f"| {row['n_items']:,} | {target} | {found} | {'met' if met else '**missed**'} |")
    missing = [f"{label} ({why})" for row in report["rows"] for label, why in row["missing"].items()]
    if missing:
        lines += ["", "Missing: " + "; ".join(missing) + "."]
    return "\n".join(lines)
