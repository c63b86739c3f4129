"""Typed notebook parameters: what papermill only warns of is an error here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from recsys_lab.parameters import coerce, read_parameters

CELL = """
experiment: str = ""  # a path
seed: int = 42
share: float = 0.5
log: bool = False
folds: list[int] = [0, 1]
limit: int | None = None
plain = 3
"""


def _notebook(folder: Path, *cells: str) -> Path:
    made = [nbformat.v4.new_code_cell(cell, metadata={"tags": ["parameters"]}) for cell in cells]
    path = folder / "10_tried.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Tried"), *made]), path)
    return path


def test_the_declared_parameters_are_read_in_order(tmp_path: Path) -> None:
    declared = read_parameters(_notebook(tmp_path, CELL))
    assert list(declared) == ["experiment", "seed", "share", "log", "folds", "limit", "plain"]
    assert declared["limit"].type_name == "int | None"
    assert (declared["seed"].default, declared["plain"].type_name) == (42, "int")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("log", "false", False),
        ("log", "True", True),
        ("log", True, True),
        ("seed", "7", 7),
        ("seed", 7, 7),
        ("share", "1e-3", 1e-3),
        ("share", 1, 1.0),
        ("folds", "[2, 3]", [2, 3]),
        ("limit", "none", None),
        ("limit", "5", 5),
        ("experiment", "7", "7"),
        ("plain", "4", 4),
    ],
)
def test_texts_become_the_declared_type(tmp_path: Path, name: str, given: Any, value: Any) -> None:
    found = coerce(read_parameters(_notebook(tmp_path, CELL)), {name: given})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("name", "given"), [("seed", "many"), ("seed", 1.5), ("log", "perhaps"), ("folds", "3")])
def test_a_value_of_another_type_is_an_error(tmp_path: Path, name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=f"parameter {name} is"):
        coerce(read_parameters(_notebook(tmp_path, CELL)), {name: given})


def test_an_unknown_name_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'seed'"):
        coerce(read_parameters(_notebook(tmp_path, CELL)), {"sed": 1}, "10_tried.ipynb")


def test_traps_in_the_notebook_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 cells are tagged"):
        read_parameters(_notebook(tmp_path))
    with pytest.raises(ValueError, match="2 cells are tagged"):
        read_parameters(_notebook(tmp_path, CELL, CELL))
    with pytest.raises(ValueError, match="plain number"):
        read_parameters(_notebook(tmp_path, "seed: int = 6 * 7 + x"))
    with pytest.raises(ValueError, match="name: type = value"):
        read_parameters(_notebook(tmp_path, "import os"))
    with pytest.raises(FileNotFoundError, match="did you mean '10_tried'"):
        read_parameters(tmp_path / "10_tired.ipynb")
    with pytest.raises(ValueError, match="not supported"):
        coerce(read_parameters(_notebook(tmp_path, "when: datetime = 'now'")), {"when": "x"})
