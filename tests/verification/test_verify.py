"""Runs come out again, bit for bit; whatever was changed since is named."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys_lab import tracking
from recsys_lab.tracking import Run
from recsys_lab.verification import Bench, find_run, newest_runs, verify, verifying
from recsys_lab.verification.levels import level_of


def artifact(run: Run, name: str) -> Path:
    return tracking.files_of(run, name)


def edit_json(path: Path, change: Any) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def sql(store: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(store / "mlflow.db") as database:
        assert database.execute(statement, values).rowcount == 1
    database.close()


@pytest.fixture
def no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with a record is said before anything is run again."""

    def refuse(*_: Any) -> None:
        raise AssertionError("nothing may be run again here")

    monkeypatch.setattr(Bench, "run", refuse)


def test_every_run_is_confirmed_without_the_experiments_file(store: Path) -> None:
    bench, runs = Bench(), newest_runs("again")
    assert {run.tags["label"] for run in runs} == {"Random", "Popularity", "ItemKNN", "EASE", "BPR", "NMF"}
    for run in runs:
        verdict = verify(run, bench)
        assert verdict.confirmed, str(verdict)
        assert verdict.level == "bitwise", str(verdict)
        assert (verdict.faults, verdict.difference) == ((), "")
    assert find_run("again:EASE").tags["verified"] == "bitwise"


