"""Cards of real runs: valid by the schema, true to what was measured, honest about their limits."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab import tracking
from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.card import check_card, complete_card, schema, status_of, to_markdown, worst
from recsys_lab.card.limitations import limitations
from recsys_lab.card.size import declared_level, holds, n_parameters
from recsys_lab.experiment import experiment_from_text
from recsys_lab.leaderboard import build
from recsys_lab.tracking import Run

YAML = """
question: Do cards tell the truth?
name: cards
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
evaluation: {cutoffs: [5, 10]}
seeds: [1, 2]
baselines: [Random, Popularity]
families:
  collaborative_filtering: [ItemKNN: {n_neighbors: 20}, EASE]
  factorization: [BPR: {n_epochs: 2, n_factors: 4}]
"""


def card_of(run: Run) -> dict[str, Any]:
    card = tracking.load_card(run)
    assert card is not None
    return card


@pytest.fixture(scope="module")
def card(runs: dict[str, list[Run]]) -> dict[str, Any]:
    return card_of(runs["EASE"][0])


def test_the_card_of_every_run_is_valid_and_written_for_people_too(runs: dict[str, list[Run]]) -> None:
    for group in runs.values():
        for run in group:
            check_card(card_of(run))
            page = tracking.files_of(run, "evaluation_card.md").read_text(encoding="utf-8")
            assert page == to_markdown(card_of(run))
            assert page.startswith(f"# {run.tags['label']} on synthetic-small")


def test_every_field_of_the_definition_is_there(card: dict[str, Any]) -> None:
    fields = "id created code environment data split protocol model tuning results comparison cost determinism checks"
    assert {*fields.split(), "test_looks", "limitations", "status"} <= set(card)
    assert set(schema()["required"]) == set(card)


def test_the_card_says_what_was_measured(runs: dict[str, list[Run]], card: dict[str, Any]) -> None:
    run = runs["EASE"][0]
    evaluation = tracking.load_evaluation(run)
    result = card["results"]["ndcg@10"]
    values = evaluation.per_user["ndcg@10"].dropna().to_numpy()
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert result["mean"] == evaluation.summary["ndcg@10"]
    assert result["n"] == len(values)
    np.testing.assert_allclose(result["interval"], [values.mean() - half, values.mean() + half], rtol=0.005)
    assert card["results"]["gini@10"]["interval"] is None
    assert card["id"] == run.run_id
    assert card["data"]["dataset_hash"] == evaluation.dataset_hash
    assert card["split"]["hash"] == evaluation.split_hash
    assert card["protocol"]["hash"] == evaluation.protocol["hash"]
    assert card["model"]["parameters"] == evaluation.parameters
    assert card["code"]["version"] == run.tags["code_version"]
    assert card["counts"]["n_users"] == evaluation.summary["n_users"]


def test_the_model_is_described(runs: dict[str, list[Run]], card: dict[str, Any]) -> None:
    n_items = card["data"]["counts"]["n_items_catalogue"]
    assert card["model"]["n_parameters"] == n_items**2
    assert card["model"]["hyper_parameters"] == "default"
    assert card["model"]["seeds"] == []
    knn = card_of(runs["ItemKNN"][0])["model"]
    assert knn["hyper_parameters"] == "fixed"
    bpr = card_of(runs["BPR"][0])["model"]
    assert bpr["stochastic"]
    assert bpr["seeds"] in ([1], [2])
    assert bpr["epochs"] == 2
    assert n_parameters(None) is None


def test_the_weakest_part_decides_how_repeatable_a_model_is() -> None:
    assert declared_level(make_algorithm("EASE")) == "ranking"
    assert declared_level(make_algorithm("Popularity")) == "bitwise"
    assert declared_level(make_algorithm("Calibrated", base="EASE")) == "ranking"
    assert holds("bitwise", "ranking")
    assert not holds("ranking", "bitwise")
    assert not holds("none", "statistical")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card.pop("status"), "status"),
        (lambda card: card["split"].pop("hash"), "split"),
        (lambda card: card.update(colour="red"), "colour"),
        (lambda card: card["results"]["ndcg@10"].update(mean="high"), r"results.ndcg@10.mean"),
        (lambda card: card["data"].update(dataset_hash="abc"), "data.dataset_hash"),
    ],
)
def test_a_card_that_is_none_is_refused(card: dict[str, Any], change: Any, words: str) -> None:
    wrong = copy.deepcopy(card)
    change(wrong)
    with pytest.raises(ValueError, match=words):
        check_card(wrong)


def test_the_rule_of_the_status() -> None:
    def check(level: str, passed: bool) -> dict[str, Any]:
        return {"id": "L01", "level": level, "passed": passed}

    assert status_of([]) == status_of([check("E", True), check("W", True)]) == "valid"
    assert status_of([check("W", False), check("E", True)]) == "warn"
    assert status_of([check("W", False), check("E", False)]) == "invalid"
    assert status_of([], missing_baselines=["ItemKNN"]) == status_of([], same_users=False) == "invalid"
    assert [worst([]), worst(["valid", "warn"]), worst(["warn", "invalid", "valid"])] == ["valid", "warn", "invalid"]


def test_limits_follow_from_the_facts(card: dict[str, Any]) -> None:
    said = " ".join(card["limitations"])
    assert "the train row is the later one" in said
    assert "are the defaults" in said
    changed = copy.deepcopy(card)
    changed["counts"].update(n_users=50.0, n_users_cold=20.0, user_coverage=0.9)
    changed["split"].update(future_leak_share=0.0)
    changed["model"].update(hyper_parameters="tuned")
    changed["results"]["sampled_hit_rate@10[n=99]"] = changed["results"]["ndcg@10"]
    changed["checks"] = [{"id": "L13", "level": "W", "passed": False, "value": 0.3, "message": "filters dropped 30%"}]
    said = " ".join(limitations(changed, ["a note"]))
    for words in ("Only 50 users", "40.0% of the measured users", "10.0% of the users got no list", "A note.",
                  "sampled_hit_rate@10[n=99]", "L13: filters dropped 30%"):  # fmt: skip
        assert words in said
    assert "later one" not in said
    assert "defaults" not in said


def test_a_row_of_a_leaderboard_completes_the_card(runs: dict[str, list[Run]]) -> None:
    cards = [card_of(run) for run in runs["BPR"]]
    means = [card["results"]["ndcg@10"]["mean"] for card in cards]
    place = {
        "table": "t", "best_baseline": "Popularity", "rank_group": 1, "verdict": "better", "difference": 0.1,
        "interval": [0.0, 0.2], "relative_percent": 3.0, "p": 0.01, "p_holm": 0.02, "dz": 0.3, "wins": 5, "ties": 4,
        "losses": 1, "minimum_detectable_difference": 0.01, "n_models": 5, "missing_baselines": [],
    }  # fmt: skip
    primary = {"mean": float(np.mean(means)), "low": 0.1, "high": 0.4, "n": 250.0}
    whole = complete_card(cards, place, primary=primary)
    check_card(whole)
    assert sorted(whole["model"]["seeds"]) == [1, 2]
    assert len(whole["runs"]) == 2
    assert whole["results"]["ndcg@10"]["sd_over_seeds"] == pytest.approx(np.std(means, ddof=1))
    assert whole["results"]["ndcg@10"]["interval"] == [0.1, 0.4]
    assert whole["results"]["recall@10"]["interval"] is None
    assert any("with 2 seeds" in sentence for sentence in whole["limitations"])
    page = to_markdown(whole)
    assert "sd over seeds" in page
    assert "win/tie/loss 5/4/1" in page
    lacking = complete_card(cards, place | {"missing_baselines": ["ItemKNN"]})
    assert lacking["status"] == "invalid"
    assert json.loads(json.dumps(cards[0])) == cards[0], "the cards of the runs stay as they were"
    with pytest.raises(ValueError, match="no card"):
        complete_card([], place)


def test_a_leaderboard_links_completed_cards(runs: dict[str, list[Run]], tmp_path: Path) -> None:
    board = build(experiment_from_text(YAML))
    files = board.write(tmp_path)
    (table,) = board.tables
    assert table.frame["card"].isin(["valid", "warn", "invalid"]).all()
    assert table.subtitle.endswith(f"status: {worst(table.frame['card'])}")
    page = (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
    markdown = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    for label, row in table.frame.iterrows():
        assert tmp_path / row["card_file"] in files
        assert f'href="{row["card_file"]}"' in page
        assert f"[{row['card']}]({row['card_file']})" in markdown
        whole = json.loads((tmp_path / row["card_file"]).with_suffix(".json").read_text(encoding="utf-8"))
        check_card(whole)
        assert whole["results"]["ndcg@10"]["mean"] == row["mean"]
        assert whole["comparison"]["verdict"] == row["verdict"]
        assert len(whole["runs"]) == len(runs[str(label)])
    assert "](cards/" not in board.to_markdown(links=False)
    assert table.cards["BPR"]["results"]["ndcg@10"]["sd_over_seeds"] > 0
    assert table.cards["BPR"]["comparison"]["best_baseline"] == "Popularity"


def test_without_a_required_baseline_every_card_is_invalid(runs: dict[str, list[Run]]) -> None:
    spec = experiment_from_text(YAML)
    fewer = spec.model_copy(update={"families": {"factorization": spec.families["factorization"]}})
    (table,) = build(fewer).tables
    assert set(table.frame["card"]) == {"invalid"}
    assert table.subtitle.endswith("status: invalid")
    assert "The table lacks ItemKNN, EASE or SLIM" in table.cards["BPR"]["limitations"][0]
