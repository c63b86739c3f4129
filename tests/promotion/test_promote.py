"""Promotion: the winner or the named run, served as evaluated, behind an alias that moves last and moves back."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from recsys_lab import tracking
from recsys_lab.cli import main
from recsys_lab.experiment import Experiment, load_experiment
from recsys_lab.promotion import choose, promote, roll_back
from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import load_bundle, load_manifest
from recsys_lab.serving.models import Models
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.reload import Watcher
from recsys_lab.serving.settings import Settings
from recsys_lab.trials import open_family

TEXT = """
question: Which model is promoted?
name: small
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
evaluation: {cutoffs: [5, 10]}
baselines: [Random, Popularity]
families:
  collaborative_filtering: [ItemKNN, EASE, own_for_promotion:Cosine]
"""
OWN = """
from dataclasses import dataclass
import numpy as np
from recsys_lab import Algorithm

@dataclass(kw_only=True, eq=False)
class Cosine(Algorithm):
    serves_new_users = True
    def fit(self, train):
        norms = np.sqrt(np.maximum(train.item_popularity, 1))
        self.weights_ = np.asarray((train.matrix.T @ train.matrix).todense() / norms[:, None] / norms, dtype=np.float32)
        return self
    def score(self, users, histories):
        return np.asarray(histories @ self.weights_, dtype=np.float32)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(home))
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path, str(home)])


@pytest.fixture
def experiment(home: Path) -> Experiment:
    """Finished once for all tests of this file."""
    (home / "own_for_promotion.py").write_text(OWN)
    file = home / "small.yaml"
    file.write_text(TEXT)
    spec = load_experiment(file)
    open_family(spec, log=True).run(progress=False)
    return spec


def test_the_winner_is_promoted_and_serves_what_was_evaluated(experiment: Experiment, tmp_path: Path) -> None:
    said: list[str] = []
    done = promote(experiment, name="winner", say=said.append)
    lists = tracking.load_evaluation(done.choice.run).lists
    assert lists is not None
    assert done.n_compared == min(200, len(lists))
    version = model_store.version_of(tracking.tracking_uri(), "winner", "champion")
    assert version is not None
    assert version.number == done.version.number
    assert done.before == ""
    folder = model_store.fetch_bundle(tracking.tracking_uri(), version, tmp_path / "bundle")
    manifest = load_manifest(folder)
    assert manifest["run_id"] == done.choice.run.run_id
    assert manifest["label"] == done.choice.trial.label
    served = Recommender(load_bundle(folder, own_modules=["own_for_promotion"])[0])
    assert len(manifest["trial"]) == min(len(served.bundle.user_ids), 201)
    for one in manifest["trial"]:
        answer = served.recommend(one["user"], 10)
        assert answer is not None
        assert [str(item.item_id) for item in answer.items] == one["items"]
    assert not [path for path in Path(folder).rglob("*") if path.suffix in {".pkl", ".pickle", ".joblib"}]
    assert said[0].startswith(done.choice.trial.label)


def test_the_logged_model_answers_as_mlflow_serves_it(experiment: Experiment) -> None:
    done = promote(experiment, run="EASE", name="as-pyfunc", say=lambda line: None)
    model = model_store.load_pyfunc(tracking.tracking_uri(), done.version)
    evaluation = tracking.load_evaluation(done.choice.run)
    ids = open_family(experiment).data.catalogue
    assert evaluation.lists is not None
    users = [str(ids.user_id(code)) for code in evaluation.lists.users]
    table = model.predict(pd.DataFrame({"user_id": [*users, "nobody"]}), params={"k": 10})
    for user, items in zip(users, evaluation.lists.items, strict=True):
        expected = [str(ids.item_id(item)) for item in items if item >= 0]
        assert table.loc[table["user_id"] == user, "item_id"].tolist() == expected
    unknown = table[table["user_id"] == "nobody"]
    assert (unknown["source"] == "popularity").all()
    assert len(unknown) == 10


def test_an_own_algorithm_is_promoted_too(experiment: Experiment) -> None:
    said: list[str] = []
    done = promote(experiment, run="Cosine", name="own", say=said.append)
    assert done.version.tags["algorithm"] == "own_for_promotion:Cosine"
    assert "RECSYS_LAB_OWN_MODULES=own_for_promotion recsys-lab serve" in said[-1]


def test_a_tuned_winner_is_promoted_as_it_was_found(home: Path, tmp_path: Path) -> None:
    file = home / "tuned.yaml"
    text = TEXT.replace("name: small", "name: tuned").replace("ItemKNN, EASE, own_for_promotion:Cosine", "EASE")
    file.write_text(text.replace("test: 0.2", "test: 0.2, validation: 0.2") + "tuning: {n_trials: 3}\n")
    spec = load_experiment(file)
    open_family(spec, log=True).run(progress=False)
    done = promote(spec, run="EASE", name="tuned", say=lambda line: None)
    found = tracking.load_tuning(done.choice.run).best_parameters["regularization"]
    folder = model_store.fetch_bundle(tracking.tracking_uri(), done.version, tmp_path / "bundle")
    assert load_manifest(folder)["parameters"]["regularization"] == found


