"""Stored lists under other libraries' definitions: what these libraries returned for the hand-checked cases."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.data.interactions import Catalogue
from recsys_lab.evaluation import by_convention, evaluate, score_lists
from recsys_lab.evaluation.conventions import per_user_by_convention
from recsys_lab.metrics.conventions import CONVENTIONS

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_metrics.json").read_text(encoding="utf-8"))
CASES = [case for case in GOLDEN["cases"] if case["kind"] == "ranking_user" and "recommended" in case["input"]]

# library in the file -> our name of its conventions, and its names in the file -> its names with the cut-off
LIBRARIES: dict[str, tuple[str, dict[str, str]]] = {
    "pytrec_eval-terrier 0.5.11": ("trec_eval", {}),
    "ir_measures 0.4.3": ("ir_measures", {}),
    "ranx 0.3.21": ("ranx", {}),
    "rectools 0.19.0": (
        "rectools",
        {
            "Precision(r_prec)": "Precision(r_precision=True)",
            "MAP(divide_by_k)": "MAP(divide_by_k=True)",
            "NDCG(divide_by_achievable)": "NDCG(divide_by_achievable=True)",
        },
    ),
    "recommenders 1.2.1": (
        "recommenders",
        {
            name: f"{name}(k={{k}})"
            for name in ("precision_at_k", "recall_at_k", "r_precision_at_k", "ndcg_at_k", "map", "map_at_k")
        }
        | {f"ndcg({kind})": f"ndcg_at_k(score_type='{kind}', k={{k}})" for kind in ("raw", "exp")},
    ),
    "lenskit 2025.8.1": ("lenskit", {"NDCG_gain_rating": "NDCG(gain='rating')"}),
    "RecBole 7b02be5e (source)": (
        "recbole",
        {name: name.lower() for name in ("Hit", "MRR", "MAP", "Recall", "NDCG", "Precision")},
    ),
    "RePlay b4e051e8 (source)": (
        "replay",
        {
            "ndcg": "NDCG",
            "map": "MAP",
            "mrr": "MRR",
            "recall": "Recall",
            "hitrate": "HitRate",
            "precision": "Precision",
        },
    ),
    "RecSys2019_DeepLearning_Evaluation f5618c6 (source)": ("recsys2019", {}),
    "DaisyRec-v2.0 88b0a32 (source)": ("daisyrec", {}),
    "elliot fc27efe (re-expressed from source)": ("elliot", {}),
}
NOT_OF_LISTS = {"scikit-learn 1.9.1", "torchmetrics 1.9.0"}  # they score what they are handed, relevant or listed
EVERY_ROW_COUNTS = {"rectools", "recommenders", "lenskit"}  # a test row is relevant, whatever its grade
FILLED_IN_THE_MEAN = {("lenskit", "Precision@5")}  # null for an empty list; RunAnalysis puts 0 before it takes the mean
NOT_MEASURED_BY_US = {"Judged"}  # of ir_measures: the share of the list that was judged at all


def measured(make_split: Any, make_lists: Any, case: Any, conventions: str, k: int) -> tuple[Any, Any]:
    """The evaluation and the split of a case."""
    given = case["input"]
    grades = given["relevant_grades"] or {"unliked": 0}
    items = sorted({*given["recommended"], *grades, "unliked"})
    split = make_split([("somebody", item) for item in items], [("u", item, grade) for item, grade in grades.items()])
    lists = make_lists(split, {"u": given["recommended"]} if given["recommended"] else {}, k=k)
    threshold = None if conventions in EVERY_ROW_COUNTS and given["relevant_grades"] else 1
    length = max(k, len(given["recommended"]))
    return score_lists(lists, split, cutoffs=[k, length], relevance_threshold=threshold), split


def full_name(name: str, names: dict[str, str], k: int, known: set[str]) -> str:
    """The library's name with its cut-off."""
    written = names.get(name, name).format(k=k)
    return written if written in known else f"{written}@{k}"


