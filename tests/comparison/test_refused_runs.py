"""Runs that differ are refused by the leaderboard and by the command line, which name the field and both values."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from recsys_lab import leaderboard
from recsys_lab.cli import main


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment with three trials, in a store of its own."""
    from recsys_lab.trials import open_family

    folder = tmp_path_factory.mktemp("refused")
    file = folder / "tiny.yaml"
    file.write_text(
        "question: Which?\ndataset: {name: synthetic-small}\nsplit: {strategy: temporal_user}\n"
        "baselines: [Random, Popularity]\nfamilies: {collaborative_filtering: [EASE]}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        _own_store(patch, folder)
        open_family(file, family=None, log=True).run(progress=False)
    return file


def _own_store(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    patch.setenv("RECSYS_LAB_HOME", str(folder))


@pytest.fixture
def ease(experiment: Path):
    """The folder of EASE's evaluation; what a test plants there is taken back."""
    (folder,) = [
        path.parent
        for path in experiment.parent.rglob("evaluation/summary.json")
        if json.loads(path.read_text())["algorithm"] == "EASE"
    ]
    kept = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    yield folder
    for path, content in kept.items():
        path.write_bytes(content)


def _plant(folder: Path, **changes: object) -> None:
    file = folder / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _protocol(folder: Path, **changes: object) -> dict[str, object]:
    protocol = json.loads((folder / "summary.json").read_text())["protocol"]
    return {"protocol": protocol | {"hash": "0" * 64} | changes}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda _: {"dataset_hash": "f" * 64}, r"dataset_hash: \w+ [0-9a-f]{12}, EASE ffffffffffff"),
        (lambda _: {"split_hash": "f" * 64}, r"split_hash: \w+ [0-9a-f]{12}, EASE ffffffffffff"),
        (lambda one: _protocol(one, cutoffs=[7]), r"protocol cutoffs: \w+ \[[\d, ]+\], EASE \[7\]"),
        (lambda one: _protocol(one, relevance_threshold=1.5), r"protocol relevance_threshold: \w+ \S+, EASE 1.5"),
        (lambda one: _protocol(one, exclude_seen=False), r"protocol exclude_seen: \w+ True, EASE False"),
        (lambda one: _protocol(one, candidates="some"), r"protocol candidates: \w+ .*, EASE 'some'"),
    ],
    ids=["data", "split", "cutoffs", "threshold", "exclude_seen", "candidates"],
)
def test_a_planted_difference_is_named(experiment, ease, monkeypatch, capsys, fault, message) -> None:
    _own_store(monkeypatch, experiment.parent)
    assert leaderboard.build(experiment).valid is False  # it can be built, though baselines are missing
    _plant(ease, **fault(ease))
    with pytest.raises(ValueError, match=message):
        leaderboard.build(experiment)
    assert main(["leaderboard", str(experiment)]) == 2
    assert "can be compared; different are" in capsys.readouterr().err


def test_other_users_are_named(experiment, ease, monkeypatch, capsys) -> None:
    _own_store(monkeypatch, experiment.parent)
    per_user = pd.read_parquet(ease / "per_user.parquet")
    per_user[per_user["n_relevant"] > 0].iloc[2:].to_parquet(ease / "per_user.parquet")
    with pytest.raises(ValueError, match=r"same users can be compared; \w+ has \d+ and EASE has \d+ users: 2 only in"):
        leaderboard.build(experiment)
    assert main(["leaderboard", str(experiment)]) == 2
    assert "2 only in the first" in capsys.readouterr().err


def test_a_sampled_metric_decides_no_leaderboard(experiment, monkeypatch, capsys) -> None:
    _own_store(monkeypatch, experiment.parent)
    assert main(["leaderboard", str(experiment), "--set", "evaluation.primary=sampled_ndcg@10"]) == 2
    assert "sampled_ndcg@10" in capsys.readouterr().err


def test_one_data_set_is_no_comparison_over_data_sets(experiment, monkeypatch, capsys) -> None:
    _own_store(monkeypatch, experiment.parent)
    assert main(["across", str(experiment)]) == 2
    assert "at least 5" in capsys.readouterr().err
    assert main(["across", str(experiment), str(experiment), str(experiment)]) == 2
    assert "given twice" in capsys.readouterr().err
