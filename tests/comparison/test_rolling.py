"""Windows in time are pooled by user and tested over users; folds of a k_fold are not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.comparison import compare
from recsys_lab.data.synthetic import generate
from recsys_lab.evaluation import Evaluation, evaluate
from recsys_lab.leaderboard.table import Entry, build_table
from recsys_lab.splits import windows

NAMES = ["Popularity", "Random", "ItemKNN"]


@pytest.fixture(scope="module")
def measured() -> dict[str, list[Evaluation]]:
    made = windows(generate(150, 60, 4000, seed=5), 3, test=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: [evaluate(make_algorithm(name), one, cutoffs=(10,)) for one in made] for name in NAMES}


def test_a_user_counts_once_with_the_mean_over_the_windows(measured):
    found = compare(measured, "ndcg@10", baselines=["Popularity"], rolling=True)
    by_user: dict[str, dict[int, list[float]]] = {name: {} for name in NAMES}
    for name in NAMES:
        for one in measured[name]:
            for user, value in one.per_user["ndcg@10"].items():
                by_user[name].setdefault(user, []).append(value)
    means = {name: np.array([np.mean(values) for _, values in sorted(of.items())]) for name, of in by_user.items()}
    assert any(len(values) > 1 for values in by_user["Random"].values())
    expected = stats.ttest_rel(means["ItemKNN"], means["Popularity"]).pvalue
    assert found.table["p"]["ItemKNN"] == pytest.approx(expected)
    assert found.table["mean"]["ItemKNN"] == pytest.approx(means["ItemKNN"].mean())
    assert any("tested over users" in note for note in found.notes)
    over_folds = compare(measured, "ndcg@10", baselines=["Popularity"])
    assert over_folds.table["p"]["ItemKNN"] != pytest.approx(expected)


def test_the_table_of_a_rolling_split_shows_every_window(measured):
    entries = [
        Entry(name, "baseline", one, fold=fold, rolling=True)
        for name in NAMES
        for fold, one in enumerate(measured[name])
    ]
    table = build_table(entries, primary="ndcg@10", baselines=["Popularity", "Random"], check_baselines=False)
    assert table.windows is not None
    assert len(table.windows) == 9
    row = table.windows.set_index(["model", "window"]).loc[("ItemKNN", 2)]
    assert row["mean"] == pytest.approx(measured["ItemKNN"][1].summary["ndcg@10"])
    assert row["low"] < row["mean"] < row["high"]
    assert build_table([Entry(name, "", measured[name][0]) for name in NAMES], primary="ndcg@10").windows is None
