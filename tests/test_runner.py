"""Notebooks in processes of their own: finished, skipped, failed, stopped by force, run twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from recsys_lab import tracking
from recsys_lab.experiment import expand, load_experiment
from recsys_lab.runner import Report, dry_run, plan_jobs, run_experiment, run_notebook
from recsys_lab.runner.html import to_html, without_remote
from recsys_lab.runner.plan import write_resolved
from recsys_lab.trials import open_family

YAML = """
question: Does the runner run?
name: tried
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
baselines: [Random, Popularity]
families:
  content_based: [UserProfile]
  factorization: [{PureSVD: {n_factors: 5}}]
"""
PARAMETERS = 'experiment: str = ""\nsplit: int = 0\nfold: int = -1\nseed: int = 42\nlog: bool = False'
WORK = """
from recsys_lab.trials import open_family
work = open_family(experiment, family="{family}", split=split, fold=fold, seed=seed, log=log)
work.run(progress=False)
work.table().round(3)
"""
Launch = Callable[..., subprocess.Popen[str]]
FAMILIES = {"content_based": "11_content_based", "factorization": "12_factorization"}


def write_notebook(folder: Path, stem: str, parameters: str, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / f"{stem}.ipynb")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment and tiny family notebooks, and a store of its own."""
    for family, stem in FAMILIES.items():
        write_notebook(tmp_path / "notebooks", stem, PARAMETERS, WORK.format(family=family))
    (tmp_path / "tried.yaml").write_text(YAML, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("RECSYS_LAB_NOTEBOOKS", str(tmp_path / "notebooks"))
    for name in ("MLFLOW_RUN_ID", "RECSYS_LAB_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def launch(folder: Path) -> Iterator[Launch]:
    """Starts ``recsys-lab run tried.yaml`` with more arguments; what is still alive at the end is stopped."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        # a shell's background jobs ignore Ctrl-C, and so would what they start
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = (
            f"{heed}; import sys; from recsys_lab.cli import main; sys.exit(main({['run', 'tried.yaml', *arguments]}))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _run(folder: Path, **options: object) -> Report:
    return run_experiment(load_experiment(folder / "tried.yaml"), say=lambda _: None, **options)  # type: ignore[arg-type]


def _trials() -> dict[str, str]:
    runs = tracking.find_runs("tried", "tags.kind = 'trial'")
    return {run.tags["label"]: run.status for run in runs}


def test_run_then_resume_then_redo_what_changed(folder: Path) -> None:
    first = _run(folder)
    assert first.failures == []
    assert [outcome.status for outcome in first.outcomes] == ["finished", "finished"]
    output = folder / "outputs" / "tried" / "11_content_based-temporal_user-s42.ipynb"
    assert "UserProfile" in output.read_text(encoding="utf-8")
    assert str(folder) not in json.dumps(json.loads(output.read_text(encoding="utf-8"))["metadata"])
    page = output.with_suffix(".html").read_text(encoding="utf-8")
    assert "UserProfile" in page
    assert 'src="http' not in page
    assert _trials() == dict.fromkeys(("Random", "Popularity", "UserProfile", "PureSVD"), "FINISHED")
    assert len(tracking.find_runs("tried", "tags.kind = 'trial'")) == 4  # baselines are shared, not repeated

    (notebook,) = tracking.find_runs("tried", "tags.family = 'content_based' and tags.kind = 'notebook'")
    assert notebook.status == "FINISHED"
    assert tracking.files_of(notebook, f"notebook/{output.name}").is_file()
    assert tracking.files_of(notebook, "notebook/tried.yaml").is_file()
    (trial,) = tracking.find_runs("tried", "tags.label = 'UserProfile'")
    assert trial.tags["notebook_run_id"] == notebook.run_id
    assert trial.tags["mlflow.source.name"] == "notebooks/11_content_based.ipynb"
    assert notebook.run_id in trial.tags["mlflow.note.content"]

    experiment = load_experiment(folder / "tried.yaml")
    by_hand, loaded = (open_family(experiment, family="factorization", log=log) for log in (False, True))
    for work in (by_hand, loaded):
        work.run(progress=False)
    assert loaded.algorithms == {}  # all were read back
    assert loaded.table(["ndcg@10"]).round(9).equals(by_hand.table(["ndcg@10"]).round(9))

    before = output.stat().st_mtime_ns
    assert [outcome.status for outcome in _run(folder).outcomes] == ["skipped", "skipped"]
    assert output.stat().st_mtime_ns == before
    assert "4 of 4 trials" in dry_run(load_experiment(folder / "tried.yaml"))

    write_notebook(folder / "notebooks", "11_content_based", PARAMETERS, WORK.format(family="content_based"), "1 + 1")
    again = {outcome.job.family: outcome.status for outcome in _run(folder).outcomes}
    assert again == {"content_based": "finished", "factorization": "skipped"}
    assert len(tracking.find_runs("tried", "tags.kind = 'trial'")) == 4


def test_a_failing_algorithm_and_a_failing_notebook_stop_nothing_else(folder: Path) -> None:
    text = YAML.replace("[UserProfile]", "[UserProfile, {ContentKNN: {n_neighbors: -1}}]")
    (folder / "tried.yaml").write_text(text, encoding="utf-8")
    write_notebook(folder / "notebooks", "12_factorization", PARAMETERS, "print('so far')", "raise RuntimeError('oh')")
    report = _run(folder)
    assert report.exit_code == 1
    assert len(report.failures) == 2
    assert any("12_factorization" in line and "RuntimeError: oh" in line for line in report.failures)
    assert any("ContentKNN" in line and "n_neighbors" in line for line in report.failures)
    partial = folder / "outputs" / "tried" / "12_factorization-temporal_user-s42.ipynb"
    assert "so far" in partial.read_text(encoding="utf-8")
    (run,) = tracking.find_runs("tried", "tags.family = 'factorization' and tags.kind = 'notebook'")
    assert run.status == "FAILED"
    assert "oh" in run.tags["error"]
    assert tracking.files_of(run, f"notebook/{partial.name}").is_file()
    assert _trials()["UserProfile"] == "FINISHED"


@pytest.mark.slow
def test_a_notebook_that_kills_its_kernel_is_recorded_as_failed(folder: Path) -> None:
    write_notebook(folder / "notebooks", "12_factorization", PARAMETERS, "import os; os._exit(3)")
    report = _run(folder, only=["factorization"])
    assert report.exit_code == 1
    assert "12_factorization" in report.failures[0]
    assert {run.status for run in tracking.find_runs("tried")} == {"FAILED"}


def test_kill_9_leaves_nothing_running_and_the_next_call_goes_on(folder: Path, launch: Launch) -> None:
    slow = WORK.format(family="factorization") + "import time; time.sleep(120)"
    write_notebook(folder / "notebooks", "12_factorization", PARAMETERS, slow)
    process = launch("--only", "factorization")
    _wait_until(lambda: _trials().get("PureSVD") == "FINISHED" and len(_trials()) == 3)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2  # the worker and its kernel
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _wait_until(lambda: not any(_is_alive(child) for child in family))
    assert {run.status for run in tracking.find_runs("tried", "tags.kind = 'notebook'")} == {"RUNNING"}
    assert not list((folder / "outputs").rglob("12_factorization*-s42.ipynb"))

    write_notebook(folder / "notebooks", "12_factorization", PARAMETERS, WORK.format(family="factorization"))
    report = _run(folder, only=["factorization"])
    assert report.failures == []
    assert sorted(run.status for run in tracking.find_runs("tried", "tags.kind = 'notebook'")) == ["FINISHED", "KILLED"]
    runs = tracking.find_runs("tried", "tags.kind = 'trial'")
    finished = sorted(run.tags["label"] for run in runs if run.status == "FINISHED")
    assert finished == ["Popularity", "PureSVD", "Random"]  # each once: what was finished was read back
    assert {run.status for run in runs} <= {"FINISHED", "KILLED"}


def test_ctrl_c_stops_the_workers_and_closes_their_runs(folder: Path, launch: Launch) -> None:
    slow = "import time; time.sleep(120)"
    write_notebook(folder / "notebooks", "12_factorization", PARAMETERS, slow)
    process = launch("--only", "factorization")
    _wait_until(lambda: len(psutil.Process(process.pid).children(recursive=True)) >= 2)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "goes on where it was" in said
    _wait_until(lambda: not any(_is_alive(child) for child in family))
    assert {run.status for run in tracking.find_runs("tried")} == {"KILLED"}


def test_two_runs_at_once_both_end_well(launch: Launch) -> None:
    processes = [launch("--jobs", "1") for _ in range(2)]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert _trials() == dict.fromkeys(("Random", "Popularity", "UserProfile", "PureSVD"), "FINISHED")
    assert len(tracking.find_runs("tried", "tags.kind = 'trial'")) == 4
    assert len(tracking.find_runs("tried", "tags.kind = 'notebook'")) == 2  # each notebook was executed once


def test_seeds_get_notebooks_only_where_something_is_random(folder: Path) -> None:
    experiment = load_experiment(folder / "tried.yaml", ["seeds=[1, 2]"])
    options = {"outputs": folder / "outputs", "notebooks": folder / "notebooks"}
    jobs = plan_jobs(experiment, folder / "tried.yaml", **options)
    assert [(job.family, job.parameters["seed"]) for job in jobs] == [
        ("content_based", 1),
        ("factorization", 1),
        ("factorization", 2),  # PureSVD is random, UserProfile is not
    ]
    planned = {trial.trial_id for job in jobs for trial in job.trials}
    assert planned == {trial.trial_id for trial in expand(experiment)}
    fixed = load_experiment(folder / "tried.yaml", ["seeds=[1, 2]", "families={content_based: [UserProfile]}"])
    assert len(plan_jobs(fixed, folder / "tried.yaml", **options)) == 2  # the second carries the random baseline
    with pytest.raises(ValueError, match="no family 'neural'"):
        plan_jobs(experiment, folder / "tried.yaml", **options, only=["neural"])


def test_a_notebook_without_a_needed_parameter_is_refused_before_the_start(folder: Path) -> None:
    write_notebook(folder / "notebooks", "12_factorization", 'experiment: str = ""', "1")
    with pytest.raises(ValueError, match=r"12_factorization\.ipynb has no parameter 'split'"):
        _run(folder)
    assert not (folder / "mlflow.db").exists()


def test_data_that_cannot_be_right_are_told_once_before_anything_is_started(folder: Path) -> None:
    own = "{path: own.csv, rating: stars, timestamp: null}\nevaluation: {relevance_threshold: 4}"
    text = YAML.replace("{name: synthetic-small}", own).replace("temporal_user", "random_user")
    (folder / "tried.yaml").write_text(text, encoding="utf-8")
    rows = [f"u{user},i{(user + step) % 9},{3 + (user == step)}" for user in range(20) for step in range(5)]
    for wrong, message in (
        ([*rows, "u1,i8,"], r"own\.csv, line 102: column 'stars' has no value"),
        ([row[:-1] + "3" for row in rows], r"relevance_threshold is 4, but the test ratings .* end at 3"),
    ):
        (folder / "own.csv").write_text("\n".join(["user_id,item_id,stars", *wrong]), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            _run(folder)
    assert not tracking.store_exists()
    assert not (folder / "outputs").exists()


def test_changes_of_the_command_line_reach_the_notebooks(folder: Path) -> None:
    (folder / "r.csv").write_text("user_id,item_id,rating,timestamp\n1,2,3,4\n", encoding="utf-8")
    for dataset in ("{name: synthetic-small}", "{path: r.csv}"):
        (folder / "tried.yaml").write_text(YAML.replace("{name: synthetic-small}", dataset), encoding="utf-8")
        changed = load_experiment(folder / "tried.yaml", ["families.factorization=[{PureSVD: {n_factors: [7, 8]}}]"])
        copy = load_experiment(write_resolved(changed, folder / "outputs"))
        assert copy.name == "tried"
        assert expand(copy) == expand(changed)


def test_one_notebook_with_checked_parameters(folder: Path) -> None:
    write_notebook(folder / "notebooks", "01_look", "size: int = 3\nflag: bool = True", "print(size * 7, flag)")
    outcome = run_notebook("01_look", {"size": "4", "flag": "false"})
    assert outcome.status == "finished"
    assert "28 False" in outcome.job.output.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="did you mean 'size'"):
        run_notebook("01_look", {"sise": "4"})
    with pytest.raises(FileNotFoundError, match="did you mean '01_look'"):
        run_notebook("01_lok", {})


def test_pages_need_no_network() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A *title* with $x^2$")])
    page = to_html(json.loads(nbformat.writes(notebook)), "tried")
    assert "title" in page
    assert 'src="http' not in page
    assert "cdnjs" not in page
    assert without_remote('<script src="https://x/y.js"></script>a<link href="https://x/y.css">b') == "ab"
    assert (
        without_remote('<script>1</script><a href="https://x">x</a>') == '<script>1</script><a href="https://x">x</a>'
    )


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _wait_until(condition: object, timeout_s: float = 180.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
