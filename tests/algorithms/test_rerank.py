"""Rerankers against their definitions, and what they do to lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab.algorithms.contract import recommend_all
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.linear import EASE
from recsys_lab.algorithms.rerank import MMR, Calibrated, PopularityDebiased, Reranker
from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.genres import genre_weights
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.synthetic import generate
from recsys_lab.evaluation import evaluate
from recsys_lab.metrics.diversity import calibration_kl
from recsys_lab.splits import Split, split

RERANKERS: list[type[Reranker]] = [MMR, PopularityDebiased, Calibrated]
K, POOL = 5, 12


@pytest.fixture(scope="module")
def data() -> Interactions:
    return contract_data()


@pytest.fixture(scope="module")
def cut() -> Split:
    return split(generate(150, 120, 6000, seed=5), "random_user", seed=1)


def pools(data: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """The best items of EASE and their relevance in 0 ... 1."""
    lists = recommend_all(EASE().fit(data), data, k=POOL)
    low, high = lists.scores.min(axis=1, keepdims=True), lists.scores.max(axis=1, keepdims=True)
    return lists.items, (lists.scores.astype(np.float64) - low) / (high - low)


def greedy(items: np.ndarray, value: Any) -> list[int]:
    """The list that grows by the item of the largest value(list, place), the first of equals."""
    listed: list[int] = []
    for _ in range(K):
        left = [place for place in range(len(items)) if place not in listed]
        listed.append(max(left, key=lambda place: (round(value(listed, place), 9), -place)))
    return [int(items[place]) for place in listed]


@pytest.mark.parametrize("kind", RERANKERS)
def test_weight_0_keeps_the_list_of_the_base(kind: type[Reranker], data: Interactions) -> None:
    expected = recommend_all(EASE().fit(data), data, k=K).items
    np.testing.assert_array_equal(recommend_all(kind(weight=0.0).fit(data), data, k=K).items, expected)


@pytest.mark.parametrize("kind", RERANKERS)
def test_items_come_from_the_best_of_the_base_and_scores_are_ranks(kind: type[Reranker], data: Interactions) -> None:
    lists = recommend_all(kind(weight=0.9, n_candidates=POOL).fit(data), data, k=K)
    best = recommend_all(EASE().fit(data), data, k=POOL).items
    assert all(set(items) <= set(pool) for items, pool in zip(lists.items, best, strict=True))
    np.testing.assert_allclose(lists.scores, np.tile(1 / np.arange(1, K + 1), (len(lists), 1)), rtol=1e-6)
    assert (lists.items != best[:, :K]).any()


@pytest.mark.parametrize("kind", RERANKERS)
def test_a_longer_list_begins_with_the_shorter(kind: type[Reranker], data: Interactions) -> None:
    model = kind(n_candidates=20).fit(data)
    short, long = recommend_all(model, data, k=4).items, recommend_all(model, data, k=9).items
    np.testing.assert_array_equal(long[:, :4], short)


@pytest.mark.parametrize("kind", RERANKERS)
def test_scores_are_those_of_the_base(kind: type[Reranker], data: Interactions) -> None:
    users = np.arange(3, dtype=np.int32)
    expected = EASE().fit(data).score(users, data.matrix[:3])
    np.testing.assert_allclose(kind().fit(data).score(users, data.matrix[:3]), expected, rtol=1e-5)


@pytest.mark.parametrize("similarity", ["features", "interactions"])
def test_mmr_is_its_formula(similarity: Any, data: Interactions) -> None:
    weight = 0.6
    matrix = data.catalogue.item_features.toarray() if similarity == "features" else (data.matrix.toarray() > 0).T
    vectors = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    alike = vectors @ vectors.T
    found = recommend_all(MMR(weight=weight, n_candidates=POOL, similarity=similarity).fit(data), data, k=K).items
    for row, (items, relevance) in enumerate(zip(*pools(data), strict=True)):

        def value(listed: list[int], place: int, items: Any = items, relevance: Any = relevance) -> float:
            nearest = max((alike[items[place], items[other]] for other in listed), default=0.0)
            return float((1 - weight) * relevance[place] - weight * nearest)

        assert found[row].tolist() == greedy(items, value), row


def test_calibrated_lists_are_those_of_the_formula(data: Interactions) -> None:
    weight = 0.7
    genres = genre_weights(data.catalogue)
    found = recommend_all(Calibrated(weight=weight, n_candidates=POOL).fit(data), data, k=K).items
    for row, (items, relevance) in enumerate(zip(*pools(data), strict=True)):
        profile = genres[data.matrix[row].indices].sum(axis=0)[None]

        def value(
            listed: list[int], place: int, items: Any = items, relevance: Any = relevance, p: Any = profile
        ) -> float:
            codes = items[[*listed, place]]
            divergence = calibration_kl(codes[None], genres, p)[0]
            return float((1 - weight) * relevance[[*listed, place]].sum() - weight * divergence)

        assert found[row].tolist() == greedy(items, value), row


def test_popularity_debiased_is_its_formula(data: Interactions) -> None:
    counts = np.log1p((data.matrix.toarray() > 0).sum(axis=0))
    found = recommend_all(PopularityDebiased(weight=0.4, n_candidates=POOL).fit(data), data, k=K).items
    for row, (items, relevance) in enumerate(zip(*pools(data), strict=True)):
        value = 0.6 * relevance - 0.4 * counts[items] / counts.max()
        assert found[row].tolist() == items[np.argsort(-value, kind="stable")][:K].tolist()


@pytest.mark.parametrize(
    ("kind", "metric", "better"),
    [
        (MMR, "intra_list_diversity@10", 1),
        (PopularityDebiased, "arp@10", -1),
        (Calibrated, "calibration_kl@10", -1),
    ],
)
def test_each_improves_what_it_is_for_and_costs_accuracy(
    kind: type[Reranker], metric: str, better: int, cut: Split
) -> None:
    wanted = ["ndcg", metric.partition("@")[0]]
    plain = evaluate(EASE(), cut, cutoffs=(10,), metrics=wanted).summary
    some = evaluate(kind(weight=0.5, n_candidates=40), cut, cutoffs=(10,), metrics=wanted).summary
    much = evaluate(kind(weight=0.95, n_candidates=40), cut, cutoffs=(10,), metrics=wanted).summary
    assert better * plain[metric] < better * some[metric] < better * much[metric]
    assert much["ndcg@10"] < plain["ndcg@10"]


def test_an_empty_history_and_one_without_genres_keep_the_order_of_the_base(data: Interactions) -> None:
    items = data.catalogue.items.assign(genres="(no genres listed)")
    bare = replace(data, catalogue=replace(data.catalogue, items=items))
    expected = recommend_all(EASE().fit(bare), bare, k=K).items
    np.testing.assert_array_equal(recommend_all(Calibrated(weight=0.9).fit(bare), bare, k=K).items, expected)


def test_content_that_is_missing_is_named(data: Interactions) -> None:
    bare = replace(data, catalogue=replace(data.catalogue, item_features=None, feature_names=()))
    with pytest.raises(ValueError, match="use similarity='interactions'"):
        MMR().fit(bare)
    assert (recommend_all(MMR(similarity="interactions").fit(bare), bare).items >= 0).all()
    without = replace(data, catalogue=replace(data.catalogue, items=data.catalogue.items.drop(columns="genres")))
    with pytest.raises(ValueError, match="no column 'genres'"):
        Calibrated().fit(without)


def test_metrics_of_scores_refuse_a_reranker(cut: Split) -> None:
    with pytest.raises(ValueError, match="PopularityDebiased lists items in another order than that of its scores"):
        evaluate(PopularityDebiased(), cut, metrics=["auc"])
    with pytest.raises(ValueError, match="use tie_policy='hash'"):
        evaluate(PopularityDebiased(), cut, tie_policy="pessimistic")


@pytest.mark.data
@pytest.mark.parametrize(
    ("kind", "ndcg", "other", "value"),
    [
        (MMR, 0.4203, "intra_list_diversity", 0.8614),
        (PopularityDebiased, 0.4825, "arp", 222.6),
        (Calibrated, 0.4454, "calibration_kl", 0.4146),
    ],
)
def test_the_numbers_of_the_docs_come_out(
    kind: type[Reranker], ndcg: float, other: str, value: float, real_data: Path
) -> None:
    cut = split(load_dataset("ml-100k"), "stratified_item", test=0.25)
    found = evaluate(kind(), cut, cutoffs=(10,), metrics=["ndcg", other]).summary
    assert found["ndcg@10"] == pytest.approx(ndcg, abs=0.0005)
    assert found[f"{other}@10"] == pytest.approx(value, rel=0.001)
