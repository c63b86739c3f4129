"""The loop: an experiment, a promoted version, lists that are shown, what people do, and the next experiment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_lab import read_interactions, tracking
from recsys_lab.experiment import Experiment, load_experiment
from recsys_lab.promotion import Replica, equal_lists, promote, roll_back, titles
from recsys_lab.serving.export import RATINGS
from recsys_lab.serving.storage import Database
from recsys_lab.trials import open_family

FIRST = """
question: Which model is served?
name: first
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
evaluation: {cutoffs: [10]}
baselines: [Random, Popularity]
families: {collaborative_filtering: [EASE, ItemKNN]}
"""
NEXT = """
question: What do people choose from our lists?
name: next
dataset: {path: feedback.parquet}
split: {strategy: random, test: 0.3}
evaluation: {cutoffs: [10]}
baselines: [Random, Popularity]
families: {collaborative_filtering: [ItemKNN]}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(home))
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)


@pytest.fixture(scope="module")
def file(home: Path) -> Path:
    (home / "first.yaml").write_text(FIRST)
    return home / "first.yaml"


@pytest.fixture
def experiment(file: Path) -> Experiment:
    """Finished; a second time it is found."""
    spec = load_experiment(file)
    open_family(spec, log=True).run(progress=False)
    return spec


def test_a_replica_serves_what_was_measured_and_follows_the_aliases(experiment: Experiment, tmp_path: Path) -> None:
    done = promote(experiment, run="EASE", say=lambda line: None)
    data = open_family(experiment).data
    replica = Replica(tmp_path)
    evaluation = tracking.load_evaluation(done.choice.run)
    assert equal_lists(replica, evaluation, data, 40) == (40, 40)
    promote(experiment, run="ItemKNN", say=lambda line: None)
    assert replica.follow()["algorithm"] == "ItemKNN"
    assert equal_lists(replica, evaluation, data, 40)[0] < 40
    roll_back()
    assert replica.follow()["algorithm"] == "EASE"
    shown = replica.get(f"/v1/users/{data.catalogue.user_id(0)}/recommendations", k=3)
    assert titles(shown) == [one["title"] for one in shown["items"]]
    assert len(titles(shown)) == 3
    with pytest.raises(ValueError, match=r"422: .*k"):
        replica.get(f"/v1/users/{data.catalogue.user_id(0)}/recommendations", k=0)
    replica.close()


@pytest.mark.slow
@pytest.mark.cli
def test_what_people_did_is_data_for_the_next_experiment(experiment: Experiment, home: Path) -> None:
    """As a user types it: `recsys-lab export-feedback`, then `recsys-lab run` on the file it wrote."""
    promote(experiment, run="EASE", say=lambda line: None)
    replica = Replica(home)
    rows = open_family(experiment).split.test
    n_visits = 400
    clicks = replica.visits(rows.select(rows.timestamps.argsort()[:n_visits]))
    user, liked = str(rows.catalogue.user_id(0)), str(rows.catalogue.item_id(7))
    replica.say(user, liked, "like")
    replica.close()
    assert clicks > 50
    noted = list(Database(replica.database_url).read("impression"))
    assert len(noted) == n_visits

    environment = {**os.environ, "RECSYS_LAB_DATABASE_URL": replica.database_url}
    command = str(Path(sys.executable).parent / "recsys-lab")

    def typed(*arguments: str) -> str:
        done = subprocess.run(
            [command, *arguments], cwd=home, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "in an experiment: dataset: {path: feedback.parquet, ids: str}" in typed(
        "export-feedback", "--output", "feedback.parquet"
    )
    data = read_interactions(home / "feedback.parquet")
    pairs = {(row["user_id"], row["item_id"]): row for row in Database(replica.database_url).read("event")}
    assert len(data) == len(pairs)
    frame = data.to_frame().astype({"user_id": str, "item_id": str}).set_index(["user_id", "item_id"])
    for pair, row in pairs.items():
        assert frame.loc[pair, "rating"] == RATINGS[row["event"]]
        assert frame.loc[pair, "timestamp"] == int(row["ts"])
    (home / "next.yaml").write_text(NEXT)
    said = typed("run", "next.yaml", "--jobs", "1")
    assert "ItemKNN" in said
    assert (home / "outputs" / "next" / "leaderboard.html").is_file()