def cases_with_values() -> list[Any]:
    """Every case with every library; an empty list is no input for ranx and recommenders."""
    pairs = [(case, library) for case in CASES for library in LIBRARIES]
    refused = {("R05_empty_list", "ranx 0.3.21"), ("R05_empty_list", "recommenders 1.2.1")}
    return [
        pytest.param(*pair, id=f"{pair[0]['id']}-{pair[1]}")
        for pair in pairs
        if (pair[0]["id"], pair[1]) not in refused
    ]


@pytest.mark.filterwarnings("ignore:k =", "ignore:no test user")
@pytest.mark.parametrize(("case", "library"), cases_with_values())
def test_what_the_library_returned(make_split: Any, make_lists: Any, case: Any, library: str) -> None:
    conventions, names = LIBRARIES[library]
    k = case["input"]["k"]
    evaluation, split = measured(make_split, make_lists, case, conventions, k)
    table = by_convention(evaluation, split, conventions, cutoffs=[k])
    users = per_user_by_convention(evaluation, split, conventions, cutoffs=[k])
    theirs = case["measured"].get(library)
    if case["id"] == "R06_no_relevant":  # whatever a library says of such a user, it is not handed to it
        assert table["n_users"].eq(0).all()
        assert users.empty
        return
    for name, expected in theirs.items():
        if name.split("@")[0] in NOT_MEASURED_BY_US:
            continue
        found = full_name(name, names, k, set(table.index))
        if expected is None and (conventions, found) in FILLED_IN_THE_MEAN:
            expected = 0.0
        value = users[found].iloc[0] if found in users else table.loc[found, "value"]
        assert value == pytest.approx(np.nan if expected is None else expected, abs=1e-6, nan_ok=True), found


def test_the_same_lists_lead_to_many_numbers(make_split: Any, make_lists: Any, golden: Any) -> None:
    """Users without relevant items and without lists, and means over users or over hits, by library."""
    case = golden["A02_no_recommendations"]
    split = make_split([("z", item) for item in "ab"], [("u", "a"), ("v", "b")])
    two = score_lists(make_lists(split, {"u": ["a"]}, k=2), split, cutoffs=[2])
    expected = case["expected"]
    assert by_convention(two, split, "trec_eval").loc["ndcg_cut_2", "value"] == expected["ndcg@k|unserved=dropped"]
    assert by_convention(two, split, "trec_eval").loc["ndcg_cut_2", "n_users"] == 1
    assert by_convention(two, split, "ir_measures").loc["nDCG@2", "value"] == expected["ndcg@k"]
    assert by_convention(two, split, "rectools").loc["NDCG(divide_by_achievable=True)@2", "value"] == expected["ndcg@k"]
    recommenders = by_convention(two, split, "recommenders")["value"]
    assert recommenders["recall_at_k(k=2)"] == 1.0  # v is dropped here ...
    assert recommenders["ndcg_at_k(k=2)"] == 0.5  # ... and not here

    case = golden["A03_macro_micro"]
    users, k = case["input"]["users"], case["input"]["k"]
    items = {item for user in users.values() for name in ("recommended", "relevant") for item in user[name]}
    test = [(user, item) for user, given in users.items() for item in given["relevant"]]
    split = make_split([("z", item) for item in sorted(items)], test)
    lists = make_lists(split, {user: given["recommended"] for user, given in users.items()})
    implicit = by_convention(score_lists(lists, split, cutoffs=[k]), split, "implicit")
    assert implicit.loc[f"precision@{k}", "value"] == pytest.approx(case["expected"]["implicit_precision"])
    assert implicit.loc[f"precision@{k}", "ours"] == pytest.approx(0.1)


