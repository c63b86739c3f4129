"""Valid, warn or invalid: the one rule (EVALUATION §7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["valid", "warn", "invalid"]
VALID: Status = "valid"
WARN: Status = "warn"
INVALID: Status = "invalid"


def status_of(
    checks: Iterable[Mapping[str, Any]], *, missing_baselines: Iterable[str] = (), same_users: bool = True
) -> Status:
    """Invalid if a check of level E fails, a required baseline is missing or the user sets of a table differ.

    Otherwise warn if a check of level W fails, else valid. ``checks``: id, level, passed, ... of each.
    """
    failed = {str(check["level"]) for check in checks if not check["passed"]}
    if "E" in failed or any(missing_baselines) or not same_users:
        return INVALID
    return WARN if failed else VALID


def worst(statuses: Iterable[str]) -> Status:
    """The worst of several; valid when there is none."""
    found = set(statuses)
    return INVALID if INVALID in found else WARN if WARN in found else VALID
