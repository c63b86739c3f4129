"""MLflow: names, one store for many processes, stale runs, and trials that come back as they were."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_lab import tracking
from recsys_lab.experiment import expand, load_experiment
from recsys_lab.metrics.definitions import METRICS
from recsys_lab.tracking import environment, store
from recsys_lab.trials import open_family


def test_a_run_says_which_files_were_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=tmp_path, check=True, capture_output=True
        )

    git("init")
    (tmp_path / "a b.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "x")
    monkeypatch.setattr(environment, "PACKAGE_PARENT", tmp_path)
    clean = environment.git_tags.__wrapped__()
    assert clean["git_dirty"] == "false"
    assert "git_dirty_files" not in clean
    (tmp_path / "a b.py").write_text("2")
    for number in range(40):
        (tmp_path / f"new{number:02}.py").touch()
    dirty = environment.git_tags.__wrapped__()
    assert dirty["git_dirty"] == "true"
    assert json.loads(dirty["git_dirty_files"])[:2] == ['"a b.py"', "new00.py"]
    assert len(json.loads(dirty["git_dirty_files"])) == 20


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.delenv("RECSYS_LAB_HOME", raising=False)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ndcg@10", "ranking/ndcg_at_10"),
        ("hit_rate@5", "ranking/hit_rate_at_5"),
        ("item_coverage@10", "beyond/item_coverage_at_10"),
        ("gini@10", "beyond/gini_at_10"),
        ("rmse", "rating/rmse"),
        ("mae_macro", "rating/mae_macro"),
        ("fit_s", "time/fit_s"),
        ("peak_rss_mb", "memory/peak_rss_mb"),
        ("n_users", "users/n_users"),
    ],
)
def test_metric_names_are_grouped_and_legal(name: str, key: str) -> None:
    assert tracking.metric_key(name) == key


def test_few_metrics_are_shown_and_none_is_nan() -> None:
    means = {f"{name}@{k}": 0.5 for name in ("ndcg", "recall", "map", "gini", "entropy") for k in (5, 10)}
    shown = tracking.shown_metrics({**means, "fit_s": 1.0, "n_users": float("nan")}, "ndcg@10")
    assert shown == {
        "ranking/ndcg_at_10": 0.5,
        "ranking/recall_at_10": 0.5,
        "ranking/map_at_10": 0.5,
        "beyond/gini_at_10": 0.5,
        "time/fit_s": 1.0,
    }


def test_the_uri_is_absolute_and_a_plain_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here/mlflow.db")
    assert tracking.tracking_uri() == f"sqlite:///{tmp_path}/here/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert tracking.tracking_uri() == "http://host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(ValueError, match=r"sqlite:///path/mlflow\.db"):
        tracking.tracking_uri()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(tmp_path / "own"))
    assert tracking.tracking_uri() == f"sqlite:///{tmp_path}/own/mlflow.db"


def test_looking_creates_nothing(tmp_path: Path) -> None:
    assert tracking.find_trials("never_run") == {}
    assert tracking.experiment_id("never_run") is None
    assert tracking.stale_runs() == []
    assert list(tmp_path.iterdir()) == []


def test_a_trial_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    work = open_family("", family="content_based", log=True)
    measured = work.run(progress=False)
    again = open_family("", family="content_based", log=True)
    loaded = again.run(progress=False)
    assert again.algorithms == {}  # nothing was fitted
    assert list(loaded) == list(measured)
    for label, evaluation in measured.items():
        pd.testing.assert_frame_equal(loaded[label].per_user, evaluation.per_user)
        assert loaded[label].summary == evaluation.summary or np.isnan(list(evaluation.summary.values())).any()
    run = tracking.find_trial("small", next(trial.trial_id for trial in work.trials if trial.label == "ContentKNN"))
    assert run is not None
    assert run.name == "ContentKNN · synthetic-small · s42"
    assert run.metrics["ranking/ndcg_at_10"] == measured["ContentKNN"].summary["ndcg@10"]
    assert len(run.metrics) <= 17
    assert run.params["algorithm"] == "ContentKNN"
    assert run.params["dataset"] == "synthetic-small"
    assert {"licence", "source", "split"} <= set(run.params)
    assert run.tags["split_hash"] == work.split.card.fingerprint
    assert run.tags["dataset_hash"] == work.data.fingerprint
    assert {"sweep_id", "family", "git_commit", "git_dirty", "protocol_hash", "code_version"} <= set(run.tags)
    assert run.tags["kind"] == "trial"
    assert "numpy==" in tracking.files_of(run, "environment.txt").read_text(encoding="utf-8")
    assert tracking.files_of(run, "split_card.json").is_file()
    segments = pd.read_csv(tracking.files_of(run, "segments.csv"))
    assert {"activity", "user", "item popularity", "item"} <= set(segments["by"])
    inputs = store.client().get_run(run.run_id).inputs.dataset_inputs
    assert inputs[0].dataset.digest == work.data.fingerprint[:36]
    sweep = tracking.find_trials("small", sweep=run.tags["sweep_id"])
    assert set(sweep) == {trial.trial_id for trial in work.trials}


def test_results_are_found_after_the_folder_was_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/before/mlflow.db")
    (tmp_path / "before").mkdir()
    measured = open_family("", family="content_based", log=True).run(progress=False)
    (tmp_path / "before").rename(tmp_path / "after")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/after/mlflow.db")
    again = open_family("", family="content_based", log=True)
    loaded = again.run(progress=False)
    assert again.algorithms == {}  # nothing was fitted
    assert {label: one.per_user["ndcg@10"].sum() for label, one in loaded.items()} == {
        label: one.per_user["ndcg@10"].sum() for label, one in measured.items()
    }


def test_a_trial_whose_files_were_deleted_is_done_again(tmp_path: Path) -> None:
    open_family("", family="content_based", log=True).run(progress=False)
    for file in (tmp_path / "mlartifacts").rglob("summary.json"):
        file.unlink()
    again = open_family("", family="content_based", log=True)
    assert set(again.run(progress=False)) == {trial.label for trial in again.trials}
    assert set(again.algorithms) == {trial.label for trial in again.trials}


def test_a_failing_trial_is_recorded_with_its_traceback_and_retried() -> None:
    experiment = load_experiment("", ["families.content_based=[{ContentKNN: {n_neighbors: -3}}, UserProfile]"])
    work = open_family(experiment, family="content_based", log=True)
    assert "UserProfile" in work.run(progress=False)
    assert "n_neighbors" in work.failures["ContentKNN"]
    trial = next(trial for trial in work.trials if trial.label == "ContentKNN")
    run = tracking.find_trials("small", {trial.trial_id})[trial.trial_id]
    assert run.status == "FAILED"
    assert "n_neighbors" in run.tags["error"]
    assert "Traceback" in tracking.files_of(run, "traceback.txt").read_text(encoding="utf-8")
    assert tracking.find_trial("small", trial.trial_id) is None


def test_runs_of_dead_processes_are_closed_and_those_of_living_ones_are_not() -> None:
    trial = expand(load_experiment(""))[0]
    living = tracking.begin_trial(load_experiment(""), trial)
    dead = tracking.start_run("small", "dead", {"pid": "999999", "host": socket.gethostname()})
    elsewhere = tracking.start_run("small", "elsewhere", {"pid": "999999", "host": "another-machine"})
    reused = tracking.start_run("small", "reused", {"pid": str(os.getpid()), "pid_started": "1.0"})
    assert {run.run_id for run in tracking.close_stale_runs()} == {dead.run_id, reused.run_id}
    status = {run.run_id: run.status for run in tracking.find_runs("small")}
    assert status == {
        living.run_id: "RUNNING",
        elsewhere.run_id: "RUNNING",
        dead.run_id: "KILLED",
        reused.run_id: "KILLED",
    }


def test_the_link_sorts_by_the_primary_metric() -> None:
    page = tracking.page("7", "ndcg@10", "http://127.0.0.1:5000")
    assert page.startswith(
        "http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning&compareRunsMode=CHART"
    )
    assert "orderByKey=metrics.%60ranking%2Fndcg_at_10%60&orderByAsc=false" in page
    assert page.count("#") == 1
    for name, metric in METRICS.items():
        ascending = str(metric.better == "lower").lower()
        assert tracking.page("7", name + ("@10" if metric.needs_cutoff else ""), "").endswith(f"orderByAsc={ascending}")
    assert tracking.run_page("1", "abc") == "#/experiments/1/runs/abc"


@pytest.mark.slow
def test_eight_processes_at_once_on_a_fresh_store(tmp_path: Path) -> None:
    code = (
        "import sys; from recsys_lab import tracking\n"
        "for number in range(3):\n"
        "    run = tracking.start_run('many', f'{sys.argv[1]}-{number}', {'kind': 'trial'})\n"
        "    tracking.log(run, metrics={'ranking/ndcg_at_10': 0.5}, params={'n': number})\n"
        "    tracking.finish(run, 'FINISHED')\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(number)], stderr=subprocess.PIPE) for number in range(8)
    ]
    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, "\n".join(errors)
    runs = tracking.find_runs("many", "attributes.status = 'FINISHED'")
    assert {run.name for run in runs} == {f"{process}-{number}" for process in range(8) for number in range(3)}