def test_an_alias_moves_and_moves_back(experiment: Experiment) -> None:
    first = promote(experiment, run="ItemKNN", name="back", say=lambda line: None)
    second = promote(experiment, run="EASE", name="back", say=lambda line: None)
    assert second.before == first.version.number
    assert roll_back(name="back") == (second.version.number, first.version.number)
    now = model_store.version_of(tracking.tracking_uri(), "back", "champion")
    assert now is not None
    assert now.number == first.version.number
    with pytest.raises(LookupError, match="is the first champion"):
        roll_back(name="back")
    with pytest.raises(LookupError, match="no challenger"):
        roll_back(name="back", alias="challenger")


def test_all_rows_are_used_when_asked_for(experiment: Experiment, tmp_path: Path) -> None:
    done = promote(experiment, run="EASE", name="whole", all_data=True, say=lambda line: None)
    folder = model_store.fetch_bundle(tracking.tracking_uri(), done.version, tmp_path / "bundle")
    assert load_manifest(folder)["trained_on"] == "all rows"
    bundle, _ = load_bundle(folder)
    assert bundle.histories.nnz == open_family(experiment).data.matrix.nnz


def test_lists_that_differ_leave_the_alias_where_it_was(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = promote(experiment, run="EASE", name="guarded", say=lambda line: None)
    right = tracking.load_evaluation

    def tampered(run: tracking.Run):  # type: ignore[no-untyped-def]
        evaluation = right(run)
        lists = evaluation.lists
        assert lists is not None
        lists.items[0, :2] = lists.items[0, 1::-1]
        return evaluation

    monkeypatch.setattr(tracking, "load_evaluation", tampered)
    with pytest.raises(ValueError, match="nothing is promoted"):
        promote(experiment, run="EASE", name="guarded", say=lambda line: None)
    now = model_store.version_of(tracking.tracking_uri(), "guarded", "champion")
    assert now is not None
    assert now.number == first.version.number


def test_the_cheapest_of_those_that_cannot_be_told_apart(experiment: Experiment) -> None:
    choice = choose(experiment)
    from recsys_lab.leaderboard import build

    frame = build(experiment).tables[0].frame
    top = frame[frame["rank_group"] == 1]
    assert choice.trial.label in top.index
    seconds = top["fit_s"] + top["ms_per_user"] * top["n_users"] / 1000
    assert choice.trial.label == seconds.idxmin()
    assert ("cannot be told apart" in choice.reason) == (len(top) > 1)


def test_a_run_that_is_not_there(experiment: Experiment) -> None:
    with pytest.raises(ValueError, match="did you mean 'EASE'"):
        choose(experiment, run="EAES")
    with pytest.raises(LookupError, match="run the experiment first"):
        choose(experiment.model_copy(update={"name": "never-run"}))


def test_the_second_is_another_algorithm_than_the_winner(experiment: Experiment) -> None:
    winner, second = choose(experiment), choose(experiment, run="second")
    assert second.trial.algorithm != winner.trial.algorithm
    assert winner.trial.algorithm in second.reason


def test_a_replica_follows_the_registry(experiment: Experiment, tmp_path: Path) -> None:
    settings = Settings(
        registry_uri=tracking.tracking_uri(),
        bundle_dir=tmp_path / "bundles",
        database_url="sqlite://",
        model="followed",
        own_modules=("own_for_promotion",),
    )
    models = Models(Monitoring())
    watcher = Watcher(settings, models)
    watcher.check()
    assert models.champion is None
    for run, version in (("ItemKNN", "1"), ("Cosine", "2")):
        promote(experiment, run=run, name="followed", say=lambda line: None)
        watcher.check()
        assert models.of("champion").version.number == version  # type: ignore[union-attr]
    assert roll_back(name="followed") == ("2", "1")
    watcher.check()
    assert models.of("champion").version.number == "1"  # type: ignore[union-attr]
    copy = Models(Monitoring())
    Watcher(replace(settings, registry_uri="http://127.0.0.1:9"), copy).check()
    assert copy.of("champion").version.number == "1"  # type: ignore[union-attr]
    assert copy.stale["champion"]


def test_the_commands(experiment: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(experiment.path)
    assert main(["promote", file, "--run", "ItemKNN", "--name", "typed"]) == 0
    assert main(["promote", file, "--run", "EASE", "--name", "typed"]) == 0
    assert "EASE" in capsys.readouterr().out
    assert main(["rollback", "--name", "typed"]) == 0
    assert "version 1" in capsys.readouterr().out
    assert main(["promote", file, "--run", "EAES"]) == 2
    assert "did you mean 'EASE'" in capsys.readouterr().err
    assert main(["rollback", "--name", "nothing"]) == 2
