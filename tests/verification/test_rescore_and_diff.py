"""Stored lists give the stored numbers to the last digit; two runs are told apart; the commands as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys_lab import tracking
from recsys_lab.cli import main
from recsys_lab.evaluation import evaluate
from recsys_lab.verification import Bench, diff, find_run, newest_runs, rescore


def rescored(label: str, **options: Any) -> tuple[Any, Any]:
    run = find_run(f"again:{label}")
    evaluation, recipe = tracking.load_evaluation(run), tracking.load_recipe(run)
    return evaluation, rescore(evaluation, Bench().splits(recipe)[0], recipe.experiment, **options)


def test_rescored_is_stored_to_the_last_digit(store: Path) -> None:
    for run in newest_runs("again"):
        stored, again = rescored(run.tags["label"])
        pd.testing.assert_frame_equal(again.per_user, stored.per_user, check_exact=True)
        assert again.protocol == stored.protocol
        assert set(again.summary) == set(stored.summary)
        for name, value in stored.summary.items():
            assert again.summary[name] == value or (np.isnan(value) and np.isnan(again.summary[name])), name


def test_new_metrics_are_those_of_a_new_evaluation(store: Path) -> None:
    run = find_run("again:EASE")
    recipe = tracking.load_recipe(run)
    _, again = rescored("EASE", metrics=["f1", "map_capped@7"])
    split = Bench().splits(recipe)[0]
    fresh = evaluate(recipe.trial.make(), split, cutoffs=[5, 10], metrics=["f1", "map_capped@7"])
    for name in ("f1@5", "f1@10", "map_capped@7"):
        assert again.summary[name] == fresh.summary[name]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": ["auc"]}, "auc needs the scores of all candidates"),
        ({"cutoffs": [50]}, "cut-off 50 is behind the end of the stored lists of 10"),
        ({"metrics": ["ndcg@20"]}, "cut-off 20 is behind"),
        ({"metrics": ["nonsense"]}, "unknown metric"),
    ],
)
def test_what_lists_do_not_give_is_refused(store: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rescored("EASE", **options)


def test_two_runs_are_told_apart(store: Path) -> None:
    first, second = find_run("again:Popularity"), find_run("again:EASE")
    found = diff(first, second)
    assert [name for name, lines in found.changes.items() if lines] == ["parameters"]
    assert "algorithm: Popularity, then EASE" in found.changes["parameters"]
    one, other = tracking.load_evaluation(first), tracking.load_evaluation(second)
    assert found.test is not None
    assert found.test.difference == pytest.approx(other.summary["ndcg@10"] - one.summary["ndcg@10"])
    moved = found.users["difference"].abs().to_numpy()
    assert (np.diff(moved) <= 0).all()
    assert found.by_activity["n"].sum() == len(found.users) == found.test.n
    recipe = tracking.load_recipe(first)
    catalogue = Bench().data(recipe).catalogue
    user = found.users.index[0]
    code = catalogue.user_ids.get_loc(user)
    assert found.users["second"].iloc[0] == other.per_user["ndcg@10"][code]
    same = diff(first, first)
    assert not any(same.changes.values())
    assert same.means[0] == same.means[1]
    assert "equal" in str(same)


def test_other_surroundings_are_named(store: Path) -> None:
    first, second = find_run("again:Popularity"), find_run("again:EASE")
    file = tracking.files_of(second, "environment.txt")
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("numpy==")]
    file.write_text("\n".join([*lines, "numpy==0.1"]), encoding="utf-8")
    card = tracking.files_of(second, "evaluation_card.json")
    values = json.loads(card.read_text(encoding="utf-8"))
    values["protocol"]["tie_seed"] = 7
    values["split"]["seed"] = 8
    values["environment"]["cpu"] = "Abacus"
    card.write_text(json.dumps(values), encoding="utf-8")
    changes = diff(first, second).changes
    assert changes["protocol"] == ["tie_seed: 0, then 7"]
    assert changes["split"] == ["seed: 42, then 8"]
    assert any(line.endswith("then Abacus") for line in changes["environment"])
    assert any(line.startswith("packages.numpy") and line.endswith("then 0.1") for line in changes["environment"])


def test_commands_as_typed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "again:Popularity"]) == 0
    assert "CONFIRMED" in capsys.readouterr().out
    (store / "again.yaml").write_text((store / "own.csv").read_text(encoding="utf-8")[:0], encoding="utf-8")
    assert main(["verify", "--json", "again:Popularity"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["level"] == "bitwise"
    assert main(["rescore", "again:EASE", "--metrics", "ndcg", "f1"]) == 0
    said = capsys.readouterr().out
    assert "yes" in said
    assert "new" in said
    assert main(["rescore", "again:EASE", "--conventions", "recbole"]) == 0
    assert "ndcg@10" in capsys.readouterr().out
    assert main(["diff", "again:Popularity", "again:EASE"]) == 0
    assert "users that moved most" in capsys.readouterr().out
    assert main(["diff", "--json", "again:Popularity", "again:EASE"]) == 0
    assert json.loads(capsys.readouterr().out)["primary"] == "ndcg@10"


def test_wrong_use_and_a_broken_run_have_their_exit_codes(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 2
    assert main(["verify", "again:EASY"]) == 2
    assert "did you mean 'EASE'" in capsys.readouterr().err
    assert main(["rescore", "again:EASE", "--metrics", "auc"]) == 2
    assert main(["diff", "again:EASE", "nothing"]) == 2
    tracking.files_of(find_run("again:EASE"), "recipe.json").unlink()
    assert main(["verify", "again:EASE"]) == 1
    assert "NOT CONFIRMED" in capsys.readouterr().out
