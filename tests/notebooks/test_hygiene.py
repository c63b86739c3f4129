"""Notebooks are thin, run anywhere, and are committed without outputs but those that are tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FAMILY_NOTEBOOKS = [path for path in NOTEBOOKS if path.name.startswith("1")]
EXPECTED = {
    "00_quickstart",
    "01_explore_data",
    "02_splits_and_leakage",
    "10_collaborative_filtering",
    "11_content_based",
    "12_factorization",
    "13_neural",
    "20_leaderboard",
    "30_does_offline_evaluation_tell_the_truth",
    "40_promote_and_serve",
    "41_drift",
}
MAX_CELLS, MAX_LINES, MAX_BYTES, MAX_OUTPUT = 15, 12, 60_000, 2_000
MARK = "NBVAL_CHECK_OUTPUT"
ABSOLUTE = re.compile(r"""(?<![\w.:/])/(?:home|root|tmp|usr|opt|work|mnt|var|Users|content)/|[A-Za-z]:\\\\|file://""")
FAMILY_PARAMETERS = {
    "experiment": ("str", ""),
    "split": ("int", 0),
    "fold": ("int", -1),
    "seed": ("int", 42),
    "log": ("bool", False),
}

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def parameters(path: Path) -> dict[str, tuple[str, Any]]:
    """Names, types and values of the tagged cell; fails on anything but annotated plain literals."""
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1, f"{len(tagged)} cells are tagged parameters; one is right"
    found = {}
    for node in ast.parse(tagged[0].source).body:
        assert isinstance(node, ast.AnnAssign), ast.unparse(node)
        assert isinstance(node.target, ast.Name)
        assert node.value is not None
        found[node.target.id] = (ast.unparse(node.annotation), ast.literal_eval(node.value))
    return found


def test_all_notebooks_are_there() -> None:
    assert {path.stem for path in NOTEBOOKS} >= EXPECTED


@each
def test_format_kernel_and_metadata(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.nbformat_minor >= 5, "cells need ids"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}, "no papermill or widget metadata"
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.kernelspec.language == "python"
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}, f"cell {cell.id}: {dict(cell.metadata)}"
        assert re.fullmatch(r"[a-z0-9-]{1,64}", cell.id), (
            f"cell id {cell.id!r} should be words, so that diffs stay small"
        )
    assert path.stat().st_size <= MAX_BYTES


@each
def test_one_parameters_cell_of_plain_literals(path: Path) -> None:
    found = parameters(path)
    assert found
    for name, (kind, value) in found.items():
        assert kind in {"str", "int", "float", "bool"}, f"{name}: {kind}"
        assert type(value).__name__ == kind, f"{name}: {kind} = {value!r}"


@pytest.mark.parametrize("path", FAMILY_NOTEBOOKS, ids=lambda path: path.stem)
def test_family_notebooks_take_the_parameters_that_the_runner_gives(path: Path) -> None:
    assert parameters(path) == FAMILY_PARAMETERS


@each
def test_thin(path: Path) -> None:
    cells = code_cells(path)
    assert len(cells) <= MAX_CELLS
    for cell in cells:
        lines = cell.source.splitlines()
        assert len(lines) <= MAX_LINES, f"cell {cell.id} has {len(lines)} lines"
        assert not re.search(r"^\s*[%!]", cell.source, re.MULTILINE), f"cell {cell.id}: no magics, no shell"
        for node in ast.walk(ast.parse(cell.source)):
            wrong = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
            assert not isinstance(node, wrong), f"cell {cell.id}: functions and classes belong into the package"


@each
def test_tells_a_story(path: Path) -> None:
    texts = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    assert texts[0].startswith("# ")
    assert "?" in texts[0], "the title cell asks the question"
    assert texts[-1].startswith("## What we learnt")


@each
def test_no_absolute_path_and_no_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not ABSOLUTE.search(text), ABSOLUTE.search(text)
    for cell in code_cells(path):
        assert "http" not in cell.source, f"cell {cell.id} reaches for the network"


@each
def test_outputs_are_stored_for_checked_cells_only(path: Path) -> None:
    for cell in code_cells(path):
        if MARK not in cell.source:
            assert not cell.outputs, f"cell {cell.id} has outputs but no {MARK}"
            assert cell.execution_count is None, f"cell {cell.id} has a count: run `make notebooks-refresh`"
            continue
        assert cell.execution_count, f"cell {cell.id}: nbval needs the count of a checked cell"
        assert cell.outputs, f"cell {cell.id} is checked but has no stored output: run `make notebooks-refresh`"
        for output in cell.outputs:
            assert output.output_type == "stream", f"cell {cell.id}: checked cells print"
            assert output.name == "stdout", f"cell {cell.id} wrote to stderr"
            assert 0 < len(output.text) <= MAX_OUTPUT
            assert not re.search(r"\d\.\d{5,}", output.text), f"cell {cell.id}: round to 4 digits or fewer"


def test_some_numbers_are_checked() -> None:
    assert sum(MARK in cell.source for path in NOTEBOOKS for cell in code_cells(path)) >= len(EXPECTED)


@pytest.mark.parametrize("text", ["/" + "home/me/data", "see /tmp/x", "C:\\\\Users", "file:///data"])
def test_the_pattern_for_absolute_paths_finds_them(text: str) -> None:
    assert ABSOLUTE.search(text)


def test_the_pattern_lets_relative_paths_and_addresses_pass() -> None:
    assert not ABSOLUTE.search("experiments/quickstart.yaml ../data https://example.org/home/page and/or")
