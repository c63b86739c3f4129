"""The hand-checked cases of coverage, popularity, diversity, calibration and ratings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.data.interactions import Catalogue
from recsys_lab.evaluation import evaluate, score_lists
from recsys_lab.metrics import diversity

CASES = json.loads((Path(__file__).parents[1] / "golden_metrics.json").read_text(encoding="utf-8"))["cases"]

IN_A_SPLIT = {  # case -> name in the file -> name here; the rest of a case is what other libraries mean
    "B01_item_coverage": {"item_coverage@k": "item_coverage@3"},
    "B02_gini": {"gini@k": "gini@3"},
    "B03_entropy": {
        "shannon_entropy@k(bits)": "entropy@3",
        "normalised_by_log2_catalogue": "entropy_normalised@3",
    },
    "B04_novelty": {"novelty@k": "novelty@3"},
    "B05_epc": {"epc@k": "epc@3"},
    "B06_arp_aplt_lift": {
        "arp@k": "arp@3",
        "aplt@k(head=top 20% of items, ceil)": "aplt@3",
        "popularity_lift": "popularity_lift@3",
    },
    "B10_serendipity": {"serendipity@k": "serendipity@3"},
    "B11_personalisation": {"inter_list_diversity@k": "inter_list_diversity@3"},
}
BY_HAND = {"B07_ild", "B08_ild_degenerate", "B09_calibration"}


def features(case: Any) -> tuple[list[str], sparse.csr_matrix]:
    table = case["input"]["item_features"]
    return list(table), sparse.csr_matrix(np.array(list(table.values()), dtype=np.float32))


def test_every_case_is_tested() -> None:
    assert {case["id"] for case in CASES if case["kind"] == "beyond"} == {*IN_A_SPLIT, *BY_HAND}


@pytest.mark.filterwarnings("ignore:k =")
@pytest.mark.parametrize("case", list(IN_A_SPLIT))
def test_properties_of_lists(make_split: Any, make_lists: Any, golden: Any, case: str) -> None:
    given = golden[case]["input"]
    train = [(user, item) for user, items in given["train"].items() for item in items]
    test = [(user, item) for user, items in given["relevant"].items() for item in items]
    split = make_split(train, test, items=given["catalogue"])
    lists = make_lists(split, given["recommended"])
    names = IN_A_SPLIT[case]
    result = score_lists(
        lists, split, cutoffs=[3], metrics=[*names.values()], candidates="catalogue", exclude_seen=False
    )
    for name, ours in names.items():
        assert result.summary[ours] == pytest.approx(golden[case]["expected"][name], abs=1e-9), name


def test_intra_list_diversity(make_split: Any, make_lists: Any, golden: Any) -> None:
    case = golden["B07_ild"]
    names, matrix = features(case)
    split = make_split([("v", name) for name in names], [("u", "a")])
    for part in (split.train, split.test):
        old: Catalogue = part.catalogue
        new = Catalogue(old.user_ids, old.item_ids, old.items, matrix, ["first", "second"])
        object.__setattr__(part, "catalogue", new)
    lists = make_lists(split, {"u": case["input"]["recommended"]})
    metrics = ["intra_list_diversity", "intra_list_diversity_jaccard"]
    summary = score_lists(lists, split, cutoffs=[3], metrics=metrics).summary
    assert summary["intra_list_diversity@3"] == pytest.approx(case["expected"]["ild_cosine@k"], abs=1e-9)
    assert summary["intra_list_diversity_jaccard@3"] == pytest.approx(case["expected"]["ild_jaccard@k"], abs=1e-9)


@pytest.mark.parametrize("function", [diversity.intra_list_diversity, diversity.intra_list_diversity_jaccard])
def test_lists_of_fewer_than_two_items_have_no_diversity(golden: Any, function: Callable[..., Any]) -> None:
    _, matrix = features(golden["B08_ild_degenerate"])  # a b c d = 0 1 2 3
    values = function(np.array([[0, -1], [0, 3], [-1, -1]], dtype=np.int32), matrix)
    np.testing.assert_array_equal(np.isnan(values), [True, False, True])
    assert values[1] == 1.0  # d has no features


def test_calibration(golden: Any) -> None:
    case = golden["B09_calibration"]
    p, q = (np.array([[case["input"][side][genre] for genre in "AB"]]) for side in "pq")
    expected = case["expected"]["calibration_kl(nats)"]
    assert diversity.kl_divergence(p, q, case["input"]["alpha"])[0] == pytest.approx(expected, abs=1e-12)
    # ten history items of two genres, a list of genre A alone
    weights = np.array([[1.0, 0.0], [0.0, 1.0]])
    value = diversity.calibration_kl(np.array([[0]], dtype=np.int32), weights, np.array([[7.0, 3.0]]))
    assert value[0] == pytest.approx(expected, abs=1e-12)


def test_calibration_through_an_evaluation(make_split: Any, make_lists: Any) -> None:
    items = pd.DataFrame({"genres": ["A", "A|B", "B", "(no genres listed)"]}, index=list("abcd"))
    split = make_split([("u", "a"), ("u", "b"), ("v", "c"), ("v", "d")], [("u", "c")], items=items)
    result = score_lists(make_lists(split, {"u": ["c", "d"]}), split, cutoffs=[2])
    p, q = np.array([0.75, 0.25]), np.array([0.0, 1.0])
    assert result.summary["calibration_kl@2"] == pytest.approx(float((p * np.log(p / (0.99 * q + 0.01 * p))).sum()))


def test_ratings(make_split: Any, fixed: Any, golden: Any) -> None:
    given, expected = golden["E01_rating"]["input"], golden["E01_rating"]["expected"]
    test = [
        (user, f"i{row}", truth) for row, (user, truth) in enumerate(zip(given["user"], given["true"], strict=True))
    ]
    split = make_split([("z", "i0", 1), ("z", "i1", 5)], test)  # the scale of train is 1 to 5
    scores = np.zeros((3, 3))
    scores[split.test.users, split.test.items] = given["pred"]
    summary = evaluate(fixed(scores), split, task="rating").summary
    ours = {"rmse": "rmse_unclipped", "mae": "mae_unclipped", "rmse_clipped": "rmse", "mae_clipped": "mae"}
    ours |= {"rmse_macro": "rmse_macro_unclipped", "mae_macro": "mae_macro_unclipped"}
    assert set(expected) == set(ours)
    for name, value in expected.items():
        assert summary[ours[name]] == pytest.approx(value, abs=1e-6), name


def test_a_missing_prediction_needs_a_named_fallback(make_split: Any, fixed: Any, golden: Any) -> None:
    case = golden["E02_rating_missing"]
    truth = case["input"]["true"]
    split = make_split([("z", "x", 1), ("z", "y", 5), ("z", "x", 3)], [("u", "x", truth[0]), ("u", "y", truth[1])])
    model = fixed(np.array([[4, np.nan], [0, 0]]))
    with pytest.raises(ValueError, match=r"user 'u', item 'y': no rating .*1 of 2.*rating_fallback='global_mean'"):
        evaluate(model, split, task="rating")
    filled = evaluate(model, split, task="rating", rating_fallback="global_mean")
    assert filled.summary["prediction_coverage"] == case["expected"]["prediction_coverage"]
    assert filled.summary["mae"] == pytest.approx(0.5)  # errors 0 and 3 - 2
    dropped = evaluate(model, split, task="rating", rating_fallback="drop")
    assert dropped.summary["mae"] == 0.0
    assert dropped.summary["prediction_coverage"] == 0.5
    assert len({filled.protocol["hash"], dropped.protocol["hash"]}) == 2
