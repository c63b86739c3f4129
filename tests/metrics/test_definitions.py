"""The metric table: complete, parsed rightly, and equal to the page that is generated from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys_lab.metrics.definitions import METRICS, parse_metric, refuse_sampled
from recsys_lab.metrics.page import document
from recsys_lab.metrics.ratios import ratio

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "run: python -m recsys_lab.metrics.page > docs/metrics.md"


def test_the_module_prints_the_page() -> None:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "recsys_lab.metrics.page"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=PAGE.parents[1]).stdout == document()


def test_the_default_set() -> None:
    ranking = [name for name, card in METRICS.items() if card.default == "yes" and card.kind != "rating"]
    expected = ["precision", "recall", "hit_rate", "mrr", "map", "ndcg", "novelty", "arp", "item_coverage", "gini"]
    assert ranking == expected
    assert METRICS["intra_list_diversity"].default == "with features"
    assert METRICS["calibration_kl"].default == "with genres"


def test_every_card_is_filled_in() -> None:
    for name, card in METRICS.items():
        assert card.name == name
        assert all((card.formula, card.range, card.edge_cases, card.source, card.inputs)), name
        assert card.function.__doc__, name


def test_names() -> None:
    assert parse_metric("ndcg@10") == (METRICS["ndcg"], 10)
    assert parse_metric("ndcg") == (METRICS["ndcg"], None)
    assert parse_metric("rmse") == (METRICS["rmse"], None)
    assert parse_metric("sampled_ndcg@10") == (METRICS["sampled_ndcg"], 10)
    drawn, k = parse_metric("sampled_ndcg@10[n=500]")
    assert (drawn.n_sampled, k, drawn.column(10)) == (500, 10, "sampled_ndcg@10[n=500]")
    assert METRICS["sampled_ndcg"].column(5) == "sampled_ndcg@5[n=99]"


def test_a_metric_on_drawn_candidates_decides_nothing() -> None:
    refuse_sampled("ndcg@10")
    with pytest.raises(ValueError, match="stands in no leaderboard; use 'hit_rate@10'"):
        refuse_sampled("sampled_hit_rate@10[n=99]")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ncdg@10", "unknown metric 'ncdg'; did you mean 'ndcg'"),
        ("qqq", "unknown metric 'qqq'; Known: precision"),
        ("ndcg@0", "whole number from 1 up, as in 'ndcg@10'; found 'ndcg@0'"),
        ("ndcg@ten", "whole number from 1 up"),
        ("ndcg@", "whole number from 1 up"),
        ("rmse@10", "'rmse' has no cut-off"),
        ("ndcg@10[n=99]", "brackets say how many candidates are drawn"),
        ("sampled_ndcg@10[99]", r"as in 'sampled_ndcg@10\[n=99\]'; found 'sampled_ndcg@10\[99\]'"),
        ("sampled_ndcg@10[n=0]", "brackets say how many candidates are drawn"),
    ],
)
def test_wrong_names_are_errors(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_metric(name)


def test_ratio_is_null_where_there_is_nothing_to_divide_by() -> None:
    np.testing.assert_array_equal(ratio([1, 2, 3], [2, 0, -1]), [0.5, np.nan, np.nan])
    assert ratio(np.ones((2, 1)), [1.0, 2.0, 4.0]).shape == (2, 3)
