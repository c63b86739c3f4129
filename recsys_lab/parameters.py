"""The typed parameters of a notebook: unknown names are errors, values are coerced to the declared type.

papermill only warns about unknown names, and its command line turns ``-p flag false`` into a truthy text.
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from pydantic import TypeAdapter, ValidationError

_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "Optional": Optional}


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell."""

    name: str
    type_name: str  # as written, or the type of the default
    default: Any


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters a notebook declares, in order.

    Raises FileNotFoundError, or ValueError when not exactly one cell is tagged "parameters" or a line of it is no
    plain ``name: type = literal``.
    """
    if not notebook.is_file():
        near = difflib.get_close_matches(notebook.stem, [file.stem for file in notebook.parent.glob("*.ipynb")], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise FileNotFoundError(f"{notebook}: no such notebook{hint}")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(f"{notebook.name}: {len(tagged)} cells are tagged 'parameters'; right would be exactly one")
    source = tagged[0]["source"]
    lines = ast.parse(source if isinstance(source, str) else "".join(source)).body
    return {parameter.name: parameter for parameter in (_parameter(line, notebook) for line in lines)}


def _parameter(line: ast.stmt, notebook: Path) -> Parameter:
    target = (
        line.target if isinstance(line, ast.AnnAssign) else line.targets[0] if isinstance(line, ast.Assign) else None
    )
    value = line.value if isinstance(line, (ast.AnnAssign, ast.Assign)) else None
    if not isinstance(target, ast.Name) or value is None:
        raise ValueError(
            f"{notebook.name}: a line of the parameters cell is {ast.unparse(line)!r}; write name: type = value"
        )
    try:
        default = ast.literal_eval(value)
    except ValueError:
        raise ValueError(
            f"{notebook.name}: the default of {target.id} is {ast.unparse(value)!r}; use a plain number, text or list"
        ) from None
    written = ast.unparse(line.annotation) if isinstance(line, ast.AnnAssign) else type(default).__name__
    return Parameter(target.id, written, default)


def coerce(
    declared: Mapping[str, Parameter], given: Mapping[str, Any], notebook: str = "the notebook"
) -> dict[str, Any]:
    """``given`` with every value as its declared type; texts such as "false", "3" and "[1, 2]" are read as such.

    Raises ValueError for an unknown name (with the nearest known one) and for a value that is not of the type.
    """
    values = {}
    for name, value in given.items():
        if name not in declared:
            near = difflib.get_close_matches(name, list(declared), n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(f"{one.name}: {one.type_name}" for one in declared.values()) or "none"
            raise ValueError(f"{notebook} has no parameter {name!r}{hint} It has {known}")
        values[name] = _coerced(declared[name], value, notebook)
    return values


def _coerced(parameter: Parameter, value: Any, notebook: str) -> Any:
    if parameter.type_name == "NoneType":
        return value
    try:
        # only the names in _TYPES can be used, so an annotation runs no code
        kind = eval(parameter.type_name, {"__builtins__": {}}, _TYPES)
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
    except Exception as error:
        raise ValueError(
            f"{notebook}: the type {parameter.type_name!r} of {parameter.name} is not supported"
        ) from error
    candidates = [value]
    if isinstance(value, str) and kind is not str:
        candidates.append(_as_literal(value))
    for candidate in candidates:
        try:
            return adapter.validate_python(candidate, strict=not isinstance(candidate, (str, int)) or None)
        except ValidationError:
            continue
    raise ValueError(f"{notebook}: parameter {parameter.name} is {value!r}; right would be {parameter.type_name}")


def _as_literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.strip().lower() in words:
        return words[text.strip().lower()]
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text
