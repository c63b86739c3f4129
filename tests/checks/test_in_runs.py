"""Where the checks stand in a run: before any fit, after each trial, in MLflow, below the table, in the shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_lab import tracking
from recsys_lab.checks import Check, LeakError
from recsys_lab.checks.definitions import CHECKS, document
from recsys_lab.cli.main import main
from recsys_lab.experiment import experiment_from_text, load_experiment
from recsys_lab.leaderboard import build
from recsys_lab.leaderboard.check_notes import check_notes, is_sound
from recsys_lab.trials import check_experiment, open_family
from recsys_lab.trials.prepare import try_data

ROWS = "user_id,item_id,rating,timestamp\n"
EXPERIMENT = """
question: Is it sound?
name: sound
dataset: {train: train.csv, test: test.csv}
evaluation: {cutoffs: [2], primary: ndcg@2}
baselines: [Popularity]
families: {collaborative_filtering: [ItemKNN]}
"""
OWN = """
from recsys_lab.algorithms.baselines import Popularity
SEEN = []

class Careless(Popularity):
    def fit(self, train):
        self.item_scores_ = (SEEN[0].item_popularity + 0.5).astype("float32")
        return self

class Honest(Popularity):
    pass
"""


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store/mlflow.db")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(tmp_path))
    for name in ("MLFLOW_RUN_ID", "RECSYS_LAB_NOTEBOOK", "RECSYS_LAB_PROGRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """An experiment whose test file repeats two rows of its train file."""
    rows = [f"{user},{item},5,{100 + user}\n" for user in range(8) for item in range(6) if (user + item) % 3]
    (tmp_path / "train.csv").write_text(ROWS + "".join(rows))
    (tmp_path / "test.csv").write_text(ROWS + "".join(rows[:2]) + "0,0,5,200\n3,3,4,200\n")
    (tmp_path / "leaky.yaml").write_text(EXPERIMENT)
    return tmp_path / "leaky.yaml"


def test_a_failed_e_stops_the_run_before_any_fit(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = open_family(leaky, family=None)
    with pytest.raises(
        LeakError, match=r"check L01 failed \(fixed\): .*2 pairs \(user, item\) are in train and in test"
    ):
        work.run(progress=False)
    assert (work.evaluations, work.algorithms, work.failures) == ({}, {}, {})
    with pytest.raises(ValueError, match=r"filter duplicates.*docs/checks\.md") as caught:
        try_data(load_experiment(leaky))  # what recsys-lab run does before any notebook
    assert [check.id for check in caught.value.checks] == ["L01"]
    assert main(["check", str(leaky)]) == 1
    shown = capsys.readouterr().out
    assert "L01    E      FAILED" in shown
    assert "L01 failed: nothing of this experiment would be run" in shown
    assert main(["check", str(leaky), "--set", "evaluation.exclude_seen=false"]) == 1  # two whole rows are repeated
    assert not (leaky.parent / "store").exists()


def test_checks_are_recorded_read_back_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    work = open_family("", family="content_based", log=True)
    work.run(progress=False)
    spec = work.experiment
    checks = {check.id: check for check in work.checks["Popularity"]}
    assert {"L01", "L02", "L03", "L04", "L06", "L07", "L09", "L10", "L11", "L13"} == set(checks)
    assert checks["L07"].value == 1.0
    assert checks["L11"].passed
    runs = tracking.find_trials(spec.name)
    assert {run.tags["checks"] for run in runs.values()} == {"warn: L03 L04"}
    again = open_family("", family="content_based", log=True)
    again.run(progress=False)
    assert again.checks == work.checks
    table = build(spec).tables[0]
    assert sum(note.startswith("Check L03:") for note in table.notes) == 1  # once, for all models
    assert not any("INVALID: check" in note for note in table.notes)
    assert main(["check", str(Path(__file__).parents[2] / "experiments" / "own_csv.yaml")]) == 0
    assert "sound, with warnings: L03, L04" in capsys.readouterr().out


def test_an_own_algorithm_that_reads_more_than_train_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "careless_module.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    text = "question: q\nname: own\ndataset: {name: synthetic-small}\nbaselines: [Popularity]\nfamilies:\n"
    text += "  collaborative_filtering: ['careless_module:Careless', 'careless_module:Honest']\n"
    work = open_family(experiment_from_text(text), family=None)
    import careless_module

    careless_module.SEEN.append(work.data)
    n_rows = len(work.data)
    work.run(progress=False)
    assert list(work.failures) == ["Careless"]
    assert work.failures["Careless"].startswith("LeakError: check L05 failed (Careless): ")
    assert "L05" in {check.id for check in work.checks["Honest"]}
    assert "L05" not in {check.id for check in work.checks["Popularity"]}  # of this package: asked for only
    assert len(work.data) == n_rows


def test_what_costs_a_fit_is_asked_for_and_done_when_asked_later() -> None:
    text = "question: q\nname: asked\ndataset: {name: synthetic-small}\nbaselines: [Popularity]\n"
    text += "families: {collaborative_filtering: [EASE]}\n"
    open_family(experiment_from_text(text), family=None, log=True).run(progress=False)
    more = open_family(experiment_from_text(text + "checks: {canary: true, permuted: true}\n"), family=None, log=True)
    more.run(progress=False)
    found = {check.id: check for check in more.checks["EASE"]}
    assert found["L05"].passed
    assert found["L12"].passed
    assert found["L07"].value == 1.0  # the same configuration again


def test_folds_are_checked_together() -> None:
    text = "question: q\nname: folds\ndataset: {name: synthetic-small}\nsplit: {strategy: k_fold, n_folds: 3}\n"
    text += "families: {collaborative_filtering: [ItemKNN]}\n"
    found = check_experiment(experiment_from_text(text))
    assert list(found)[-1] == "split 0: k_fold, all folds together"
    assert len(found) == 4
    assert all(check.passed for checks in found.values() for check in checks if check.level == "E")


def test_the_quickstart_is_sound() -> None:
    found = check_experiment(load_experiment(Path(__file__).parents[2] / "experiments" / "quickstart.yaml"))
    (checks,) = found.values()
    assert [check.id for check in checks] == ["L01", "L02", "L03", "L04", "L06", "L11", "L13"]
    assert all(check.passed for check in checks if check.level == "E")


def test_notes_name_who_failed_and_an_e_makes_a_table_invalid() -> None:
    warned = Check("L10", "W", False, 7.0, "too good")
    shared = Check("L03", "W", False, 0.4, "the future")
    wrong = Check("L08", "E", False, 1.0, "it saw the test part")
    notes = check_notes({"A": [shared, warned], "B": [shared, shared]})
    assert notes == ["Check L03: the future.", "Check L10 (A): too good."]
    assert check_notes({"A": [wrong], "B": []}) == ["INVALID: check L08 (A): it saw the test part."]
    assert not is_sound({"A": [wrong]})
    assert is_sound({"A": [shared]})


def test_the_page_of_the_documentation_is_the_table() -> None:
    assert list(CHECKS) == [f"L{number:02d}" for number in range(1, 15)]
    page = Path(__file__).parents[2] / "docs" / "checks.md"
    assert page.read_text(encoding="utf-8") == document()