@pytest.mark.usefixtures("no_fit")
def test_a_changed_data_row_is_named(store: Path) -> None:
    lines = (store / "own.csv").read_text(encoding="utf-8").splitlines()
    user, item, rating, time = lines[7].split(",")
    lines[7] = ",".join([user, item, str(float(rating) - 1 or 5.0), time])
    (store / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    verdict = verify(find_run("again:EASE"))
    assert not verdict.confirmed
    assert verdict.level == "not run"
    assert verdict.faults[0].startswith("data changed: ")
    for words in ("raw_sha256", "dataset_hash", "rating_sum"):
        assert words in verdict.faults[0]
    (store / "own.csv").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    assert "n_rows: 4,000, now 3,999" in verify(find_run("again:EASE")).faults[0]
    (store / "own.csv").unlink()
    assert "data changed: they cannot be read" in verify(find_run("again:EASE")).faults[0]


@pytest.mark.usefixtures("no_fit")
def test_a_changed_parameter_is_named_wherever_it_is(store: Path) -> None:
    run = find_run("again:ItemKNN")
    sql(store, "UPDATE params SET value = '21' WHERE run_uuid = ? AND key = 'n_neighbors'", run.run_id)
    verdict = verify(find_run("again:ItemKNN"))
    assert verdict.faults == ("changed parameter: MLflow has n_neighbors = 21, the run's summary.json 20",)
    run = find_run("again:EASE")
    edit_json(artifact(run, "recipe.json"), lambda recipe: recipe["trial"]["parameters"].update(regularization=7.0))
    assert "changed parameter: recipe.json has regularization = 7.0" in verify(run).faults[0]
    run = find_run("again:BPR")
    edit_json(artifact(run, "evaluation/summary.json"), lambda one: one["parameters"].update(n_factors=5))
    assert all(fault.startswith("changed parameter") for fault in verify(run).faults)
    assert len(verify(run).faults) == 3  # MLflow, recipe and card all say 4


@pytest.mark.usefixtures("no_fit")
def test_a_tampered_metric_is_named_wherever_it_is(store: Path) -> None:
    run = find_run("again:EASE")
    sql(store, "UPDATE latest_metrics SET value = 0.9 WHERE run_uuid = ? AND key = 'ranking/ndcg_at_10'", run.run_id)
    faults = verify(find_run("again:EASE")).faults
    assert len(faults) == 1
    assert faults[0].startswith("tampered metric: MLflow has ranking/ndcg_at_10 = 0.9")

    run = find_run("again:ItemKNN")
    edit_json(artifact(run, "evaluation/summary.json"), lambda one: one["summary"].update({"mrr@5": 0.9}))
    faults = verify(run).faults
    assert any("summary.json has mrr@5 = 0.9, the mean of the values by user is" in fault for fault in faults)
    assert any(fault.startswith("tampered card: mrr@5") for fault in faults)

    run = find_run("again:BPR")
    edit_json(artifact(run, "evaluation_card.json"), lambda card: card["results"]["ndcg@10"].update(mean=0.9))
    assert verify(run).faults[0].startswith("tampered card: ndcg@10 is 0.9")


@pytest.mark.usefixtures("no_fit")
def test_a_forger_who_changes_values_means_card_and_mlflow_is_caught_by_the_lists(store: Path) -> None:
    run = find_run("again:EASE")
    path = artifact(run, "evaluation/per_user.parquet")
    frame = pd.read_parquet(path)
    frame["ndcg@10"] = (frame["ndcg@10"] + 0.1).clip(upper=1.0)
    frame.to_parquet(path)
    value = float(frame["ndcg@10"].dropna().to_numpy().mean())
    edit_json(artifact(run, "evaluation/summary.json"), lambda one: one["summary"].update({"ndcg@10": value}))
    edit_json(artifact(run, "evaluation_card.json"), lambda card: card["results"]["ndcg@10"].update(mean=value))
    sql(store, "UPDATE latest_metrics SET value = ? WHERE run_uuid = ? AND key = ?", value, run.run_id,
        "ranking/ndcg_at_10")  # fmt: skip
    faults = verify(find_run("again:EASE")).faults
    assert len(faults) == 1
    assert faults[0].startswith("tampered metric: ndcg@10 of user ")
    assert "the stored lists give" in faults[0]


def test_changed_lists_are_caught_by_running_again(store: Path) -> None:
    run = find_run("again:Popularity")
    path = artifact(run, "evaluation/lists.npz")
    arrays = dict(np.load(path))
    listed = arrays["items"].copy()
    listed[0, [8, 9]] = listed[0, [9, 8]]  # two misses or hits of the first user change places
    np.savez_compressed(path, **(arrays | {"items": listed}))
    verdict = verify(run)
    assert not verdict.confirmed
    assert "rank 9" in verdict.difference or verdict.faults


@pytest.mark.usefixtures("no_fit")
@pytest.mark.parametrize("name", ["evaluation_card.json", "recipe.json", "evaluation/summary.json"])
def test_a_deleted_artifact_is_named(store: Path, name: str) -> None:
    run = find_run("again:EASE")
    artifact(run, name).unlink()
    verdict = verify(run)
    assert not verdict.confirmed
    assert verdict.faults[0].startswith("artifact gone: ")


def test_another_environment_and_other_code_are_notes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = tracking.facts()
    packages = now["packages"] | {"numpy": "0.1"}
    monkeypatch.setattr(verifying, "facts", lambda: now | {"cpu": "Abacus", "packages": packages})
    monkeypatch.setattr(verifying, "code_version", lambda: "9.9+other")
    verdict = verify(find_run("again:Popularity"))
    assert verdict.confirmed
    assert "now Abacus" in " ".join(verdict.notes)
    assert "packages.numpy" in " ".join(verdict.notes)
    assert "other code" in verdict.notes[0]


def test_levels(store: Path) -> None:
    run = find_run("again:EASE")
    before = tracking.load_evaluation(run)
    catalogue = Bench().data(tracking.load_recipe(run)).catalogue
    assert before.lists is not None
    assert level_of(before, before, "ndcg@10", catalogue) == ("bitwise", "")

    scores = before.lists.scores.copy()
    scores[3, 1] = np.nextafter(scores[3, 1], np.float32(np.inf))
    near = replace(before, lists=replace(before.lists, scores=scores))
    level, words = level_of(before, near, "ndcg@10", catalogue)
    assert level == "ranking"
    assert "rank 2: score" in words

    items = before.lists.items.copy()
    items[4, [0, 1]] = items[4, [1, 0]]
    other = replace(before, lists=replace(before.lists, items=items))
    level, words = level_of(before, other, "ndcg@10", catalogue)
    assert level == "statistical"
    assert repr(catalogue.user_id(int(before.lists.users[4]))) in words
    assert "rank 1" in words

    worse = before.per_user.assign(**{"ndcg@10": before.per_user["ndcg@10"] * 0.5})
    level, words = level_of(before, replace(other, per_user=worse), "ndcg@10", catalogue)
    assert level == "none"
    assert "moved by -" in words


def test_runs_are_found_by_id_beginning_and_label(store: Path) -> None:
    run = find_run("again:EASE")
    assert find_run(run.run_id).run_id == find_run(run.run_id[:16]).run_id == run.run_id
    with pytest.raises(LookupError, match="did you mean 'EASE'"):
        find_run("again:EASY")
    with pytest.raises(LookupError, match="did you mean 'again'"):
        find_run("agin:EASE")
    with pytest.raises(LookupError, match="no finished run begins with"):
        find_run("zzzz")
    everything = {one.run_id[0] for one in newest_runs("again")}
    if len(everything) < 6:  # two of the six ids begin alike
        letter = next(one for one in everything if sum(run.run_id[0] == one for run in newest_runs("again")) > 1)
        with pytest.raises(ValueError, match="runs begin with"):
            find_run(letter)
