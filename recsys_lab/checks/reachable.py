"""Rows that an algorithm could reach beside its training rows: through its module, closures, caches, the catalogue."""

from __future__ import annotations

import functools
import gc
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import Split

MOST_OBJECTS = 100_000  # looked at; a module of one's own holds far fewer
_OPENED = (dict, list, tuple, set, frozenset, FunctionType, MethodType, CellType, staticmethod, classmethod, property)
_CACHED = type(functools.lru_cache(lambda: None))
_LIBRARIES = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")})


def reachable_rows(*starts: Any) -> list[Interactions]:
    """Every Interactions that can be reached from ``starts`` through own code: objects, globals, closures, caches.

    Modules and classes of installed packages and of this one are not entered.
    """
    found: dict[int, Interactions] = {}
    waiting: list[Any] = list(starts)
    visited: set[int] = set()
    while waiting and len(visited) < MOST_OBJECTS:
        one = waiting.pop()
        if id(one) in visited:
            continue
        visited.add(id(one))
        if isinstance(one, Interactions):
            found[id(one)] = one
            waiting.append(one.catalogue.info)
        elif isinstance(one, Split):
            waiting += [one.train, one.validation, one.test, one.history]
        else:
            waiting += _inside(one)
    return list(found.values())


def _inside(one: Any) -> Iterator[Any]:
    if isinstance(one, FunctionType | type):
        if is_own(one.__module__):
            yield from gc.get_referents(one)
            yield sys.modules.get(one.__module__ or "")
    elif isinstance(one, ModuleType):
        if is_own(one.__name__):
            yield from list(vars(one).values())
    elif isinstance(one, Mapping):
        yield from [value for value in list(one.values()) if _may_hold(value)]
    elif isinstance(one, (*_OPENED, _CACHED)):
        yield from [value for value in gc.get_referents(one) if _may_hold(value)]
    elif is_own(type(one).__module__):
        yield from list(getattr(one, "__dict__", {}).values())
        yield type(one)


def _may_hold(value: Any) -> bool:
    return not isinstance(value, str | int | float | bool | bytes | type(None))


def is_own(module: str | None) -> bool:
    """Whether a module is the user's own: neither part of this package nor installed."""
    root = (module or "").partition(".")[0]
    if root in ("", "recsys_lab") or (root in sys.stdlib_module_names and root != "__main__"):
        return False
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    return root == "__main__" or file is None or not str(Path(file).resolve()).startswith(_LIBRARIES)
