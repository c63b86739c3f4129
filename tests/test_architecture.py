"""Imports point downwards, engines stay in one file each, files stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "recsys_lab"
FILES = sorted(PACKAGE.rglob("*.py"))

LEVELS = {
    "seeds": 0,
    "compiled": 0,
    "data": 0,
    "metrics": 0,
    "significance": 0,
    "splits": 1,
    "algorithms": 1,
    "evaluation": 2,
    "checks": 2,
    "comparison": 2,
    "tuning": 2,
    "experiment": 3,
    "parameters": 3,
    "tracking": 3,
    "plots": 3,
    "card": 3,
    "trials": 4,
    "runner": 4,
    "leaderboard": 4,
    "verification": 4,
    "doctor": 4,
    "simulation": 4,
    "docs": 4,
    "cli": 5,
    "serving": 5,
    "promotion": 5,
    "judgement": 5,
    "__main__": 5,
}
# third-party engine -> the only files that may import it
ENGINES = {
    "mlflow": {"tracking/store.py", "serving/model_store/client.py", "serving/pyfunc.py"},
    "papermill": {"runner/execute.py"},
    "surprise": {"algorithms/surprise_models.py"},
    "optuna": {"tuning/study.py"},
    "implicit": {"algorithms/implicit_models.py"},
}
MAX_LINES, MAX_FUNCTION = 400, 60


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Names of imported modules, and whether the import is only for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: write absolute imports"
            yield node.module or "", id(node) in typing_only


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    part = _part(path)
    if part == "__init__":
        return
    assert part in LEVELS, f"give recsys_lab/{part} a level in this test and in docs/architecture.md"
    for module, typing_only in _imports(path):
        pieces = module.split(".")
        if typing_only or pieces[0] != "recsys_lab" or len(pieces) < 2:
            continue
        target = pieces[1]
        assert LEVELS[target] <= LEVELS[part], (
            f"{part} (level {LEVELS[part]}) imports {module} (level {LEVELS[target]})"
        )
        assert not (part == "algorithms" and target == "metrics"), "algorithms must not know the metrics"
        assert part != "data" or target in {"data", "seeds", "compiled"}, f"data imports {module}"
        assert part != "serving" or target in {"serving", "algorithms", "data", "compiled"}, f"serving imports {module}"


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_is_imported_in_one_place(engine: str) -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        for module, _ in _imports(path)
        if module.split(".")[0] == engine
    }
    assert users <= ENGINES[engine]
    assert users, f"nothing imports {engine}: is this test still looking at the right place?"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES, f"{len(text.splitlines())} lines: split the file by meaning"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_and_public_definition_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert path.name == "__init__.py" or ast.get_docstring(tree), "the module has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_nothing_seeds_the_global_generator() -> None:
    for path in FILES:
        assert "np.random.seed" not in path.read_text(encoding="utf-8"), path
