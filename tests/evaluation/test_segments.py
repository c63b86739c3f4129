"""Segment reports: cases worked by hand, and sums that must add up on random data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.data.datasets import load_dataset
from recsys_lab.evaluation import evaluate, score_lists, segment_report
from recsys_lab.evaluation.segments import _deciles, _quarters
from recsys_lab.plots import segment_dots
from recsys_lab.splits import split as cut


def with_people(split: Any, **columns: Any) -> Any:
    """The split; its catalogue knows the users."""
    for name in ("train", "history", "test"):
        part = getattr(split, name)
        people = pd.DataFrame(columns, index=part.catalogue.user_ids)
        setattr(split, name, replace(part, catalogue=replace(part.catalogue, users=people)))
    return split


@pytest.fixture
def case(make_split: Any, make_lists: Any) -> Any:
    """Users u, v, w with 1, 2 and no rows; a found by u and v, b by nobody, "new" unknown to train."""
    train = [("u", "x"), ("v", "x"), ("v", "y"), ("z", "a"), ("z", "x"), ("z", "b"), ("z", "y"), ("s", "a")]
    test = [("u", "a"), ("u", "b"), ("v", "a"), ("w", "new"), ("w", "b")]
    split = make_split(train, test)
    split = with_people(split, gender=["m", "f", "m", "f", None], town=[f"t{n}" for n in range(5)])
    lists = make_lists(split, {"u": ["a", "y"], "v": ["a"], "w": ["x"]})
    return score_lists(lists, split, cutoffs=[2]), split


def test_a_case_worked_by_hand(case: Any) -> None:
    report = segment_report(*case, "recall@2", min_group_size=1).set_index(["by", "group"])
    assert report["mean"]["activity"].to_dict() == {"0 rows": 0.0, "1 rows": 0.5, "2 rows": 1.0}
    assert report["mean"]["user"].to_dict() == {"warm": 0.75, "cold": 0.0}
    # codes s u v w z -> u f, v m, w f; z and s are not tested
    assert report["mean"]["gender"].to_dict() == {"f": 0.25, "m": 1.0}
    assert report["n"]["gender"].to_dict() == {"f": 2, "m": 1}
    assert report["gap"]["gender"].tolist() == [0.75, 0.75]
    assert report["ratio"]["gender"].tolist() == [0.25, 0.25]
    assert report["worst"]["gender"].to_dict() == {"f": True, "m": False}
    # a is found by both who want it, b by neither u nor w, new by nobody
    assert report["mean"]["item"].to_dict() == {"warm": pytest.approx((0.5 + 1 + 0) / 3), "cold": 0.0}
    # popularity x 3, a and y 2, b 1: four items in tenths, the first, third, sixth and eighth
    assert report["mean"]["item popularity"].to_dict() == {"3": 1.0, "8": 0.0}
    assert set(report["metric"]["item popularity"]) == {"recall@2"}
    assert report["n"]["item popularity"].to_dict() == {"3": 2, "8": 2}


def test_small_groups_are_shown_and_not_used(case: Any) -> None:
    report = segment_report(*case, "ndcg@2")
    assert not report["used"].any()
    assert not report["worst"].any()
    assert report[["gap", "ratio"]].isna().all().all()
    assert report["by"].value_counts().to_dict() == {
        "activity": 3, "town": 3, "user": 2, "gender": 2, "item popularity": 2, "item": 2,
    }  # fmt: skip


def test_less_is_better_and_neither_is(make_split: Any, fixed: Any, case: Any) -> None:
    split = make_split([("z", "a", 1), ("z", "b", 5)], [("u", "a", 4), ("v", "a", 1), ("z", "a", 5)])
    result = evaluate(fixed(np.full((3, 2), 4.0)), split, task="rating")
    report = segment_report(result, split, "rmse", min_group_size=1)
    assert set(report["metric"]) == {"rmse"}
    assert set(report["by"]) == {"activity", "user"}  # no lists, no items found
    worst = report[report["worst"]].set_index("by")["group"].to_dict()
    assert worst == {"activity": "0 rows", "user": "cold"}  # errors 0 and 3, mean 1.5, against 1
    assert not segment_report(*case, "novelty@2", min_group_size=1).query("metric == 'novelty@2'")["worst"].any()


def test_what_is_refused(case: Any) -> None:
    evaluation, split = case
    with pytest.raises(ValueError, match="'gini@2' has no value for each user here; measured by user were precision@2"):
        segment_report(evaluation, split, "gini@2")
    split.test = split.test.select(np.arange(2))
    with pytest.raises(ValueError, match="other users than the test part"):
        segment_report(evaluation, split, "ndcg@2")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_quarters_and_tenths(counts: list[int]) -> None:
    rows = np.array(counts)
    codes, names = _quarters(rows)
    assert codes.min() == 0
    assert codes.max() == len(names) - 1 <= 4
    assert len(set(names)) == len(names)
    order = np.argsort(rows, kind="stable")
    assert (np.diff(codes[order]) >= 0).all()
    assert ((rows == 0) == (np.array(names)[codes] == "0 rows")).all()
    tenth, labels = _deciles(rows)
    assert len(labels) == 10
    assert ((tenth < 0) == (rows == 0)).all()
    sizes = np.bincount(tenth[tenth >= 0], minlength=10)
    assert sizes.max() - sizes.min() <= 1
    for better in range(9):
        ours, next_ones = rows[tenth == better], rows[tenth == better + 1]
        assert not len(ours) or not len(next_ones) or ours.min() >= next_ones.max()


@pytest.mark.filterwarnings("ignore")
def test_groups_add_up_to_the_whole() -> None:
    split = cut(load_dataset("synthetic-small"), "temporal_user", test=0.2, seed=1)
    evaluation = evaluate(make_algorithm("Popularity"), split, cutoffs=[5, 10])
    report = segment_report(evaluation, split, "ndcg@10")
    for by in ("activity", "user"):
        part = report[report["by"] == by]
        assert part["n"].sum() == evaluation.summary["n_users"]
        assert np.average(part["mean"], weights=part["n"]) == pytest.approx(evaluation.summary["ndcg@10"])
    first = report[report["by"] == "item popularity"].iloc[0]
    assert first["group"] == "1 (most popular)"
    assert first["mean"] > evaluation.summary["recall@10"]  # of Popularity's lists: the head is all they find
    other = segment_report(evaluation, split, "ndcg@5")
    assert set(other["metric"]) == {"ndcg@5", "recall@5"}


def test_the_picture_names_every_group(case: Any) -> None:
    report = segment_report(*case, "recall@2", min_group_size=1)
    texts = [label.get_text() for label in segment_dots(report).axes[0].get_yticklabels()]
    assert len(texts) == len(report) + report["by"].nunique()
    assert "f  (2)" in texts
    with pytest.raises(ValueError, match="missing: by"):
        segment_dots(report.drop(columns="by"))
