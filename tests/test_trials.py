"""The work of one family notebook: run, tables, failures, folds, nothing left behind."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from recsys_lab import tracking
from recsys_lab.experiment import experiment_from_text, load_experiment
from recsys_lab.experiment.models import Expected
from recsys_lab.trials import check_published, load_data, make_splits, open_family, published_files
from recsys_lab.trials.published import Checked

RATING = """
question: Do folds work?
name: folds
dataset: {name: synthetic-small}
split: {strategy: k_fold, n_folds: 3, seed: 1}
evaluation: {task: rating}
baselines: [Bias]
families: {factorization: [{SVD: {random_state: 0, n_epochs: 2, n_factors: 3}}]}
expected:
  - {algorithm: Bias, metric: rmse, value: 1.0, tolerance: 0.1, source: made up}
  - {algorithm: SVD, metric: rmse, value: 9.0, tolerance: 0.1, source: made up}
"""


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store/mlflow.db")
    for name in ("MLFLOW_RUN_ID", "RECSYS_LAB_NOTEBOOK", "RECSYS_LAB_PROGRESS", "RECSYS_LAB_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_by_hand_nothing_is_left_behind(tmp_path: Path) -> None:
    work = open_family("", family="collaborative_filtering")
    assert not work.log
    evaluations = work.run(progress=False)
    assert list(evaluations) == ["Random", "Popularity", "Oracle", "UserKNN", "ItemKNN", "EASE"]
    assert list(tmp_path.iterdir()) == []
    assert work.baselines == ("Random", "Popularity")
    table = work.table()
    assert table.index[0] == "Oracle"
    assert table["ndcg@10"].is_monotonic_decreasing
    assert table.loc["EASE", "ndcg@10"] == pytest.approx(evaluations["EASE"].summary["ndcg@10"])
    assert list(work.table(["recall@5"]).columns) == ["recall@5"]
    assert work.notes["Oracle"] == [] or "score" in work.notes["Oracle"][0]


@pytest.mark.parametrize(("metric", "rises"), [("calibration_kl@10", True), ("ndcg@10", False)])
def test_the_best_stands_first_whichever_side_is_better(metric: str, rises: bool) -> None:
    spec = experiment_from_text(
        f"""
question: Who keeps to the genres of the user?
name: calibrated
dataset: {{name: synthetic-small}}
split: {{strategy: temporal_user, test: 0.2}}
evaluation: {{primary: {metric}, metrics: [default, calibration_kl]}}
baselines: [Random, Popularity]
families: {{collaborative_filtering: [ItemKNN, EASE]}}
"""
    )
    work = open_family(spec, family=None, log=False)
    work.run(progress=False)
    column = work.table()[metric]
    assert column.notna().all()
    assert column.is_monotonic_increasing is rises
    assert column.is_unique


def test_the_fitted_algorithm_is_at_hand_and_refitted_after_loading() -> None:
    first = open_family("", family="content_based", log=True)
    first.run(progress=False)
    again = open_family("", family="content_based", log=True)
    again.run(progress=False)
    users = np.arange(5, dtype=np.int32)
    histories = first.split.history.matrix[:5]
    expected = first.algorithm("UserProfile").score(users, histories)
    assert np.array_equal(again.algorithm("UserProfile").score(users, histories), expected)
    with pytest.raises(ValueError, match="no model is called 'Userprofile'"):
        first.algorithm("Userprofile")


def test_a_failing_algorithm_is_left_out() -> None:
    work = open_family(
        load_experiment("", ["families.factorization=[{PureSVD: {n_factors: -1}}, SVD]"]), family="factorization"
    )
    assert "SVD" in work.run(progress=False)
    assert "PureSVD" not in work.evaluations
    assert "n_factors" in work.failures["PureSVD"]


def test_unknown_families_splits_and_folds_are_named() -> None:
    with pytest.raises(ValueError, match="no family 'neural'"):
        open_family("", family="neural")
    with pytest.raises(ValueError, match="split 1 does not exist"):
        open_family("", family="content_based", split=1)
    with pytest.raises(ValueError, match="fold 7 does not exist"):
        open_family(experiment_from_text(RATING), family="factorization", fold=7)
    with pytest.raises(ValueError, match="no folds"):
        open_family("", family="content_based", fold=0)


def test_all_folds_or_one() -> None:
    experiment = experiment_from_text(RATING)
    work = open_family(experiment, family="factorization")
    work.run(progress=False)
    assert sorted(work.fold_evaluations) == [0, 1, 2]
    assert work.evaluations is work.fold_evaluations[0]
    mean = np.mean([found["Bias"].summary["rmse"] for found in work.fold_evaluations.values()])
    assert work.table().loc["Bias", "rmse"] == pytest.approx(mean)
    assert work.table()["rmse"].is_monotonic_increasing
    one = open_family(experiment, family="factorization", fold=2)
    one.run(progress=False)
    assert one.evaluations["Bias"].summary == work.fold_evaluations[2]["Bias"].summary
    assert one.split.card.fingerprint == work.splits[2].card.fingerprint


def test_another_seed_than_the_files_is_allowed_by_hand() -> None:
    work = open_family("", family="factorization", seed=7)
    assert {trial.seed for trial in work.trials} == {7}


def test_the_family_none_opens_all() -> None:
    work = open_family("")
    assert {trial.family for trial in work.trials} == {
        "baseline",
        "collaborative_filtering",
        "content_based",
        "factorization",
    }


def test_two_at_the_same_trial_run_it_once() -> None:
    works = [open_family("", family="content_based", log=True) for _ in range(2)]
    threads = [threading.Thread(target=work.run, kwargs={"progress": False}) for work in works]
    tracking.init_store("small")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = tracking.find_runs("small")
    assert len(runs) == len(works[0].trials)
    assert {run.status for run in runs} == {"FINISHED"}
    assert works[0].table(["ndcg@10"]).equals(works[1].table(["ndcg@10"]))


def test_progress_is_told_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_LAB_PROGRESS", str(tmp_path / "progress"))
    work = open_family("", family="content_based")
    work.run(progress=False)
    assert len((tmp_path / "progress").read_text(encoding="utf-8").splitlines()) == len(work.trials)


def test_own_files_and_given_parts(tmp_path: Path) -> None:
    lines = [f"u{user};i{item};{1 + (user + item) % 5}" for user in range(12) for item in range(user % 3, 9)]
    (tmp_path / "r.csv").write_text("who;what;stars\n" + "\n".join(lines) + "\n", encoding="utf-8")
    text = """
