"""evaluate: batches, protocols, ties at their worst, auc, ratings and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.data.interactions import Interactions
from recsys_lab.evaluation import evaluate, score_lists
from recsys_lab.evaluation.relevance import relevant_items

EVERYTHING = ["default", "recall_capped", "map_capped", "ndcg_graded", "f1", "auc", "serendipity", "popularity_lift"]


@pytest.fixture(scope="module")
def random_split(make_split: Any) -> Any:
    rng = np.random.default_rng(4)
    users, items = np.divmod(rng.choice(40 * 30, 500, replace=False), 30)
    rows = [(f"u{u:02}", f"i{i:02}", float(r)) for u, i, r in zip(users, items, rng.integers(1, 6, 500), strict=True)]
    return make_split(rows[:400], rows[400:])


@pytest.fixture(scope="module")
def scores(random_split: Any) -> Any:
    shape = (random_split.train.n_users, random_split.train.n_items)
    return np.random.default_rng(5).integers(0, 12, shape).astype(np.float32)  # with ties


@pytest.mark.filterwarnings("ignore:.*tie hash")
def test_the_size_of_the_batches_changes_nothing(random_split: Any, scores: Any, fixed: Any) -> None:
    results = [
        evaluate(fixed(scores), random_split, metrics=EVERYTHING, relevance_threshold=3, batch_size=size)
        for size in (1, 7, 1024)
    ]
    for other in results[1:]:
        assert other.summary == pytest.approx(results[0].summary, nan_ok=True, rel=0, abs=0)
        pd.testing.assert_frame_equal(other.per_user, results[0].per_user)
        np.testing.assert_array_equal(other.lists.items, results[0].lists.items)


@pytest.mark.filterwarnings("ignore:.*tie hash")
def test_stored_lists_give_the_same_numbers(random_split: Any, scores: Any, fixed: Any) -> None:
    result = evaluate(fixed(scores), random_split, cutoffs=[3, 7])
    again = score_lists(result.lists, random_split, cutoffs=[7, 3], algorithm="Fixed")
    assert again.summary == result.summary
    assert again.protocol == result.protocol
    pd.testing.assert_frame_equal(again.per_user, result.per_user)
    shuffled = np.random.default_rng(0).permutation(len(result.lists))
    lists = result.lists
    moved = type(lists)(lists.users[shuffled], lists.items[shuffled], lists.scores[shuffled])
    assert score_lists(moved, random_split, cutoffs=[3]).summary["ndcg@3"] == result.summary["ndcg@3"]


@pytest.mark.filterwarnings("ignore:.*tie hash")
def test_what_stands_after_k_changes_nothing(random_split: Any, scores: Any, fixed: Any) -> None:
    longer = evaluate(fixed(scores), random_split, cutoffs=[3, 9]).summary
    shorter = evaluate(fixed(scores), random_split, cutoffs=[3]).summary
    assert {name: longer[name] for name in shorter if name.endswith("@3")} == {
        name: value for name, value in shorter.items() if name.endswith("@3")
    }


@pytest.mark.filterwarnings("ignore:.*tie hash")
def test_the_summary_is_the_mean_of_the_users_kept(random_split: Any, scores: Any, fixed: Any) -> None:
    result = evaluate(fixed(scores), random_split, metrics=EVERYTHING, relevance_threshold=4)
    assert result.summary["n_users_no_relevant"] > 0
    for name in result.metrics:
        assert result.summary[name] == pytest.approx(np.nanmean(result.per_user[name])), name
        assert result.per_user[name].dtype == np.float64
    assert result.per_user.index.name == "user"
    assert set(result.metrics).isdisjoint({"n_relevant", "list_length", "is_cold"})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_shuffled_rows_and_new_names_change_nothing(make_split: Any, fixed: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    users, items = np.divmod(rng.choice(8 * 9, 40, replace=False), 9)
    rows = [(f"u{u}", f"i{i}") for u, i in zip(users, items, strict=True)]
    every = [f"i{i}" for i in range(9)]
    split = make_split(rows[:25], rows[25:], items=every)
    scores = rng.permutation(split.train.n_users * 9).reshape(-1, 9)
    names = ["default", "auc"]
    first = evaluate(fixed(scores), split, cutoffs=[3], metrics=names, candidates="catalogue").summary
    order = rng.permutation(9)  # item i gets the name and the code order[i]
    names_of_users = sorted({user for user, _ in rows})
    turned = rng.permutation(len(names_of_users))  # user j gets the name and the code turned[j]
    renamed_user = {user: names_of_users[turned[code]] for code, user in enumerate(names_of_users)}
    new = [(renamed_user[user], f"i{order[int(item[1:])]}") for user, item in rows]
    shuffled = make_split(
        [new[i] for i in rng.permutation(25)], [new[25 + i] for i in rng.permutation(15)], items=every
    )
    renamed = evaluate(
        fixed(scores[np.argsort(turned)][:, np.argsort(order)]),
        shuffled,
        cutoffs=[3],
        metrics=names,
        candidates="catalogue",
    )
    assert renamed.summary == pytest.approx(first, nan_ok=True)


@pytest.mark.filterwarnings("ignore:k =")
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_pessimistic_ties_count_every_equal_candidate_as_better(
    make_split: Any, fixed: Any, seed: int, own_candidates: bool
) -> None:
    rng = np.random.default_rng(seed)
    split = make_split([("z", f"i{i}") for i in range(9)], [(f"u{u}", f"i{rng.integers(9)}") for u in range(6)])
    scores = rng.integers(0, 3, (7, 9)).astype(np.float32)
    allowed = rng.random((7, 9)) < 0.7 if own_candidates else np.ones((7, 9), dtype=bool)
    allowed[split.test.users, split.test.items] = True
    result = evaluate(
        fixed(scores),
        split,
        cutoffs=[9],
        metrics=["mrr"],
        candidates=sparse.csr_matrix(allowed) if own_candidates else "known",
        tie_policy="pessimistic",
        fit=False,
    )
    for user, item in zip(split.test.users, split.test.items, strict=True):
        rank = (scores[user, allowed[user]] >= scores[user, item]).sum()
        assert result.per_user.loc[user, "mrr@9"] == pytest.approx(1 / rank)
    filled = result.lists.items >= 0
    own = np.take_along_axis(scores[result.lists.users], np.maximum(result.lists.items, 0), axis=1)
    np.testing.assert_array_equal(result.lists.scores[filled], own[filled])


def test_the_tie_policy_is_part_of_the_protocol(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", "a"), ("z", "b")], [("u", "a")])
    hashes = set()
    for options in ({}, {"tie_policy": "pessimistic"}, {"tie_seed": 1}, {"exclude_seen": False}, {"cutoffs": [1, 2]}):
        options = {"cutoffs": [1], **options}
        hashes.add(evaluate(fixed([[1, 2]] * 2), split, **options).protocol["hash"])
    hashes.add(evaluate(fixed([[1, 2]] * 2), split, cutoffs=[1], relevance_threshold=1).protocol["hash"])
    assert len(hashes) == 6
    plain = evaluate(fixed([[1, 2]] * 2), split, cutoffs=[1], metrics=["map"])
    assert plain.protocol["hash"] in hashes  # which metrics are computed changes no number


def test_auc_is_over_unseen_candidates(make_split: Any, fixed: Any) -> None:
    split = make_split([*[("z", item) for item in "abcd"], ("u", "d")], [("u", "b"), ("v", "a"), ("v", "new")])
    result = evaluate(fixed([[1, 2, 3, 9, 9]] * 3), split, cutoffs=[1], metrics=["auc"])
    # u: b above a, below c. v: a below the three others; new is no candidate and counts as last
    assert result.per_user["auc"].tolist() == [0.5, 0.0]
    lucky = evaluate(fixed([[9, 2, 3, 1, 0]] * 3), split, cutoffs=[1], metrics=["auc"])
    assert lucky.per_user["auc"].tolist() == [0.0, 0.5]
    alone = make_split([("z", "a")], [("u", "new")])
    assert evaluate(fixed([[1, 1]] * 2), alone, cutoffs=[1], metrics=["auc"]).per_user["auc"].tolist() == [0.0]
    with pytest.raises(ValueError, match="auc needs the scores of all candidates"):
        score_lists(lucky.lists, split, cutoffs=[1], metrics=["auc"])


def test_graded_gains_are_the_ratings_of_relevant_items(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", item) for item in "abc"], [("u", "a", 2), ("u", "b", 5), ("u", "c", 4)])
    result = evaluate(fixed([[3, 1, 2]] * 2), split, cutoffs=[2], metrics=["ndcg_graded"], relevance_threshold=3)
    assert result.summary["ndcg_graded@2"] == pytest.approx((4 / np.log2(3)) / (5 + 4 / np.log2(3)))


def test_a_pair_that_occurs_twice_counts_once_with_its_best_rating(make_split: Any) -> None:
    split = make_split([("z", "a")], [("u", "a", 1), ("u", "a", 5), ("u", "b", 2)])
    relevant = relevant_items(split.test, 3)
    assert relevant.items.tolist() == [0]
    assert relevant.grades.tolist() == [5.0]
    assert relevant_items(split.test, None).n_relevant.tolist() == [2]


def test_names_with_a_cutoff_add_it_to_the_lists(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", item) for item in "abcdef"], [("u", "f")])
    result = evaluate(fixed([[6, 5, 4, 3, 2, 1]] * 2), split, cutoffs=[2], metrics=["ndcg", "recall@6"])
    assert result.metrics == ["ndcg@2", "recall@6"]
    assert result.summary["recall@6"] == 1
    assert result.lists.k == 6
    assert result.protocol["cutoffs"] == [2, 6]


def test_it_fits_only_when_asked_and_reports_what_it_cost(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", "a"), ("z", "b")], [("u", "a")])
    model = fixed([[1, 2]] * 2)
    result = evaluate(model, split, cutoffs=[1])
    assert model.n_fits_ == 1
    assert result.cost.fit_s >= 0
    assert result.cost.ms_per_user > 0
    assert result.cost.peak_rss_mb >= 0
    assert np.isnan(evaluate(model, split, cutoffs=[1], fit=False).cost.fit_s)
    assert model.n_fits_ == 1
    assert result.algorithm == "Fixed"
    assert result.parameters == {"scores": [[1, 2], [1, 2]]}
    assert (result.dataset_hash, result.split_hash) == ("data", "split")


def test_no_batch_is_larger_than_asked(make_split: Any) -> None:
    class Watched(Algorithm):
        largest = 0

        def fit(self, train: Interactions) -> Watched:
            return self

        def score(self, users: Any, histories: Any) -> Any:
            self.largest = max(self.largest, len(users))
            return np.tile(np.arange(histories.shape[1], dtype=np.float32), (len(users), 1))

    model = Watched()
    evaluate(
        model, make_split([("z", "a"), ("z", "b")], [(f"u{u}", "a") for u in range(10)]), cutoffs=[1], batch_size=4
    )
    assert model.largest == 4


@pytest.mark.filterwarnings("ignore:.*tie hash")
def test_random_and_constant_scorers_hit_by_chance_and_the_oracle_always(make_split: Any, fixed: Any) -> None:
    n_users, n_items, k = 1500, 40, 5
    rng = np.random.default_rng(8)
    train = [("z", f"i{item:02}") for item in range(n_items)]
    split = make_split(train, [(f"u{user}", f"i{rng.integers(n_items):02}") for user in range(n_users)])
    oracle = np.zeros((n_users + 1, n_items))
    oracle[split.test.users, split.test.items] = 1
    best = evaluate(fixed(oracle), split, cutoffs=[k]).summary
    assert [best[f"{name}@{k}"] for name in ("recall", "ndcg", "map", "mrr", "hit_rate")] == [1.0] * 5
    chance = k / n_items
    three_errors = 3 * np.sqrt(chance * (1 - chance) / n_users)
    random = evaluate(fixed(rng.random((n_users + 1, n_items))), split, cutoffs=[k]).summary
    assert random[f"recall@{k}"] == pytest.approx(chance, abs=three_errors)
    ids = split.train.catalogue.item_ids
    for order in (ids, ids[::-1], ids[rng.permutation(n_items)]):
        constant = evaluate(fixed(np.zeros((n_users + 1, n_items))), split, cutoffs=[k], candidates=order).summary
        assert constant[f"recall@{k}"] == pytest.approx(chance, abs=three_errors)


def test_codes_and_ids_name_the_same_candidates(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", 10), ("z", 20), ("z", 30)], [("u", 20)])
    by_code = evaluate(fixed([[1, 2, 3]] * 2), split, cutoffs=[1], candidates=np.array([1, 0], dtype=np.int32))
    by_id = evaluate(fixed([[1, 2, 3]] * 2), split, cutoffs=[1], candidates=[10, 20])
    assert by_code.protocol == by_id.protocol
    assert by_code.summary == by_id.summary
    assert by_code.summary["recall@1"] == 1
