"""A small experiment on an own CSV, logged once; each test damages a copy of the store."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from recsys_lab.data.datasets import load_dataset
from recsys_lab.experiment import load_experiment
from recsys_lab.trials import open_family

YAML = """
question: Does it come out again?
name: again
dataset: {path: own.csv, user: user_id, item: item_id}
split: {strategy: temporal_user, test: 0.2}
evaluation: {cutoffs: [5, 10]}
seeds: [3]
baselines: [Random, Popularity]
families:
  collaborative_filtering: [ItemKNN: {n_neighbors: 20}, EASE]
  factorization: [BPR: {n_epochs: 2, n_factors: 4}, NMF: {n_epochs: 2, n_factors: 3}]
"""


def _environment(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.chdir(folder)
    for name in ("MLFLOW_RUN_ID", "RECSYS_LAB_NOTEBOOK", "RECSYS_LAB_HOME"):
        patch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with own.csv, again.yaml and the database of its finished runs."""
    folder = tmp_path_factory.mktemp("logged")
    load_dataset("synthetic-small").to_frame().head(4000).to_csv(folder / "own.csv", index=False)
    (folder / "again.yaml").write_text(YAML, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        _environment(patch, folder)
        work = open_family(load_experiment(folder / "again.yaml"), family=None, log=True)
        work.run(progress=False)
        assert work.failures == {}
    return folder


@pytest.fixture
def store(logged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to do harm to, with the paths of its own artifacts and data; the experiment's file is gone."""
    folder = tmp_path / "copy"
    shutil.copytree(logged, folder, ignore=shutil.ignore_patterns("again.yaml"))
    _environment(monkeypatch, folder)
    with sqlite3.connect(folder / "mlflow.db") as database:
        moved = (str(logged), str(folder))
        database.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", moved)
        database.execute("UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)", moved)
    database.close()
    for recipe in folder.rglob("recipe.json"):  # the data beside the copied store
        recipe.write_text(recipe.read_text(encoding="utf-8").replace(str(logged), str(folder)), encoding="utf-8")
    return folder
