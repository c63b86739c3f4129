"""The hand-checked cases of ties, broken input and sampled candidates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.data.interactions import Interactions
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation import evaluate, score_lists

CASES = json.loads((Path(__file__).parents[1] / "golden_metrics.json").read_text(encoding="utf-8"))["cases"]


def scored(make_split: Any, fixed: Any, case: Any) -> tuple[Any, Any]:
    """A model that gives the scores of the case, and a split whose test user "u" has its relevant items."""
    scores = {item: float(score) for item, score in case["input"]["scores"].items()}
    split = make_split([("z", item) for item in scores], [("u", item) for item in case["input"]["relevant"]])
    return fixed(np.array([list(scores.values())] * 2)), split


def test_every_case_is_tested() -> None:
    kinds = ("ties", "hygiene", "protocol")
    text = Path(__file__).read_text(encoding="utf-8").split("def test_every_case", 1)[1]
    assert all(f'golden["{case["id"]}"]' in text for case in CASES if case["kind"] in kinds)


@pytest.mark.filterwarnings("ignore:k =", "ignore:.*tie hash")
def test_ties_are_fair_in_the_long_run(make_split: Any, fixed: Any, golden: Any) -> None:
    case = golden["H01_ties"]
    scores = list(case["input"]["scores"].values())
    users = [f"u{number}" for number in range(3000)]
    split = make_split(
        [("z", item) for item in case["input"]["scores"]],
        [(user, item) for user in users for item in case["input"]["relevant"]],
    )
    model = fixed(np.tile(scores, (len(users) + 1, 1)))
    summary = evaluate(model, split, cutoffs=[3], metrics=["mrr", "ndcg"]).summary
    # one user's value has a standard deviation of .28 and .22, the mean of 3000 of .005 and .004
    assert summary["mrr@3"] == pytest.approx(case["expected"]["rr|expected"], abs=0.02)
    assert summary["ndcg@3"] == pytest.approx(case["expected"]["ndcg@3|expected"], abs=0.016)
    worst = evaluate(model, split, cutoffs=[3], metrics=["mrr"], tie_policy="pessimistic").summary
    assert worst["mrr@3"] == pytest.approx(1 / 3)


def test_scores_that_collide_in_float32_are_a_tie_that_is_seen(make_split: Any, fixed: Any, golden: Any) -> None:
    model, split = scored(make_split, fixed, golden["H02_float32_collision"])
    with pytest.warns(UserWarning, match="cut between items of equal score"):
        result = evaluate(model, split, cutoffs=[1], metrics=["mrr"])
    assert result.summary["tie_at_cutoff_share"] == 1.0


def test_duplicates_are_an_error(make_split: Any, make_lists: Any, golden: Any) -> None:
    given = golden["H03_duplicates"]["input"]
    split = make_split([("z", "a"), ("z", "b")], [("u", item) for item in given["relevant"]])
    with pytest.raises(ValueError, match="user 0: item 0 is listed twice"):
        make_lists(split, {"u": given["recommended"]})


def test_nan_is_an_error(make_split: Any, fixed: Any, golden: Any) -> None:
    model, split = scored(make_split, fixed, golden["H04_nan_score"])
    with pytest.raises(ValueError, match="user 0, item 0: the score is nan"):
        evaluate(model, split, cutoffs=[2])


@pytest.mark.filterwarnings("ignore:k =")
def test_minus_infinity_masks_and_infinity_is_an_error(make_split: Any, fixed: Any, golden: Any) -> None:
    case = golden["H05_inf_score"]
    model, split = scored(make_split, fixed, case)
    result = evaluate(model, split, cutoffs=[2, 3], metrics=["recall"])
    assert list(split.train.catalogue.item_ids[result.lists.items[0, :2]]) == case["expected"]["recommended"]
    assert result.lists.items[0, 2] == -1
    assert result.summary["recall@2"] == case["expected"]["recall@k"]
    model.scores = -model.scores
    with pytest.raises(ValueError, match="user 0, item 0: the score is inf"):
        evaluate(model, split, cutoffs=[2])


@pytest.mark.filterwarnings("ignore:k =")
def test_a_seen_item_is_an_error(make_split: Any, make_lists: Any, fixed: Any, golden: Any) -> None:
    given, expected = golden["H06_seen_item"]["input"], golden["H06_seen_item"]["expected"]
    split = make_split([("u", "a"), ("z", "b")], [("u", item) for item in given["relevant"]])
    lists = make_lists(split, {"u": given["recommended"]})
    with pytest.raises(ValueError, match=r"user 'u': item 'a' at rank 1 is in the history.*exclude_seen=False"):
        score_lists(lists, split, cutoffs=[2])
    assert score_lists(lists, split, cutoffs=[2], exclude_seen=False).summary["precision@2"] == 0.5
    filtered = evaluate(fixed([[2, 1], [0, 0]]), split, cutoffs=[2], metrics=["precision"])
    assert filtered.summary["precision@2"] == expected["precision@k|filtered"]
    listed = filtered.lists.items[0]
    assert list(split.train.catalogue.item_ids[listed[listed >= 0]]) == expected["recommended|filter_then_cut"]


@pytest.mark.filterwarnings("ignore:.*tie hash")
def test_the_order_of_candidates_changes_nothing(make_split: Any, fixed: Any, golden: Any) -> None:
    case = golden["H07_candidate_order"]
    model, split = scored(make_split, fixed, case)
    tables = [evaluate(model, split, cutoffs=[1], candidates=order) for order in case["input"]["orders"]]
    np.testing.assert_array_equal(tables[0].lists.items, tables[1].lists.items)
    assert tables[0].protocol["hash"] == tables[1].protocol["hash"]


def test_sampled_candidates_can_turn_the_order_of_two_systems_around(fixed: Any, make_split: Any, golden: Any) -> None:
    case = golden["H08_sampled_flip"]
    given, expected = case["input"], case["expected"]
    n_items, k, n_users = given["n_items"], given["k"], 40
    rows = pd.DataFrame({"user_id": np.arange(n_users), "item_id": np.zeros(n_users, dtype=int)})
    every = pd.DataFrame({"user_id": n_users, "item_id": np.arange(n_items)})
    data = Interactions.from_frame(pd.concat([rows, every]), rating=None, timestamp=None)
    split = make_split([("z", "z")], [("z", "z")])
    split.train = split.history = data.select(np.arange(n_users, len(data)))
    split.test = data.select(np.arange(n_users))
    falling = -np.arange(n_items, dtype=np.float32)  # item 0, the relevant one, would stand first
    system_a, system_b = np.tile(falling, (n_users + 1, 1)), np.tile(falling, (n_users + 1, 1))
    lucky = round(given["system_A"]["rank1_share"] * n_users)
    system_a[lucky:, 0] = -given["system_A"]["else_rank"] + 0.5
    system_b[:, 0] = -given["system_B"]["rank"] + 0.5
    rng = np.random.default_rng(1)
    negatives = np.stack(
        [rng.choice(np.arange(1, n_items), given["n_negatives"], replace=False) for _ in range(n_users)]
    )
    columns = np.column_stack([np.zeros(n_users, dtype=int), negatives]).ravel()
    owners = np.repeat(np.arange(n_users), given["n_negatives"] + 1)
    sampled = sparse.csr_matrix((np.ones(len(columns)), (owners, columns)), shape=(n_users + 1, n_items))
    for name, scores in (("A", system_a), ("B", system_b)):
        for label, candidates in (("full", None), ("sampled", sampled)):
            result = evaluate(fixed(scores), split, cutoffs=[k], metrics=["hit_rate"], candidates=candidates)
            assert result.summary[f"hit_rate@{k}"] == pytest.approx(expected[f"{name} hit@10 {label}"]), (name, label)


def test_a_list_needs_finite_scores() -> None:
    with pytest.raises(ValueError, match="user 0, item 1: the score is nan"):
        RankedLists(np.array([0]), np.array([[1]]), np.array([[np.nan]]))
