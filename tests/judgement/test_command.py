"""`recsys-lab judge` as a user types it, and traffic from real lists."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from recsys_lab import load_dataset, make_algorithm, split
from recsys_lab.cli import main
from recsys_lab.judgement import judge_shadow, judge_split, replay
from recsys_lab.judgement.replay import as_loaded
from recsys_lab.serving.arms import in_test
from recsys_lab.serving.bundle import make_bundle
from recsys_lab.serving.models import Loaded
from recsys_lab.serving.schemas import Role
from tests.judgement.traffic import database_in, plant_shadow, plant_split

COMMAND = str(Path(sys.executable).parent / "recsys-lab")


def _typed(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RECSYS_LAB_HOME": str(folder), **variables}
    environment["RECSYS_LAB_DATABASE_URL"] = f"sqlite:///{folder / 'feedback.db'}"
    command = [COMMAND, "judge", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.cli
def test_judge_as_a_user_types_it(tmp_path: Path) -> None:
    plant_split(database_in(tmp_path), np.random.default_rng(1), 1000, 0.4, (0.1, 0.3))
    found = _typed(tmp_path, "--share", "0.4", "--output", "found.json")
    assert found.returncode == 0, found.stderr
    assert "The challenger is better by lists_with_action" in found.stdout
    assert json.loads((tmp_path / "found.json").read_text())["metrics"]["lists_with_action"]["verdict"] == "better"
    wrong = _typed(tmp_path, "--output", "found.csv", RECSYS_LAB_AB_SHARE="0.1")
    assert wrong.returncode == 1
    assert "users are not split as drawn" in wrong.stdout
    rows = list(csv.DictReader((tmp_path / "found.csv").open()))
    assert {row["verdict"] for row in rows} == {"not judged"}


@pytest.mark.cli
def test_judge_in_the_shadow_as_a_user_types_it(tmp_path: Path) -> None:
    plant_shadow(database_in(tmp_path), np.random.default_rng(4), 60, better=True)
    found = _typed(tmp_path, RECSYS_LAB_SHADOW="true")
    assert found.returncode == 0, found.stderr
    assert "this favours the champion" in found.stdout
    assert "The challenger is better by reciprocal_rank" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--share", "0.5"], "the database has no lists; the service notes them as they are asked for"),
        ([], "right would be the RECSYS_LAB_AB_SHARE"),
        (["--share", "0.5", "--output", "a.txt"], "right would be .json or .csv"),
        (["--share", "0.5", "--since", "soon"], "'soon' is no time"),
        (["--shadow", "--share", "0.5"], "not allowed with"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECSYS_LAB_HOME", str(tmp_path))
    try:
        code: object = main(["judge", *arguments])
    except SystemExit as ended:  # of the parser
        code = ended.code
    assert code == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@cache
def _loaded(name: str, version: str, role: Role) -> Loaded:
    parts = split(load_dataset("synthetic-small"), "temporal_user", test=0.2)
    return as_loaded(make_bundle(make_algorithm(name).fit(parts.train), parts.history), version, role)


def test_rows_that_come_later_as_traffic(tmp_path: Path) -> None:
    """EASE beats Random by what people chose anyway, and every list is the arm's own."""
    later = split(load_dataset("synthetic-small"), "temporal_user", test=0.2).test
    champion, challenger = _loaded("Random", "1", "champion"), _loaded("EASE", "2", "challenger")
    database = database_in(tmp_path)
    assert replay(later, database, champion, challenger, share=0.5) == len(later)
    lists = list(database.read("impression"))
    assert len(lists) == len(later)
    for row in lists:
        assert row["role"] == ("challenger" if in_test(row["user_id"], 0.5) else "champion")
    first = next(row for row in lists if row["role"] == "challenger")
    answer = challenger.recommender.recommend(first["user_id"], 10)
    assert answer is not None
    assert first["item_ids"] == [str(one.item_id) for one in answer.items]
    by_list = {row["list_id"]: row for row in lists}
    events = list(database.read("event"))
    assert events
    assert all(event["item_id"] in by_list[event["list_id"]]["item_ids"] for event in events)
    found = judge_split(database, 0.5)
    assert found.valid
    assert found.table.loc["lists_with_action", "verdict"] == "better"


def test_replays_of_the_same_rows_stand_side_by_side(tmp_path: Path) -> None:
    later = split(load_dataset("synthetic-small"), "temporal_user", test=0.2).test.select(np.arange(50))
    database = database_in(tmp_path)
    for model in (_loaded("EASE", "2", "champion"), _loaded("Random", "1", "champion")):
        replay(later, database, model)
    assert [row["n_lists"] for row in database.answering()] == [50, 50]


def test_a_shadow_beside_real_lists(tmp_path: Path) -> None:
    later = split(load_dataset("synthetic-small"), "temporal_user", test=0.2).test
    database = database_in(tmp_path)
    replay(later, database, _loaded("EASE", "2", "champion"), _loaded("Random", "1", "challenger"), shadow=True)
    found = judge_shadow(database)
    assert found.counts["lists in the shadow"] == len(later)
    row = found.table.loc["reciprocal_rank"]
    assert row["difference_high"] < 0
    assert row["verdict"] == "inconclusive"
