"""Checks of hyper-parameters: one of several choices, and values of the declared type."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, Literal

# annotation -> the values it takes (NumPy's numbers too; True is no number), in words
_KINDS: dict[Any, tuple[type, str]] = {
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "text"),
    type(None): (type(None), "null"),
}


def require_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``; the message names them and the closest."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; found {value!r}{did_you_mean(value, choices)}")


def require_types(algorithm: type, values: Mapping[str, Any]) -> None:
    """Raise ValueError for a value that is not of its field's type: bool, int, float, str, Literal, or one of several.

    Fields of other types, and classes whose annotations cannot be resolved, are left to ``fit``.
    """
    try:
        hints = typing.get_type_hints(algorithm)
    except (NameError, TypeError):
        return
    for name, value in values.items():
        hint = hints.get(name, Any)
        several = typing.get_origin(hint) in (typing.Union, types.UnionType)
        options = typing.get_args(hint) if several else (hint,)
        if not all(option in _KINDS or typing.get_origin(option) is Literal for option in options):
            continue
        if any(_fits(value, option) for option in options):
            continue
        choices = [choice for option in options for choice in typing.get_args(option)]
        words = [_KINDS[option][1] for option in options if option in _KINDS] + [repr(choice) for choice in choices]
        raise ValueError(
            f"{name} must be {' or '.join(words)}; found {value!r}{did_you_mean(value, map(str, choices))}"
        )


def _fits(value: Any, option: Any) -> bool:
    if typing.get_origin(option) is Literal:
        return isinstance(value, str | int | None) and value in typing.get_args(option)
    return isinstance(value, _KINDS[option][0]) and (isinstance(value, bool) == (option is bool))


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """The text "; did you mean 'EASE'?" where a known name is close to ``value``, else an empty text."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(str(value).lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""
