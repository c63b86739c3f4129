"""What a check says, and what becomes of a run whose check of level E failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["E", "W"]


@dataclass(frozen=True)
class Check:
    """The outcome of one check. ``level`` is what a failure means: E stops the run, W marks it."""

    id: str
    level: Level
    passed: bool
    value: float | None  # what was measured; None where there was nothing to measure
    message: str


class LeakError(ValueError):
    """A check of level E failed. ``checks`` are those that did; the message says what to change."""

    def __init__(self, checks: Sequence[Check], where: str = "") -> None:
        self.checks = tuple(checks)
        self.where = where
        names = ", ".join(check.id for check in self.checks)
        place = f" ({where})" if where else ""
        lines = [f"{check.id} {check.message}" for check in self.checks]
        super().__init__(f"check {names} failed{place}: " + "; ".join(lines) + ". See docs/checks.md")

    def __reduce__(self) -> tuple[type[LeakError], tuple[tuple[Check, ...], str]]:
        return LeakError, (self.checks, self.where)


def failed(checks: Sequence[Check], level: str = "E") -> list[Check]:
    """The checks of this level that did not pass."""
    return [check for check in checks if check.level == level and not check.passed]


def require_passed(checks: Sequence[Check], where: str = "") -> None:
    """Raise LeakError when a check of level E failed; ``where`` names the split or the model."""
    wrong = failed(checks)
    if wrong:
        raise LeakError(wrong, where)


def summary_of(checks: Sequence[Check]) -> str:
    """ "ok", "warn: L03 L10" or "invalid: L09"; "" where nothing was checked."""
    errors, warnings = ([check.id for check in failed(checks, level)] for level in ("E", "W"))
    if errors:
        return f"invalid: {' '.join(dict.fromkeys(errors))}"
    if warnings:
        return f"warn: {' '.join(dict.fromkeys(warnings))}"
    return "ok" if checks else ""