question: Own data?
dataset: {path: r.csv, sep: ";", user: who, item: what, rating: stars, timestamp: null, licence: mine, source: here}
split: {strategy: random_user}
families: {factorization: [{PureSVD: {n_factors: 2}}]}
"""
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    experiment = load_experiment(tmp_path / "own.yaml")
    data = load_data(experiment)
    assert (len(data), data.n_users, data.n_items) == (len(lines), 12, 9)
    assert data.catalogue.info["name"] == "r"
    assert data.catalogue.info["licence"] == "mine"
    assert open_family(experiment, family="factorization").run(progress=False)["PureSVD"].summary["n_users"] == 12

    (tmp_path / "train.txt").write_text("0 1 2\n1 0 2\n2 0 1\n", encoding="utf-8")
    (tmp_path / "test.txt").write_text("0 0\n1 1\n2 2\n", encoding="utf-8")
    given = "question: q?\ndataset: {train: train.txt, test: test.txt, format: lists, rating: null, timestamp: null}\n"
    (tmp_path / "given.yaml").write_text(given + "families: {factorization: [EASE]}\n", encoding="utf-8")
    parts = load_experiment(tmp_path / "given.yaml")
    (only,) = make_splits(parts, 0)
    assert (len(only.train), len(only.test)) == (6, 3)
    work = open_family(parts, family="factorization")
    assert len(work.data) == 9
    assert work.run(progress=False)["EASE"].summary["hit_rate@10"] == 1.0


def test_published_numbers_are_compared_with_their_tolerance() -> None:
    said: list[str] = []
    rows = list(check_published(experiment_from_text(RATING), say=said.append))
    assert [row.passed for row in rows] == [True, False]
    assert "WRONG" in said[-1]
    assert "expected 9" in said[-1]
    with pytest.raises(ValueError, match="no list of expected numbers"):
        list(check_published(load_experiment("")))


def test_a_published_experiment_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "ease_ml.yaml").write_text("question: q\n", encoding="utf-8")
    assert published_files(folder=tmp_path) == [tmp_path / "ease_ml.yaml"]
    with pytest.raises(ValueError, match="did you mean 'ease_ml'"):
        published_files(["ease_m"], folder=tmp_path)


def test_slow_published_experiments_are_run_when_named_or_asked_for(tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    quick, slow = tmp_path / "quick.yaml", tmp_path / "slow" / "graph.yaml"
    for file in (quick, slow):
        file.write_text("question: ?")
    assert published_files(folder=tmp_path) == [quick]
    assert published_files(folder=tmp_path, slow=True) == [quick, slow]
    assert published_files(["graph"], folder=tmp_path) == [slow]


@pytest.mark.parametrize(
    ("metric", "got", "one_sided", "passed"),
    [
        ("ndcg@10", 0.53, False, False),
        ("ndcg@10", 0.53, True, True),
        ("ndcg@10", 0.48, True, False),
        ("rmse", 0.45, True, True),
        ("rmse", 0.53, True, False),
    ],
)
def test_one_sided_numbers_may_be_better_but_not_worse(metric: str, got: float, one_sided: bool, passed: bool) -> None:
    expected = Expected(
        algorithm="EASE", metric=metric, value=0.5, tolerance=0.01, source="a paper", one_sided=one_sided
    )
    assert Checked(expected, got).passed is passed
