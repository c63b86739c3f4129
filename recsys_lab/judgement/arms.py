"""Which two versions are compared, and the time in which both answered: versions are never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recsys_lab.serving.storage import Database

SLACK = 60.0  # seconds by which the clocks of replicas may differ, and a list in the shadow may be late


@dataclass(frozen=True)
class Arm:
    """The lists of one version in one role."""

    role: str  # champion, challenger or shadow
    model: str
    version: str
    first: float  # Unix seconds of its first and last list
    last: float

    def __str__(self) -> str:
        return f"{self.model} {self.version}"


@dataclass(frozen=True)
class Arms:
    """The two that are compared, from ``since`` to ``until`` (Unix seconds); ``notes``: what was left out."""

    champion: Arm
    challenger: Arm
    since: float
    until: float
    notes: tuple[str, ...]


def choose_arms(
    database: Database,
    second: str,
    *,
    champion: str = "",
    challenger: str = "",
    since: float | None = None,
    until: float | None = None,
) -> Arms:
    """The champion and what stands against it: the role ``second``, challenger or shadow.

    ``champion``, ``challenger``: version numbers. Without them, the version of ``second`` that answered last, and the
    version of the champion with the most lists in the time of that one. Raises LookupError when there are no such lists
    and when the two never answered at the same time, and BadRow for a row that cannot be judged.
    """
    database.require_sound()
    found = database.answering(since, until)
    if not found:
        raise LookupError(
            f"the database has no lists{_between(since, until)}; the service notes them as they are asked for"
        )
    other = max(_of(found, second, challenger), key=lambda row: float(row["last"]))
    at_once = database.answering(*_overlap(other, other, since, until))
    beside = [row for row in at_once if row["role"] == "champion" and champion in ("", row["version"])]
    best = max(beside or _of(found, "champion", champion), key=lambda row: int(row["n_lists"]))
    whole = next(row for row in found if _key(row) == _key(best))
    start, end = _overlap(whole, other, since, until)
    if second == "shadow":  # noted just after the list it stands beside
        start, end = max(start - SLACK, float(other["first"])), min(end + SLACK, float(other["last"]))
        start, end = max(start, since or start), min(end, until or end)
    if start > end:
        raise LookupError(
            f"champion {whole['model']} {whole['version']} and {second} {other['model']} {other['version']} never "
            f"answered at the same time{_between(since, until)}; right would be versions that did: {_listed(found)}"
        )
    used = {_key(whole), _key(other)}
    left = [row for row in database.answering(start, end) if _key(row) not in used and row["role"] in _roles(second)]
    notes = [f"left out, other versions: {_listed(left)}"] if left else []
    return Arms(_arm(whole), _arm(other), start, end, tuple(notes))


def _of(found: Sequence[dict[str, Any]], role: str, version: str) -> list[dict[str, Any]]:
    rows = [row for row in found if row["role"] == role and version in ("", row["version"])]
    if rows:
        return rows
    what = f"version {version} as {role}" if version else role
    hints = {
        "challenger": "; lists of a challenger come from RECSYS_LAB_AB_SHARE above 0",
        "shadow": "; lists in the shadow come from RECSYS_LAB_SHADOW=true",
    }
    raise LookupError(f"the database has no lists of {what}; it has {_listed(found)}{hints.get(role, '')}")


def _overlap(
    one: dict[str, Any], other: dict[str, Any], since: float | None, until: float | None
) -> tuple[float, float]:
    starts = [float(one["first"]), float(other["first"]), *([since] if since is not None else [])]
    ends = [float(one["last"]), float(other["last"]), *([until] if until is not None else [])]
    return max(starts), min(ends)


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return str(row["role"]), str(row["model"]), str(row["version"])


def _arm(row: dict[str, Any]) -> Arm:
    return Arm(*_key(row), first=float(row["first"]), last=float(row["last"]))


def _roles(second: str) -> set[str]:
    return {"champion", second}


def _listed(found: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{row['role']} {row['model']} {row['version']} ({row['n_lists']:,} lists)" for row in found)


def _between(since: float | None, until: float | None) -> str:
    return " in this time" if since is not None or until is not None else ""
