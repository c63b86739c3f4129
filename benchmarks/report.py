"""From measurements to verdicts and a Markdown table."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.table import Bench, Row

COLUMNS = ("work", "s", "MB", "best peer", "s", "ratio", "CPU ratio", "all peers", "target", "verdict")
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
CHECKS = {
    "recall": "recall@10",
    "lists": "share of items listed by a peer and not by us",
    "values": "share of numbers that differ",
}


def rows_of(bench: Bench, medians: dict[str, Any], checked: dict[str, Any], missing: dict[str, str]) -> list[dict]:
    """One record a row: medians, ratios (peer / ours), whether the targets are met."""
    return [_record(bench, row, medians, checked, missing) for row in bench.rows]


def _record(
    bench: Bench, row: Row, medians: dict[str, Any], checked: dict[str, Any], missing: dict[str, str]
) -> dict[str, Any]:
    ours_label = bench.contenders[0].label
    if ours_label not in medians:
        return {"bench": bench.name, "title": row.title, "failed": missing[ours_label]}
    ours = medians[ours_label][row.phase]
    peers = {label: found[row.phase] for label, found in medians.items() if label != ours_label}
    best = min(peers, key=lambda label: peers[label]["s"]) if peers else None
    ratio = peers[best]["s"] / ours["s"] if best else None
    return {
        "bench": bench.name,
        "title": row.title,
        "ours": ours,
        "peers": peers,
        "best": best,
        "ratio": ratio,
        "cpu_ratio": peers[best]["cpu"] / ours["cpu"] if best and ours["cpu"] > 0 else float("nan"),
        "target": target(row),
        "misses": misses(row, ours, ratio, checked),
        "check": checked,
        "missing": missing,
    }


def target(row: Row) -> str:
    """The targets in words."""
    wanted = ((row.ratio, "≥ {:g} ×"), (row.seconds, "≤ {:g} s"), (row.megabytes, "≤ {:g} MB"))
    return ", ".join(text.format(value) for value, text in wanted if value is not None)


def misses(row: Row, ours: dict[str, float], ratio: float | None, checked: dict[str, Any]) -> list[str]:
    """What is not as it should be; empty when every target is met."""
    found = []
    if row.ratio is not None and ratio is None:
        found.append("no peer to compare with")
    elif row.ratio is not None and ratio is not None and ratio < row.ratio:
        found.append(f"{ratio:.2f} × of {row.ratio:g} ×")
    if row.seconds is not None and ours["s"] > row.seconds:
        found.append(f"{ours['s']:.3f} s of {row.seconds:g} s")
    if row.megabytes is not None and ours["mb"] > row.megabytes:
        found.append(f"{ours['mb']:.0f} MB of {row.megabytes:g} MB")
    if checked["passed"] is False:
        found.append("not the same work")
    return found


def table(report: dict[str, Any]) -> str:
    """The whole report in Markdown: machine, table, checks, what is missing."""
    lines = [*_machine(report), "", HEADER]
    lines += [_line(record) for record in report["rows"]]
    lines += ["", "Same work:", ""]
    seen = {}
    for record in report["rows"]:
        if record.get("check", {}).get("found") and record["bench"] not in seen:
            seen[record["bench"]] = record["check"]
    for name, checked in seen.items():
        found = ", ".join(f"{label} {value:.4g}{_lower(value, checked)}" for label, value in checked["found"].items())
        lines.append(f"* {name}: {CHECKS[checked['kind']]}: {found}{'' if checked['passed'] else ' (**differs**)'}")
    absent = {label: why for record in report["rows"] for label, why in record.get("missing", {}).items()}
    lines += ["", "Missing peers: " + ("; ".join(f"{k} ({v})" for k, v in absent.items()) or "none") + "."]
    return "\n".join(lines)


def _machine(report: dict[str, Any]) -> list[str]:
    machine = report["machine"]
    loads = [load for record in report["rows"] for load in record["load"]]
    dates = " to ".join(sorted({min(dates := [r["date"] for r in report["rows"]]), max(dates)}))
    versions = ", ".join(f"{name} {version}" for name, version in report["peers"].items() if version)
    return [
        f"{dates}; {machine['cpu']}, {machine['cores']} cores, {report['threads']} threads a side; "
        f"load average {min(loads)} to {max(loads)} before and after the rows; Python {machine['python']}; "
        f"data {report['data']['ranking']} (ratings: {report['data']['ratings']}); {versions}.",
        "Medians of interleaved rounds, warm. MB: greatest rise of the resident memory. Ratio: best peer's median / "
        "ours, the best being the fastest that is there. CPU ratio: the same of CPU seconds, which a busy machine "
        "hardly moves (unless threads spin).",
    ]


def _line(record: dict[str, Any]) -> str:
    if "failed" in record:
        return f"| {record['title']} | failed: {record['failed']} | | | | | | | | **failed** |"
    ours, peers, best = record["ours"], record["peers"], record["best"]
    every = ", ".join(f"{label} {found['s']:.3g} s / {found['mb']:.0f} MB" for label, found in peers.items())
    every += "".join(f", {label} missing" for label in record["missing"])
    compared = " | | | "
    if best:
        compared = f"{best} | {peers[best]['s']:.3g} | {record['ratio']:.2f} | {_or_blank(record['cpu_ratio'])}"
    verdict = "met" if not record["misses"] else "**missed**: " + "; ".join(record["misses"])
    cells = f"{ours['s']:.3g} | {ours['mb']:.0f} | {compared} | {every} | {record['target']} | {verdict}"
    return f"| {record['title']} | {cells} |"


def _lower(value: float, checked: dict[str, Any]) -> str:
    """Marks a recall that is more than 5 % below the best: other settings, or other work."""
    return " (lower)" if checked["kind"] == "recall" and value < 0.95 * max(checked["found"].values()) else ""


def _or_blank(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else ""
