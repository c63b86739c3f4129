"""The README is true: its commands exist, its code runs as printed, its generated parts are generated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys_lab import docs

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _code_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def _named_block(language: str, file_name: str) -> str:
    return next(code for code in _code_blocks(language) if code.startswith(f"# {file_name}\n"))


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake ([a-z][a-z-]*)\b", "".join(_code_blocks("console")))):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_link_leads_to_a_file() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_python_example_runs(tmp_path: Path) -> None:
    code = next(code for code in _code_blocks("python") if "compare(evaluations" in code)
    done = _run([sys.executable, "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ItemKNN" in done.stdout


@pytest.mark.cli
def test_an_own_algorithm_is_one_file_and_no_edit(tmp_path: Path) -> None:
    for language, name in (("python", "my_algorithms.py"), ("yaml", "own_algorithm.yaml")):
        (tmp_path / name).write_text(_named_block(language, name), encoding="utf-8")
    assert len(_named_block("python", "my_algorithms.py").splitlines()) <= 30
    done = _run([str(Path(sys.executable).parent / "recsys-lab"), "run", "own_algorithm.yaml"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CoOccurrence" in done.stdout
    assert (tmp_path / "outputs" / "own_algorithm" / "leaderboard.html").is_file()


@pytest.mark.cli
def test_own_data_as_the_readme_says(tmp_path: Path) -> None:
    (tmp_path / "my_experiment.yaml").write_text(_named_block("yaml", "my_experiment.yaml"), encoding="utf-8")
    rng = np.random.default_rng(0)
    lines = ["customer,product,stars,bought_at"]
    for user in range(60):
        for time, item in enumerate(rng.choice(80, size=20, replace=False)):
            lines.append(f"u{user},p{item},{rng.integers(1, 6)},{1_600_000_000 + 86_400 * time + user}")
    (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = _run([str(Path(sys.executable).parent / "recsys-lab"), "run", "my_experiment.yaml"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EASE" in done.stdout


def test_the_leaderboard_was_generated() -> None:
    table = docs.block(README, "leaderboard")
    assert "Oracle" in table
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) >= 2 + 12


def test_a_block_is_replaced_and_a_missing_one_is_an_error() -> None:
    text = "a\n<!-- generated: table (make docs) -->\nold\n<!-- end generated -->\nb\n"
    assert docs.block(docs.replace_block(text, "table", "new"), "table").strip() == "new"
    assert docs.replace_block(text, "table", "new").endswith("\nb\n")
    with pytest.raises(ValueError, match="no block"):
        docs.block(text, "other")
