"""LightGCN reaches its published numbers on Last.fm, less 3 % at most."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_lab.evaluation import evaluate
from recsys_lab.trials import open_family

FILE = Path(__file__).resolve().parents[3] / "experiments" / "published" / "slow" / "lightgcn_lastfm.yaml"


@pytest.mark.data
@pytest.mark.slow
def test_lightgcn_reaches_what_was_published(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_LAB_CACHE", str(tmp_path))
    work = open_family(FILE, log=False)
    trial = next(trial for trial in work.trials if trial.algorithm == "LightGCN")
    options = work.experiment.evaluation.model_dump(exclude={"primary"})
    summary = evaluate(trial.make(), work.split, **options).summary
    for row in [row for row in work.experiment.expected if row.algorithm == "LightGCN"]:
        assert summary[row.metric] >= 0.97 * row.value
