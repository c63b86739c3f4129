"""The segments of the leader are the same from a notebook's work and from MLflow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recsys_lab.experiment import load_experiment
from recsys_lab.leaderboard import build, from_work, leader_segments
from recsys_lab.trials import open_family

TEXT = """
question: Who is served worse?
name: segments
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
evaluation: {cutoffs: [10]}
baselines: [Random, Popularity, Oracle]
families: {collaborative_filtering: [ItemKNN]}
"""


def test_the_leader_is_shown_whether_its_runs_were_kept_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    file = tmp_path / "segments.yaml"
    file.write_text(TEXT)
    work = open_family(file, family=None, log=True)
    work.run(progress=False)
    leader, here = leader_segments(from_work(work), work)
    assert leader == "ItemKNN"
    again, kept = leader_segments(build(load_experiment(file)), file)
    assert again == leader
    pd.testing.assert_frame_equal(kept, here.astype(kept.dtypes), rtol=1e-12)
    with pytest.raises(LookupError, match="no finished run of ItemKNN in 'other'"):
        leader_segments(from_work(work), work.experiment.model_copy(update={"name": "other"}))
