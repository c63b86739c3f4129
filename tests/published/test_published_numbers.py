"""Published numbers come out: every row under ``expected`` of every file in experiments/published."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab.evaluation import evaluate
from recsys_lab.experiment.load import parse_yaml
from recsys_lab.trials import open_family

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "published"
FILES = sorted(FOLDER.glob("*.yaml"))
SLOW: set[str] = set()  # files of minutes


def _rows() -> list[Any]:
    """One case for each algorithm of each file."""
    cases = []
    for file in FILES:
        labels = dict.fromkeys(row["algorithm"] for row in parse_yaml(file.read_text(encoding="utf-8"))["expected"])
        marks = [pytest.mark.slow] if file.stem in SLOW else []
        cases += [pytest.param(file, label, marks=marks, id=f"{file.stem}-{label}") for label in labels]
    return cases


@cache
def _work(file: Path, data: Path) -> Any:
    """The family work of an experiment; nothing is run yet."""
    assert os.environ["RECSYS_LAB_DATA"]
    return open_family(file, log=False)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_LAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.data
@pytest.mark.parametrize(("file", "label"), _rows())
def test_what_was_published_comes_out(file: Path, label: str, real_data: Path) -> None:
    work = _work(file, real_data)
    spec = work.experiment.evaluation
    options = spec.model_dump(exclude={"primary"})
    evaluations = [
        evaluate(trial.make(), part, **options)
        for trial in work.trials
        if trial.label == label
        for part in work.splits
        if part.card.fold == trial.fold
    ]
    rows = [row for row in work.experiment.expected if row.algorithm == label]
    found = {row.metric: float(np.mean([entry.summary[row.metric] for entry in evaluations])) for row in rows}
    assert rows
    assert len(evaluations) == len(work.splits)
    assert found == {row.metric: pytest.approx(row.value, rel=0, abs=row.tolerance) for row in rows}
