"""The command line as a user types it: plans, lists, one-line errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recsys_lab import tracking
from recsys_lab.cli import main
from recsys_lab.trials import open_family

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = str(ROOT / "experiments" / "quickstart.yaml")
YAML = """
question: Does the command line work?
name: typed
dataset: {name: synthetic-small}
split: {strategy: temporal_user}
baselines: [Random, Popularity]
families: {content_based: [UserProfile], factorization: [EASE]}
"""


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv("RECSYS_LAB_HOME", raising=False)
    (tmp_path / "typed.yaml").write_text(YAML, encoding="utf-8")


def test_help_is_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom recsys_lab.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('numpy', 'mlflow', 'papermill', 'pandas', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    for command in ("run", "leaderboard", "datasets", "algorithms", "metrics", "doctor", "published", "notebook", "ui"):
        assert command in done.stdout


@pytest.mark.cli
def test_the_module_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recsys_lab", "run", QUICKSTART, "--dry-run"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "3, trials" in done.stdout


def test_a_dry_run_prints_the_plan_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "typed.yaml", "--dry-run", "--only", "factorization", "--seeds", "1", "2"]) == 0
    said = capsys.readouterr().out
    assert "12_factorization, temporal_user, seed 1: 3 trials" in said
    assert "content_based" not in said
    assert [file.name for file in tmp_path.iterdir()] == ["typed.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "typed.yaml", "--job", "2"], "did you mean --jobs"),
        (["run", "typed.yaml", "--jobs", "none"], "1, 2, ... or auto"),
        (["run", "typed.yaml", "--seeds", "-1"], ""),
        (["run", "typed.yaml", "extra"], "unknown argument extra"),
        (["rnu", "typed.yaml"], "did you mean run?"),
        (["ui", "--port", "0"], "is no port"),
        (["leaderboard", "typed.yaml", "--format", "latx"], "did you mean latex?"),
    ],
)
def test_wrong_use_is_exit_code_2_and_a_hint(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_wrong_value_is_no_misspelt_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "typed.yaml", "--jobs", "0"])
    said = capsys.readouterr().err
    assert "right would be 1, 2, ... or auto" in said
    assert "did you mean" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "typd.yaml"], "did you mean 'typed.yaml'"),
        (["run", "typed.yaml", "--set", "evaluation.primry=ndcg@20"], "did you mean 'primary'"),
        (["run", "typed.yaml", "--dry-run", "--only", "neural"], "no family 'neural'"),
        (["leaderboard", "typed.yaml"], "no finished trial"),
        (["algorithms", "ESAE"], "did you mean 'EASE'"),
        (["published", "nothing_like_it"], "no published experiment"),
        (["notebook", "01_explore_dta"], "did you mean '01_explore_data'"),
        (["notebook", "01_explore_data", "--sed", "3"], "has no parameter 'sed'"),
        (["notebook", "01_explore_data", "-p", "seed"], "name=value"),
    ],
)
def test_an_error_is_one_message_without_a_traceback(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "mlflow.db").exists()


def test_the_traceback_can_be_asked_for() -> None:
    with pytest.raises(ValueError, match="no such experiment file"):
        main(["--traceback", "run", "typd.yaml"])


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == main(["algorithms"]) == main(["metrics"]) == main(["algorithms", "EASE"]) == 0
    said = capsys.readouterr().out
    for word in ("synthetic-100k", "ml-100k", "GroupLens", "UserKNN", "ndcg@k", "regularization"):
        assert word in said
    assert main(["metrics", "ndcg@10"]) == main(["metrics", "--conventions", "recbole"]) == 0
    said = capsys.readouterr().out
    assert "Edge cases: no relevant test item: null" in said
    assert "hit_rate" not in said.partition("RecBole")[0]
    assert "hit@k" in said.partition("RecBole")[2]
    assert main(["metrics", "--conventions", "recbol"]) == 2
    assert "known are trec_eval" in capsys.readouterr().err


def test_the_leaderboard_of_finished_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_family(tmp_path / "typed.yaml", log=True).run(progress=False)
    assert main(["leaderboard", "typed.yaml"]) == 0
    said = capsys.readouterr().out
    assert "EASE" in said
    assert "compareRunsMode=CHART" in said
    assert (tmp_path / "outputs" / "typed" / "leaderboard.html").is_file()
    assert main(["leaderboard", "typed.yaml", "--format", "markdown"]) == 0
    assert "| EASE" in capsys.readouterr().out.replace("**", "")
    assert main(["ui", "typed.yaml", "--print-only", "--port", "5055"]) == 0
    assert "http://127.0.0.1:5055/#/experiments/" in capsys.readouterr().out
    assert tracking.experiment_id("typed") is not None


def test_a_leaderboard_by_another_metric_leaves_that_of_the_experiment(tmp_path: Path) -> None:
    open_family(tmp_path / "typed.yaml", log=True).run(progress=False)
    assert main(["leaderboard", "typed.yaml"]) == 0
    folder = tmp_path / "outputs" / "typed"
    before = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    note = tracking.store.client().get_experiment_by_name("typed").tags["mlflow.note.content"]
    assert main(["leaderboard", "typed.yaml", "--set", "evaluation.primary=recall@10"]) == 0
    assert {file: (folder / file).read_bytes() for file in before} == before
    assert tracking.store.client().get_experiment_by_name("typed").tags["mlflow.note.content"] == note
    other = folder / "by_recall_at_10"
    assert {file.relative_to(other) for file in other.rglob("*") if file.is_file()} == set(before)
    assert "recall@10" in (other / "leaderboard.md").read_text()


def test_doctor_finds_and_closes_stale_runs(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    tracking.start_run("typed", "left", {"pid": "999999", "host": socket.gethostname()})
    assert main(["doctor"]) == 1
    assert "use --fix" in capsys.readouterr().out
    assert main(["doctor", "--fix"]) == 0
    assert "closed 1 runs" in capsys.readouterr().out
    assert main(["doctor"]) == 0
