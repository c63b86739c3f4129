"""Means by group: the hand-checked case, small groups and missing values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recsys_lab.metrics.fairness import group_report

CASES = json.loads((Path(__file__).parents[1] / "golden_metrics.json").read_text(encoding="utf-8"))["cases"]


def test_the_hand_checked_case() -> None:
    (case,) = [case for case in CASES if case["id"] == "B12_groups"]
    expected = case["expected"]
    users = case["input"]["per_user"]
    report = group_report(list(users.values()), [case["input"]["group"][user] for user in users], min_group_size=1)
    assert report.mean == pytest.approx(expected["mean"])
    assert report.table["mean"].to_dict() == pytest.approx(expected["group_mean"])
    assert report.gap == pytest.approx(expected["group_gap(max-min)"])
    assert report.ratio == pytest.approx(expected["group_ratio(min/max)"])
    assert report.table.loc[report.worst, "mean"] == expected["worst_group"]
    assert report.macro == pytest.approx(expected["macro_over_groups"])


def test_small_groups_are_shown_but_not_used() -> None:
    values = np.concatenate([np.full(40, 0.5), np.full(30, 0.25), np.zeros(29), [np.nan]])
    groups = ["a"] * 40 + ["b"] * 30 + ["small"] * 30
    report = group_report(values, groups)
    assert report.table["n"].to_dict() == {"a": 40, "b": 30, "small": 29}  # NaN is no value
    assert report.table["used"].to_dict() == {"a": True, "b": True, "small": False}
    assert (report.worst, report.gap, report.ratio) == ("b", 0.25, 0.5)
    assert list(report.table.index) == ["small", "b", "a"]


def test_without_a_group_that_is_large_enough_there_is_no_gap() -> None:
    report = group_report([1.0, 0.0], ["a", "b"])
    assert report.mean == 0.5
    assert np.isnan([report.gap, report.ratio, report.macro]).all()
    assert report.worst is None
    assert np.isnan(group_report([np.nan], ["a"]).mean)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="one value and one group"):
        group_report([1.0, 2.0], ["a"])
