"""Properties that hold for every list, and equality with trec_eval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.metrics import ranking
from recsys_lab.metrics.definitions import METRICS

ON_HITS = {
    name: card.function
    for name, card in METRICS.items()
    if card.kind == "ranking" and card.inputs == ("hits", "n_relevant")
}


@st.composite
def answers(draw: st.DrawFn) -> tuple[Any, Any]:
    """hits (n, k) and n_relevant (n,), at least as many relevant items as hits; some users have none."""
    n, k = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    hits = np.array(draw(st.lists(st.lists(st.booleans(), min_size=k, max_size=k), min_size=n, max_size=n)))
    missed = np.array(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)))
    return hits, hits.sum(axis=1) + missed


def test_the_metrics_on_hits_are_those_of_the_table() -> None:
    expected = {"precision", "recall", "recall_capped", "f1", "hit_rate", "mrr", "map", "map_capped", "ndcg"}
    assert set(ON_HITS) == expected | {"ndcg_full_ideal"}


@given(answers())
def test_values_lie_between_0_and_1_and_are_null_without_relevant_items(drawn: tuple[Any, Any]) -> None:
    hits, n_relevant = drawn
    for name, metric in ON_HITS.items():
        values = metric(hits, n_relevant)
        assert values.dtype == np.float64
        assert values.shape == n_relevant.shape
        np.testing.assert_array_equal(np.isnan(values), n_relevant == 0, err_msg=name)
        defined = values[n_relevant > 0]
        assert ((defined >= 0) & (defined <= 1)).all(), name
        nothing = metric(np.zeros_like(hits), n_relevant)
        assert (nothing[n_relevant > 0] == 0).all(), name


@given(answers(), st.randoms())
def test_the_order_of_users_changes_nothing(drawn: tuple[Any, Any], random: Any) -> None:
    hits, n_relevant = drawn
    order = list(range(len(hits)))
    random.shuffle(order)
    for metric in ON_HITS.values():
        np.testing.assert_array_equal(metric(hits[order], n_relevant[order]), metric(hits, n_relevant)[order])


@given(answers())
def test_a_perfect_list_is_1(drawn: tuple[Any, Any]) -> None:
    hits, n_relevant = drawn
    perfect = np.arange(hits.shape[1]) < n_relevant[:, None]
    for name in ("recall_capped", "map_capped", "ndcg"):
        values = ON_HITS[name](perfect, n_relevant)
        assert (values[n_relevant > 0] == 1.0).all(), name


@given(answers())
def test_identities(drawn: tuple[Any, Any]) -> None:
    hits, n_relevant = drawn
    k = hits.shape[1]
    value = {name: metric(hits, n_relevant)[n_relevant > 0] for name, metric in ON_HITS.items()}
    n = n_relevant[n_relevant > 0]
    np.testing.assert_allclose(value["precision"] * k, np.rint(value["precision"] * k), atol=1e-12)
    np.testing.assert_allclose(value["precision"] * k, value["recall"] * n, atol=1e-12)
    np.testing.assert_array_equal(value["hit_rate"], np.ceil(value["recall"]))
    assert (value["map"] <= value["map_capped"]).all()
    assert (value["map"] <= value["recall"] + 1e-12).all()
    assert (value["ndcg_full_ideal"] <= value["ndcg"]).all()
    both = value["precision"] + value["recall"]
    harmonic = 2 * value["precision"] * value["recall"] / np.where(both > 0, both, 1)
    np.testing.assert_allclose(value["f1"], harmonic, atol=1e-12)


@given(answers())
def test_with_one_relevant_item(drawn: tuple[Any, Any]) -> None:
    hits, _ = drawn
    first = np.argmax(hits, axis=1)
    found = hits.any(axis=1)
    one = np.zeros_like(hits)
    one[np.flatnonzero(found), first[found]] = True
    value = {name: metric(one, np.ones(len(one), dtype=np.int64)) for name, metric in ON_HITS.items()}
    np.testing.assert_array_equal(value["map"], value["mrr"])
    np.testing.assert_array_equal(value["recall"], value["hit_rate"])
    np.testing.assert_array_equal(value["precision"], value["hit_rate"] / one.shape[1])
    np.testing.assert_allclose(value["ndcg"], np.where(found, 1 / np.log2(first + 2), 0.0), atol=1e-12)


@given(answers())
def test_recall_hit_rate_and_mrr_never_fall_with_k(drawn: tuple[Any, Any]) -> None:
    hits, n_relevant = drawn
    for name in ("recall", "hit_rate", "mrr"):
        by_k = np.stack([ON_HITS[name](hits[:, :k], n_relevant) for k in range(1, hits.shape[1] + 1)])
        assert (np.diff(by_k[:, n_relevant > 0], axis=0) >= 0).all(), name


def test_ndcg_may_fall_with_k() -> None:
    hits = np.array([[True, False, False]])
    n_relevant = np.array([3])
    assert ranking.ndcg(hits[:, :1], n_relevant)[0] == 1.0
    assert ranking.ndcg(hits[:, :2], n_relevant)[0] < 1.0


@given(answers())
def test_moving_a_hit_up_never_lowers_ndcg_map_or_mrr(drawn: tuple[Any, Any]) -> None:
    hits, n_relevant = drawn
    better = hits.copy()
    for row in range(len(hits)):
        up = np.flatnonzero(~hits[row, :-1] & hits[row, 1:])
        if len(up):
            better[row, up[0]], better[row, up[0] + 1] = True, False
    for name in ("ndcg", "ndcg_full_ideal", "map", "map_capped", "mrr"):
        before, after = ON_HITS[name](hits, n_relevant), ON_HITS[name](better, n_relevant)
        assert (after >= before - 1e-12)[n_relevant > 0].all(), name


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.lists(st.integers(0, 5), max_size=6))
def test_graded_ndcg_against_the_formula(listed: list[int], missed: list[int]) -> None:
    k = len(listed)
    best = np.array((sorted(listed + missed, reverse=True) + [0] * k)[:k], dtype=float)
    gains = np.array(listed, dtype=float)
    for metric, gain in ((ranking.ndcg_graded, lambda g: g), (ranking.ndcg_graded_exp, lambda g: 2.0**g - 1)):
        value = metric(gains[None], best[None])[0]
        reached = sum(gain(g) / np.log2(rank + 2) for rank, g in enumerate(gains))
        ideal = sum(gain(g) / np.log2(rank + 2) for rank, g in enumerate(best))
        assert value == pytest.approx(reached / ideal) if ideal else np.isnan(value)


@settings(max_examples=60, deadline=None)
@given(answers(), st.integers(1, 8))
def test_equal_to_trec_eval(drawn: tuple[Any, Any], k: int) -> None:
    """trec_eval keeps float32 scores and drops users without a run: ranks are the scores, and every user has a list."""
    hits, n_relevant = drawn
    counted = n_relevant > 0
    judged = {
        f"u{row}": {f"h{rank}": int(hit) for rank, hit in enumerate(hits[row])}
        | {f"missed{m}": 1 for m in range(n_relevant[row] - hits[row].sum())}
        for row in range(len(hits))
    }
    run = {f"u{row}": {f"h{rank}": float(-rank) for rank in range(hits.shape[1])} for row in range(len(hits))}
    names = {"P": "precision", "recall": "recall", "success": "hit_rate", "map_cut": "map", "ndcg_cut": "ndcg"}
    theirs = pytrec_eval.RelevanceEvaluator(judged, {f"{name}.{k}" for name in names}).evaluate(run)
    width = max(k - hits.shape[1], 0)
    ours_hits = np.pad(hits, ((0, 0), (0, width)))[:, :k]
    for name, ours in names.items():
        values = ON_HITS[ours](ours_hits, n_relevant)
        for row in np.flatnonzero(counted):
            assert values[row] == pytest.approx(theirs[f"u{row}"][f"{name}_{k}"], abs=1e-6), (name, row)


def test_reciprocal_rank_is_that_of_trec_eval() -> None:
    hits = np.array([[False, False, True, True]])
    judged = {"u": {"a": 0, "b": 0, "c": 1, "d": 1}}
    run = {"u": {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}}
    theirs = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(run)["u"]["recip_rank"]
    assert ranking.mrr(hits, np.array([2]))[0] == pytest.approx(theirs)


def test_graded_ndcg_is_that_of_trec_eval() -> None:
    judged = {"u": {"a": 1, "b": 3, "c": 2, "d": 3}}
    run = {"u": {"a": 3.0, "b": 2.0, "c": 1.0}}
    theirs = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.3"}).evaluate(run)["u"]["ndcg_cut_3"]
    assert ranking.ndcg_graded(np.array([[1.0, 3, 2]]), np.array([[3.0, 3, 2]]))[0] == pytest.approx(theirs)


def test_auc_case_worked_by_hand() -> None:
    # .9 beats all three; .4 beats .1 and ties with .4: (3 + 1.5) / 6
    assert ranking.auc(np.array([0.9, 0.4]), np.array([0.5, 0.4, 0.1])) == 0.75
    assert np.isnan(ranking.auc(np.array([]), np.array([1.0])))
    assert np.isnan(ranking.auc(np.array([1.0]), np.array([])))


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20, unique=True), st.integers(1, 19))
def test_negated_scores_turn_auc_around(scores: list[int], n_positive: int) -> None:
    n_positive = min(n_positive, len(scores) - 1)
    positive, negative = np.array(scores[:n_positive]), np.array(scores[n_positive:])
    assert ranking.auc(-positive, -negative) == pytest.approx(1 - ranking.auc(positive, negative))
    by_hand = np.mean([p > n for p in positive for n in negative])
    assert ranking.auc(positive, negative) == pytest.approx(by_hand)


def test_wrong_shapes_are_errors() -> None:
    with pytest.raises(ValueError, match=r"hits need shape \(n, k\).*found \(2, 3\) and \(1,\)"):
        ranking.precision(np.zeros((2, 3), dtype=bool), np.ones(1, dtype=np.int64))
    with pytest.raises(ValueError, match=r"one shape \(n, k\)"):
        ranking.ndcg_graded(np.zeros((1, 2)), np.zeros((1, 3)))
