"""The hand-checked cases of accuracy, through lists, split and evaluation as everyone uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab.evaluation import score_lists
from recsys_lab.evaluation.conventions import per_user_by_convention
from recsys_lab.metrics.elsewhere import auc_strict, dcg, ndcg_graded_full_ideal
from recsys_lab.metrics.ranking import auc

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_metrics.json").read_text(encoding="utf-8"))
CASES = GOLDEN["cases"]
TOLERANCE = GOLDEN["tolerance"]

OURS = {  # name in the file -> name here
    "precision@k": "precision",
    "recall@k": "recall",
    "recall_capped@k": "recall_capped",
    "f1@k": "f1",
    "hit@k": "hit_rate",
    "rr@k": "mrr",
    "ap@k": "map",
    "ap_capped@k": "map_capped",
    "ndcg@k": "ndcg",
    "ndcg_fullideal@k": "ndcg_full_ideal",
    "ndcg_linear@k": "ndcg_graded",
    "ndcg_exp@k": "ndcg_graded_exp",
}
UNCUT = "rr"  # reciprocal rank of the whole list: mrr at the length of the list
OF_OTHERS = {  # what other libraries mean -> its convention and name
    "precision_len@k": ("lenskit", "Precision@{k}"),
    "arhr@k": ("daisyrec", "MRR@{k}"),
    "ap_hits@k": ("daisyrec", "MAP@{k}"),
    "ap_divk@k": ("rectools", "MAP(divide_by_k=True)@{k}"),
    "mean_prefix_precision@k": ("elliot", "MAP@{k}"),
    "ndcg_kideal@k": ("rectools", "NDCG@{k}"),
    "ndcg_retrieved@k": ("daisyrec", "NDCG@{k}"),
}
BY_FUNCTION = {"dcg@k", "ndcg_linear_fullideal@k", "auc", "auc_strict"}  # in no table; tested on their own below
ELSEWHERE = {  # kinds of cases whose values are not metrics of lists, and the file that tests them
    "statistics": "intervals, paired tests and corrections; tests of significance",
    "split": "which row falls into which part; tests of splits",
    "beyond": "test_golden_lists.py",
    "fairness": "tests of metrics, test_fairness.py",
    "rating": "test_golden_lists.py",
    "ties": "test_golden_hygiene.py",
    "hygiene": "test_golden_hygiene.py",
    "protocol": "test_golden_hygiene.py",
}


def cases(kind: str) -> list[Any]:
    found = [case for case in CASES if case["kind"] == kind and "recommended" in str(case["input"])]
    return [pytest.param(case, id=case["id"]) for case in found]


def test_every_case_and_every_definition_has_its_place() -> None:
    assert len(CASES) == 58
    assert {case["kind"] for case in CASES} == {"ranking_user", "ranking_aggregate", *ELSEWHERE}
    here = [case for case in CASES if case["kind"] in ("ranking_user", "ranking_aggregate")]
    tested = {case.id for kind in ("ranking_user", "ranking_aggregate") for case in cases(kind)}
    assert {case["id"] for case in here} - tested == {"H09_auc"}  # on scores; below
    names = {name for case in CASES if case["kind"] == "ranking_user" for name in case["expected"]}
    assert names == {*OURS, UNCUT, *OF_OTHERS, *BY_FUNCTION}


def evaluation_of(make_split: Any, make_lists: Any, case: Any, k: int) -> Any:
    """The evaluation of a case with the users of the case; items of low grade stand in for "no relevant item"."""
    given = case["input"]
    if "users" in given:
        users = {
            user: (value["recommended"], dict.fromkeys(value["relevant"], 1)) for user, value in given["users"].items()
        }
    else:
        users = {"u": (given["recommended"], given["relevant_grades"])}
    items = {item for listed, grades in users.values() for item in [*listed, *grades]} | {"unliked"}
    test = [(user, item, grade) for user, (_, grades) in users.items() for item, grade in grades.items()]
    test += [(user, "unliked", 0) for user, (_, grades) in users.items() if not grades]
    split = make_split([("somebody", item) for item in given.get("train_items", sorted(items))], test, items=items)
    lists = make_lists(split, {user: listed for user, (listed, _) in users.items() if listed})
    threshold = given.get("relevance_threshold", 1)
    return score_lists(lists, split, cutoffs=[k], metrics=list(OURS.values()), relevance_threshold=threshold), split


@pytest.mark.filterwarnings("ignore:k =", "ignore:no test user")
@pytest.mark.parametrize("case", cases("ranking_user"))
def test_one_user(make_split: Any, make_lists: Any, case: Any) -> None:
    k = case["input"]["k"]
    result, split = evaluation_of(make_split, make_lists, case, k)
    for name, ours in OURS.items():
        expected = case["expected"][name]
        value = result.per_user[f"{ours}@{k}"].iloc[0]
        if expected is None:
            assert np.isnan(value), name
            assert np.isnan(result.summary[f"{ours}@{k}"])
            assert result.summary["n_users_no_relevant"] == 1
        else:
            assert value == pytest.approx(expected, abs=TOLERANCE), name
    if case["expected"][UNCUT] is not None:
        length = max(len(case["input"]["recommended"]), 1)
        uncut, _ = evaluation_of(make_split, make_lists, case, length)
        assert uncut.per_user[f"mrr@{length}"].iloc[0] == pytest.approx(case["expected"][UNCUT], abs=TOLERANCE)
    for name, (library, theirs) in OF_OTHERS.items():
        values = per_user_by_convention(result, split, library, cutoffs=[k])[theirs.format(k=k)]
        if case["expected"][name] is None:
            assert values.empty, name
        else:
            assert values.iloc[0] == pytest.approx(case["expected"][name], abs=TOLERANCE), name


@pytest.mark.parametrize("case", cases("ranking_user"))
def test_definitions_on_hits_and_grades(case: Any) -> None:
    k, grades = case["input"]["k"], case["input"]["relevant_grades"]
    listed = (case["input"]["recommended"] + [None] * k)[:k]
    relevant = np.array([sum(grade >= 1 for grade in grades.values())])
    gains = np.array([[float(grades.get(item, 0)) for item in listed]])
    ideal = np.array([sorted(map(float, grades.values()), reverse=True) or [0.0]])
    values = {"dcg@k": dcg(gains >= 1, relevant), "ndcg_linear_fullideal@k": ndcg_graded_full_ideal(gains, ideal)}
    for name, value in values.items():
        expected = case["expected"][name]
        assert value[0] == pytest.approx(np.nan if expected is None else expected, abs=TOLERANCE, nan_ok=True), name


@pytest.mark.filterwarnings("ignore:k =")
@pytest.mark.parametrize("case", cases("ranking_aggregate"))
def test_means_over_users(make_split: Any, make_lists: Any, case: Any) -> None:
    k = case["input"]["k"]
    summary = evaluation_of(make_split, make_lists, case, k)[0].summary
    names = {name: f"{ours}@{k}" for name, ours in OURS.items()}
    names |= {"n_users_evaluated": "n_users", "n_users_no_relevant": "n_users_no_relevant"}
    names |= {"user_coverage": "user_coverage"}
    other_protocols = {"recall_micro@k", "implicit_precision"}
    for name, expected in case["expected"].items():
        if "|" in name or name in other_protocols:  # what other protocols would give; test_conventions.py
            continue
        assert summary[names[name]] == pytest.approx(expected, abs=TOLERANCE), name


def test_auc(golden: Any) -> None:
    case = golden["H09_auc"]
    positive, negative = (np.array(case["input"][name]) for name in ("positive_scores", "negative_scores"))
    assert auc(positive, negative) == pytest.approx(case["expected"]["auc"], abs=TOLERANCE)
    assert auc_strict(positive, negative) == pytest.approx(case["expected"]["auc_strict"], abs=TOLERANCE)


def test_a_relevant_item_unknown_to_train_is_counted(make_split: Any, make_lists: Any, golden: Any) -> None:
    result, _ = evaluation_of(make_split, make_lists, golden["A05_cold_relevant_item"], 2)
    assert result.summary["n_test_rows_unknown_item"] == 1
    assert result.per_user["n_relevant"].iloc[0] == 2
