"""What the checks of a table's trials say below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from recsys_lab.checks import Check, failed, too_good_check

if TYPE_CHECKING:
    from recsys_lab.leaderboard.table import Entry


def table_checks(
    entries: Mapping[str, Sequence[Entry]], baselines: Sequence[str], primary: str
) -> dict[str, list[Check]]:
    """All checks of each model; L10 anew, against the baselines of the table on the same fold.

    A baseline is compared with the others only.
    """
    return {
        label: [check for entry in group for check in _checks_of(entry, label, entries, baselines, primary)]
        for label, group in entries.items()
    }


def _checks_of(
    entry: Entry, label: str, entries: Mapping[str, Sequence[Entry]], baselines: Sequence[str], primary: str
) -> list[Check]:
    same_fold = {
        name: other.evaluation
        for name in baselines
        for other in entries[name]
        if name != label and label not in baselines and other.fold == entry.fold
    }
    if not same_fold:
        return list(entry.checks)
    return [*(one for one in entry.checks if one.id != "L10"), too_good_check(entry.evaluation, same_fold, primary)]


def check_notes(found: Mapping[str, Sequence[Check]]) -> list[str]:
    """One line for each failed check, E first; models for which a check says the same share a line."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    worst: dict[tuple[str, str], Check] = {}
    for label, checks in found.items():
        for check in [*failed(checks, "E"), *failed(checks, "W")]:
            known = worst.get((label, check.id))
            if known is None or (check.value or 0.0) > (known.value or 0.0):  # of several folds and seeds
                worst[label, check.id] = check
    for (label, _), check in worst.items():
        lines.setdefault((check.level, check.id, check.message), []).append(label)
    notes = []
    for (level, name, message), labels in sorted(lines.items()):
        who = "" if len(labels) == len(found) else f" ({', '.join(labels)})"
        notes.append(f"{'INVALID: check' if level == 'E' else 'Check'} {name}{who}: {message}.")
    return notes


def is_sound(found: Mapping[str, Sequence[Check]]) -> bool:
    """Whether no check of level E failed."""
    return not any(failed(checks) for checks in found.values())