def test_lists_and_popularity(make_split: Any, make_lists: Any, golden: Any) -> None:
    """What RecTools and recommenders returned for the lists of the cases beyond accuracy."""
    given = golden["B01_item_coverage"]["input"]
    train = [(user, item) for user, items in given["train"].items() for item in items]
    test = [(user, item) for user, items in given["relevant"].items() for item in items]
    features = pd.DataFrame(given["item_features"]).T.reindex(given["catalogue"]).fillna(0).sort_index()
    split = make_split(train, test, items=given["catalogue"])
    for part in (split.train, split.test):
        old = part.catalogue
        matrix = sparse.csr_matrix(features.to_numpy(dtype=np.float32))
        new = Catalogue(old.user_ids, old.item_ids, old.items, matrix, ["first", "second"])
        object.__setattr__(part, "catalogue", new)
    lists = make_lists(split, given["recommended"])
    result = score_lists(lists, split, cutoffs=[3], candidates="catalogue", exclude_seen=False)
    rectools = by_convention(result, split, "rectools")["value"]
    assert rectools["CatalogCoverage@3"] == pytest.approx(0.8333, abs=5e-5)
    assert rectools["MeanInvUserFreq@3"] == pytest.approx(1.8333, abs=5e-5)
    assert rectools["AvgRecPopularity@3"] == pytest.approx(0.6667, abs=5e-5)
    assert rectools["Serendipity@3"] == pytest.approx(0.1944, abs=5e-5)
    one = score_lists(make_lists(split, {"u": ["a", "b", "c"]}), split, cutoffs=[3], candidates="catalogue")
    hamming = per_user_by_convention(one, split, "rectools")["IntraListDiversity(Hamming)@3"]
    assert hamming.iloc[0] == pytest.approx(golden["B07_ild"]["expected"]["ild_hamming_sum(RecTools)"])
    recommenders = by_convention(result, split, "recommenders")["value"]
    assert recommenders["catalog_coverage(k=3)"] == 1.25
    assert recommenders["distributional_coverage(k=3)"] == pytest.approx(2.2516292, abs=1e-6)
    novelty = golden["B04_novelty"]["expected"]["novelty(recommenders: p=count/interactions, cold=0)"]
    assert recommenders["novelty(k=3)"] == pytest.approx(novelty)
    nats = golden["B03_entropy"]["expected"]["shannon_entropy(nats)"]
    assert by_convention(result, split, "recbole").loc["shannonentropy@3", "value"] == pytest.approx(nats / 5)


def test_what_equals_a_metric_of_ours_has_its_value(make_split: Any, make_lists: Any) -> None:
    split = make_split([("z", item) for item in "abcdef"], [(user, item, 3) for user in "uv" for item in "abc"])
    result = score_lists(make_lists(split, {"u": ["d", "b", "a"], "v": ["e"]}), split, cutoffs=[1, 3])
    for conventions in CONVENTIONS:
        table = by_convention(result, split, conventions)
        same = table[(table["equals"] == table["like"]) & (table["equals"] != "")]
        np.testing.assert_allclose(same["value"], same["ours"], err_msg=conventions)
        for name, row in table[table["equals"] != ""].iterrows():
            ours = score_lists(result.lists, split, cutoffs=[3], metrics=[row["equals"]]).summary[row["equals"]]
            assert row["value"] == pytest.approx(ours), (conventions, name)


def test_what_is_refused(make_split: Any, make_lists: Any, fixed: Any) -> None:
    split = make_split([("z", "a"), ("z", "b")], [("u", "a")])
    result = score_lists(make_lists(split, {"u": ["a", "b"]}), split, cutoffs=[2])
    with pytest.raises(ValueError, match="unknown conventions 'treceval'; known are trec_eval"):
        by_convention(result, split, "treceval")
    with pytest.raises(ValueError, match=r"cut-offs lie in 1 ... 2, the length of the stored lists; found \[3\]"):
        by_convention(result, split, "ranx", cutoffs=[3])
    elsewhere = make_split([("z", "a"), ("z", "b")], [("z", "a")], card=SimpleNamespace(fingerprint="another"))
    with pytest.raises(ValueError, match="measured on the split split; found another"):
        by_convention(result, elsewhere, "ranx")
    other_users = make_split([("z", "a"), ("z", "b")], [("v", "a"), ("w", "b")])
    with pytest.raises(ValueError, match="give the split of the evaluation"):
        by_convention(result, other_users, "ranx")
    ratings = evaluate(fixed(np.ones((2, 2))), split, task="rating")
    with pytest.raises(ValueError, match="this evaluation is of ratings"):
        by_convention(ratings, split, "ranx")


def test_every_library_of_the_cases_is_here() -> None:
    libraries = {library for case in CASES for library in case["measured"]}
    assert libraries == {*LIBRARIES, *NOT_OF_LISTS}
    assert {conventions for conventions, _ in LIBRARIES.values()} == set(CONVENTIONS) - {"implicit"}
