"""Metrics on drawn candidates: what is drawn, what they are worth, and where they are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.comparison import compare
from recsys_lab.data.interactions import Interactions
from recsys_lab.evaluation import evaluate, score_lists
from recsys_lab.evaluation.sampled import relevant_among, sample_others
from recsys_lab.leaderboard.table import Entry, build_table

NAMES = ["hit_rate", "recall", "precision", "mrr", "map", "ndcg"]


def matrix(rows: list[list[int]], n_items: int) -> sparse.csr_matrix:
    """CSR of ones at the given columns of each row."""
    owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    columns = np.concatenate([np.asarray(row, dtype=int) for row in rows])
    return sparse.csr_matrix((np.ones(len(columns), np.float32), (owners, columns)), shape=(len(rows), n_items))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_what_is_drawn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    n_users, n_items = 5, 12
    relevant = matrix([list(rng.choice(n_items, 2, replace=False)) for _ in range(n_users)], n_items)
    seen = matrix([list(rng.choice(n_items, 3, replace=False)) for _ in range(n_users)], n_items)
    shared = np.sort(rng.choice(n_items, 9, replace=False)).astype(np.int32)
    users = np.arange(n_users, dtype=np.int32)
    drawn = sample_others(users, relevant, shared, seen, n, seed)
    for row in range(n_users):
        open_to = set(shared) - set(relevant[row].indices) - set(seen[row].indices)
        assert set(drawn[row].indices) <= open_to
        assert drawn[row].nnz == min(n, len(open_to))
        assert set(relevant_among(relevant, shared)[row].indices) == set(shared) & set(relevant[row].indices)
    order = rng.permutation(n_users)  # who is asked together, and in what order, changes nobody's candidates
    turned = sample_others(users[order], relevant[order], shared[rng.permutation(9)], seen[order], n, seed)
    assert (turned != drawn[order]).nnz == 0
    own = matrix([list(shared)] * n_users, n_items)
    assert (sample_others(users, relevant, own, seen, n, seed) != drawn).nnz == 0


def test_every_item_is_drawn_equally_often() -> None:
    n_users, n_items, n = 4000, 20, 5
    nothing = sparse.csr_matrix((n_users, n_items), dtype=np.float32)
    users = np.arange(n_users, dtype=np.int32)
    drawn = sample_others(users, nothing, np.arange(n_items, dtype=np.int32), None, n, seed=1)
    counts = np.asarray(drawn.sum(axis=0)).ravel()
    expected = n_users * n / n_items
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected * (1 - n / n_items))  # 4 standard deviations


@pytest.fixture(scope="module")
def random_split(make_split: Any) -> Any:
    rng = np.random.default_rng(3)
    pairs = pd.DataFrame({"user_id": rng.integers(0, 40, 700), "item_id": rng.integers(0, 60, 700)}).drop_duplicates()
    data = Interactions.from_frame(pairs, rating=None, timestamp=None)
    split = make_split([("z", "z")], [("z", "z")])
    split.train = split.history = data.select(np.arange(len(data)) % 3 > 0)
    split.test = data.select(np.arange(len(data)) % 3 == 0)
    return split


@pytest.fixture(scope="module")
def scores(random_split: Any) -> Any:
    return np.random.default_rng(4).normal(size=(random_split.train.n_users, random_split.train.n_items))


@pytest.mark.parametrize("policy", ["hash", "pessimistic"])
@pytest.mark.filterwarnings("ignore:sampled metrics", "ignore:.*tie hash")
def test_with_as_many_as_there_are_it_is_the_full_number(
    random_split: Any, scores: Any, fixed: Any, policy: Any
) -> None:
    options = {"cutoffs": [3, 10], "metrics": [f"sampled_{name}[n=1000]" for name in NAMES], "tie_policy": policy}
    result = evaluate(fixed(np.round(scores)), random_split, **options)
    for name in NAMES:
        for k in (3, 10):
            full = result.per_user[f"{name}@{k}"]
            pd.testing.assert_series_equal(result.per_user[f"sampled_{name}@{k}[n=1000]"], full, check_names=False)


@pytest.mark.filterwarnings("ignore:sampled metrics")
def test_against_ranks_counted_one_by_one(random_split: Any, scores: Any, fixed: Any) -> None:
    result = evaluate(fixed(scores), random_split, cutoffs=[2], metrics=["sampled_hit_rate@2[n=7]"])
    assert list(result.metrics) == ["sampled_hit_rate@2[n=7]", "hit_rate@2"]
    histories = random_split.history.matrix
    known = np.flatnonzero(random_split.train.item_popularity > 0).astype(np.int32)
    right = sparse.csr_matrix(random_split.test.matrix)
    for user, value in result.per_user["sampled_hit_rate@2[n=7]"].items():
        one = np.array([user], dtype=np.int32)
        others = sample_others(one, right[one], known, histories[one], 7, 0).indices
        own = np.intersect1d(right[one].indices, known)
        own = np.setdiff1d(own, histories[one].indices)
        best = np.sort(scores[user, np.concatenate([own, others])])[::-1][:2]
        assert value == float(np.isin(scores[user, own], best).any())


@pytest.mark.filterwarnings("ignore:sampled metrics")
def test_neither_batches_nor_the_order_of_rows_matter(random_split: Any, scores: Any, fixed: Any) -> None:
    name = "sampled_ndcg@5[n=9]"
    once = evaluate(fixed(scores), random_split, cutoffs=[5], metrics=[name])
    again = evaluate(fixed(scores), random_split, cutoffs=[5], metrics=[name], batch_size=7)
    pd.testing.assert_frame_equal(once.per_user, again.per_user)
    other_seed = evaluate(fixed(scores), random_split, cutoffs=[5], metrics=[name], tie_seed=1)
    assert not once.per_user[name].equals(other_seed.per_user[name])
    pd.testing.assert_series_equal(once.per_user["ndcg@5"], other_seed.per_user["ndcg@5"])
    turned = random_split
    before = turned.test
    turned.test = before.select(np.arange(len(before))[::-1])
    try:
        shuffled = evaluate(fixed(scores), turned, cutoffs=[5], metrics=[name])
    finally:
        turned.test = before
    pd.testing.assert_frame_equal(once.per_user, shuffled.per_user)


def test_the_easier_task_is_never_alone_and_never_decides(random_split: Any, scores: Any, fixed: Any) -> None:
    model = fixed(scores)
    with pytest.warns(UserWarning, match="sampled metrics rank against drawn candidates"):
        result = evaluate(model, random_split, cutoffs=[5], metrics=["sampled_hit_rate"])
    name = "sampled_hit_rate@5[n=99]"
    assert set(result.metrics) == {name, "hit_rate@5"}
    assert result.summary[name] >= result.summary["hit_rate@5"]
    assert any("Krichene" in note for note in result.warnings)
    with pytest.raises(ValueError, match="stands in no leaderboard; use 'hit_rate@5'"):
        compare({"one": result, "two": result}, name)
    with pytest.raises(ValueError, match="stands in no leaderboard"):
        compare({"one": result, "two": result}, name, higher_is_better=True)
    with pytest.raises(ValueError, match="stands in no leaderboard"):
        build_table([Entry("one", "classical", result)], primary=name)
    with pytest.raises(ValueError, match=r"sampled_hit_rate@5\[n=99\] needs the scores of all candidates"):
        score_lists(result.lists, random_split, cutoffs=[5], metrics=["sampled_hit_rate"])
