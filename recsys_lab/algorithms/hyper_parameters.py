"""Checks of hyper-parameters that name one of several choices."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def require_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``; the message names them and the closest."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; found {value!r}{did_you_mean(value, choices)}")


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """The text "; did you mean 'EASE'?" where a known name is close to ``value``, else an empty text."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(str(value).lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""
