"""The doctor reports, mends with --fix, and creates nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recsys_lab.doctor import examine, warm_up


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv("RECSYS_LAB_HOME", raising=False)
    monkeypatch.delenv("RECSYS_LAB_DATA", raising=False)


def test_a_fresh_place_has_no_problem_and_stays_empty(tmp_path: Path) -> None:
    findings = examine()
    assert [str(finding) for finding in findings if finding.level == "problem"] == []
    assert any("the first run creates it" in finding.text for finding in findings)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_LAB_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(tmp_path))
    problems = [finding.text for finding in examine() if finding.level == "problem"]
    assert any("RECSYS_LAB_DATA" in text for text in problems)
    assert any("MLFLOW_TRACKING_URI" in text for text in problems)


def test_unfinished_files_are_removed_when_they_are_old(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "tried"
    folder.mkdir(parents=True)
    old, fresh = folder / ".10_x.99.ipynb", folder / ".11_x.99.ipynb"
    for file in (old, fresh):
        file.write_text("{}", encoding="utf-8")
    os.utime(old, (1, 1))
    assert any("1 unfinished" in finding.text for finding in examine())
    assert any(finding.level == "fixed" for finding in examine(fix=True))
    assert (old.exists(), fresh.exists()) == (False, True)


def test_warm_up_tries_every_model_of_the_small_experiment() -> None:
    assert "10 models tried" in warm_up()
