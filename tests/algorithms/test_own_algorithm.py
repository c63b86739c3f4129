"""docs/own_algorithm.md is true: its algorithm runs, passes the contract and is the one of the README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.contract import recommend_all
from recsys_lab.algorithms.contract_cases import contract_data

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "own_algorithm.md").read_text(encoding="utf-8")


def _block(text: str, file_name: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return next(code for code in blocks if code.startswith(f"# {file_name}\n"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("my_algorithms.py", "test_my_algorithms.py"):
        (tmp_path / name).write_text(_block(PAGE, name), encoding="utf-8")
    return tmp_path


def test_it_is_made_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    model = make_algorithm("my_algorithms:CoOccurrence", damping=0.3)
    assert (recommend_all(model.fit(contract_data()), contract_data()).items >= 0).all()


def test_it_passes_the_contract_as_the_page_says(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "test_my_algorithms.py", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d{2} passed", done.stdout), done.stdout


def test_the_readme_shows_the_same_algorithm() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert _block(readme, "my_algorithms.py") == _block(PAGE, "my_algorithms.py")
