"""Models over several data sets: ranks, groups, what is refused, and the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recsys_lab.comparison import Comparison, compare_datasets
from recsys_lab.significance import Friedman, nemenyi_critical_difference

MODELS = ("EASE", "ItemKNN", "IALS", "Popularity", "Random")


def comparison(means: dict[str, float], data: str, **changes) -> Comparison:
    verdicts = ["reference" if name == "Oracle" else "inconclusive" for name in means]
    one = Comparison(
        table=pd.DataFrame({"mean": means, "verdict": dict(zip(means, verdicts, strict=True))}),
        primary="ndcg@10",
        best_baseline="Popularity",
        minimum_detectable_difference=0.01,
        level=0.95,
        min_effect=0.01,
        details=pd.DataFrame(),
        pairs=pd.DataFrame(),
        values=pd.DataFrame(),
        dataset_hash=data * 64,
        protocol={"cutoffs": [10], "relevance_threshold": 4.0, "candidates": {"kind": "all"}, "hash": f"h{data}"},
    )
    return replace(one, **changes)


@pytest.fixture
def many() -> dict[str, Comparison]:
    rng = np.random.default_rng(0)
    base = np.array([0.32, 0.31, 0.24, 0.15, 0.02])
    return {
        f"data {i}": comparison(dict(zip(MODELS, base + rng.normal(0, 0.02, 5), strict=True)) | {"Oracle": 0.9}, f"{i}")
        for i in range(8)
    }


def test_ranks_and_groups_over_data_sets(many):
    found = compare_datasets(many)
    means = np.array([[one.table["mean"][name] for name in found.table.index] for one in many.values()])
    ranks = stats.rankdata(-means, axis=1)
    np.testing.assert_allclose(found.table["average_rank"], ranks.mean(axis=0))
    assert found.table["average_rank"].is_monotonic_increasing
    theirs = stats.friedmanchisquare(*means.T)
    assert (found.test.statistic, found.test.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found.critical_difference == nemenyi_critical_difference(5, 8)
    assert found.differ
    assert "Oracle" not in found.table.index
    assert found.table.index[-1] == "Random"
    assert found.table["best_on"].sum() == 8
    best = found.table["average_rank"].iloc[0]
    for name, rank in found.table["average_rank"].items():
        assert found.table.loc[name, "like_the_best"] == (rank - best < found.critical_difference)
    assert set(found.groups[0]) == set(found.table.index[found.table["like_the_best"]])
    assert "8 data sets are few" in found.notes[-1]


def test_errors_are_ranked_the_other_way(many):
    rated = {
        name: replace(one, primary="rmse", higher_is_better=False, table=one.table.assign(mean=-one.table["mean"]))
        for name, one in many.items()
    }
    pd.testing.assert_frame_equal(compare_datasets(rated).table, compare_datasets(many).table)


def test_without_any_difference_all_models_are_one_group():
    rng = np.random.default_rng(4)
    found = compare_datasets(
        {f"{i}": comparison(dict(zip(MODELS, rng.random(5), strict=True)), f"{i}") for i in range(6)}
    )
    assert not found.differ
    assert found.groups == (tuple(found.table.index),)
    assert found.table["like_the_best"].all()
    assert "finds no difference" in found.notes[0]


def test_models_that_are_not_everywhere_are_left_out_and_named(many):
    many["data 3"] = replace(many["data 3"], table=many["data 3"].table.drop(index="IALS"))
    many["data 4"] = replace(many["data 4"], protocol=many["data 4"].protocol | {"relevance_threshold": None})
    found = compare_datasets(many)
    assert "IALS" not in found.table.index
    assert any("left out, as not measured on every data set: IALS" in note for note in found.notes)
    assert any("data 3 4.0, data 4 every row" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"primary": "recall@10"}, "different are primary: data 0 'ndcg@10', data 5 'recall@10'"),
        ({"protocol": {"cutoffs": [20], "candidates": {"kind": "all"}}}, r"cutoffs: data 0 \[10\], data 5 \[20\]"),
        (
            {"protocol": {"cutoffs": [10], "candidates": {"kind": "given"}}},
            "protocol candidates.kind: data 0 'all', data 5 'given'",
        ),
        ({"dataset_hash": "2" * 64}, "'data 2' and 'data 5' hold the same data"),
        ({"table": pd.DataFrame({"mean": {"EASE": 0.1}, "verdict": {"EASE": "better"}})}, "found 1 [(]EASE[)]"),
    ],
)
def test_what_cannot_be_compared_is_named(many, changes, message):
    many["data 5"] = replace(many["data 5"], **changes)
    with pytest.raises(ValueError, match=message):
        compare_datasets(many)


def test_few_data_sets_are_refused_with_a_reason(many):
    with pytest.raises(ValueError, match=r"at least 5 of them, .*; found 4 \(data 0, data 1, data 2, data 3\)"):
        compare_datasets(dict(list(many.items())[:4]))
    with pytest.raises(TypeError, match="needs what compare returns; found a dict"):
        compare_datasets(many | {"odd": {}})


def test_the_files_hold_the_picture_and_the_table(many, tmp_path):
    from recsys_lab.leaderboard import across

    found = compare_datasets(many)
    files = {file.name: file for file in across.write(found, tmp_path)}
    assert set(files) == {"across.md", "across.csv", "across.svg", "across.png"}
    assert pd.read_csv(files["across.csv"], index_col="model")["average_rank"].tolist() == pytest.approx(
        found.table["average_rank"].tolist()
    )
    svg = files["across.svg"].read_text()
    assert all(name in svg for name in MODELS)
    assert f"critical difference {found.critical_difference:.2f}" in svg
    words = files["across.md"].read_text()
    assert words.count("\n| ") == 2 + len(MODELS)
    assert "Cannot be told apart: " in words
    assert isinstance(found.test, Friedman)


def test_the_picture_refuses_what_it_cannot_draw():
    from recsys_lab.plots import critical_difference

    ranks = pd.Series({"EASE": 1.2, "Random": 1.8})
    assert len(critical_difference(ranks, 0.9, [["EASE", "Random"]]).axes[0].lines) > 4
    for wrong, groups in ((ranks[:1], []), (ranks, [["EASE", "SLIM"]])):
        with pytest.raises(ValueError, match="two or more models"):
            critical_difference(wrong, 0.9, groups)
