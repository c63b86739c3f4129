"""Every algorithm by name, imported when it is made. ``python -m recsys_lab.algorithms.catalogue`` prints the table."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.entries.baselines import BASELINES
from recsys_lab.algorithms.entries.collaborative import COLLABORATIVE
from recsys_lab.algorithms.entries.content import CONTENT
from recsys_lab.algorithms.entries.entry import Entry, Family, Need, Range
from recsys_lab.algorithms.entries.factorization import FACTORIZATION
from recsys_lab.algorithms.entries.neural import NEURAL
from recsys_lab.algorithms.hyper_parameters import did_you_mean, require_types

__all__ = ["CATALOGUE", "Entry", "Family", "Need", "Range", "algorithm_class", "make_algorithm", "markdown_table"]

# a new algorithm: one entry in the file of its family
CATALOGUE: dict[str, Entry] = {**BASELINES, **COLLABORATIVE, **CONTENT, **FACTORIZATION, **NEURAL}


def make_algorithm(name: str, **hyper_parameters: Any) -> Algorithm:
    """An algorithm by its name in ``CATALOGUE``, or an own one as "package.module:Class" (found on sys.path).

    Raises ValueError for an unknown name or hyper-parameter and for a value of another type, ImportError with the
    command to type where an optional library is missing, TypeError where an own class is no ``Algorithm``. The range of
    values is checked by ``fit``.
    """
    algorithm = algorithm_class(name)
    known = list(inspect.signature(algorithm).parameters)
    for parameter in hyper_parameters:
        if parameter not in known:
            listed = ", ".join(known) or "none"
            hint = did_you_mean(parameter, known) or "."
            raise ValueError(f"{name} has no hyper-parameter {parameter!r}{hint} It has: {listed}")
    try:
        require_types(algorithm, hyper_parameters)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return algorithm(**hyper_parameters)


def algorithm_class(name: str) -> type[Algorithm]:
    """The class of a name in ``CATALOGUE`` or of "package.module:Class"; errors as in ``make_algorithm``."""
    entry = CATALOGUE.get(name)
    if entry is None and ":" not in str(name):
        raise ValueError(
            f"unknown algorithm {name!r}{did_you_mean(name, CATALOGUE) or '.'} Known: {', '.join(sorted(CATALOGUE))}; "
            "an own one is named as 'package.module:Class'"
        )
    module_name, _, class_name = (entry.path if entry else name).partition(":")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise _import_error(name, entry, module_name, error) from error
    found = getattr(module, class_name, None)
    if found is None:
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise ValueError(f"module {module_name!r} has no class {class_name!r}{did_you_mean(class_name, classes)}")
    if not (isinstance(found, type) and issubclass(found, Algorithm)):
        raise TypeError(f"{name} must be a subclass of recsys_lab.Algorithm; found {found!r}")
    return found


def _import_error(name: str, entry: Entry | None, module_name: str, error: ImportError) -> ImportError:
    """An error of the same kind, which says what to install; its ``name`` is the module that is missing."""
    missing = error.name or str(error)
    said = f"{name} cannot be imported from {module_name}: {error}"
    if entry is not None and entry.extra:
        said = f'{name} needs {missing}: pip install "recsys_lab[{entry.extra}]"'
        if missing == "torch":
            said = f'{name!r} needs PyTorch: pip install "recsys_lab[torch]"'
    elif entry is None and module_name.split(".")[0] == missing.split(".")[0]:
        said = (
            f"{name}: there is no module {missing!r} on the import path; start in the folder that holds it, "
            "or add that folder to PYTHONPATH"
        )
    kind = ModuleNotFoundError if isinstance(error, ModuleNotFoundError) else ImportError
    return kind(said, name=error.name)


def markdown_table() -> str:
    """The catalogue as two Markdown tables, as they stand in docs/algorithms.md: what there is, and where to search."""
    lines = [
        "| algorithm | family | task | what it does | needs | learns | new users | cold items | stochastic "
        "| repeatable | cost of fit | memory | source |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in CATALOGUE.items():
        new_users = "yes" if entry.serves_new_users else "no"
        cold = "yes" if entry.serves_cold_items else "no"
        seeds = "yes" if entry.stochastic else "no"
        lines.append(
            f"| {name} | {entry.family} | {entry.task} | {entry.description} | {needs_of(entry)} | {entry.learns} "
            f"| {new_users} | {cold} | {seeds} | {entry.repeatable} | {entry.complexity} "
            f"| {entry.memory} | {entry.paper} |"
        )
    lines += ["", "| algorithm | search space |", "|---|---|"]
    lines += [f"| {name} | {space_of(entry)} |" for name, entry in CATALOGUE.items() if entry.space]
    return "\n".join(lines) + "\n"


def needs_of(entry: Entry) -> str:
    """What an algorithm needs beyond users, items and ratings, in words; "-" for nothing."""
    return ", ".join(entry.needs + ((f"extra {entry.extra}",) if entry.extra else ())) or "-"


def space_of(entry: Entry) -> str:
    """The search space in words."""
    words = []
    for name, values in entry.space.items():
        where = values if isinstance(values, Range) else "{" + ", ".join(map(str, values)) + "}"
        conditions = entry.conditions.get(name, {}).items()
        only = " and ".join(f"{other} {' or '.join(map(str, choices))}" for other, choices in conditions)
        words.append(f"{name} {where}{f' with {only}' if only else ''}")
    return "; ".join(words)


if __name__ == "__main__":
    print(markdown_table(), end="")
