"""The one top-k: equal to a full sort, blind to positions at ties, honest about faulty scores."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.algorithms.top_k import top_k
from recsys_lab.data.ranked_lists import RankedLists


def _users(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int32)


def _by_sorting(scores: np.ndarray, k: int, excluded: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The oracle for scores without ties: mask, sort everything, cut."""
    masked = np.where(excluded | ~allowed, -np.inf, scores)
    order = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    items = np.where(np.take_along_axis(masked, order, axis=1) == -np.inf, -1, order)
    return np.pad(items, ((0, 0), (0, k - items.shape[1])), constant_values=-1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), n_items=st.integers(1, 30), k=st.integers(1, 40))
def test_equals_a_full_sort(seed: int, n: int, n_items: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(n_items, dtype=np.float32), (n, 1)), axis=1)  # no ties within a row
    scores[rng.random((n, n_items)) < 0.1] = -np.inf
    excluded = rng.random((n, n_items)) < 0.3
    exclude = sparse.csr_matrix(excluded.astype(np.float32))
    allowed = rng.random((n, n_items)) < 0.7
    before = scores.copy()

    everything = np.ones_like(allowed)
    assert (
        top_k(scores, k, users=_users(n), exclude=exclude).items == _by_sorting(scores, k, excluded, everything)
    ).all()
    own = sparse.csr_matrix(allowed.astype(np.float32))
    got = top_k(scores, k, users=_users(n), exclude=exclude, candidates=own)
    assert (got.items == _by_sorting(scores, k, excluded, allowed)).all()
    codes = np.flatnonzero(allowed[0]).astype(np.int32)
    got = top_k(scores, k, users=_users(n), candidates=rng.permutation(codes))
    assert (got.items == _by_sorting(scores, k, np.zeros_like(excluded), np.tile(allowed[0], (n, 1)))).all()
    assert (scores == before).all(), "the scores were written into"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 3), k=st.integers(1, 12))
def test_ties_follow_the_hash_not_the_position(seed: int, levels: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (4, 20)).astype(np.float32)
    lists = top_k(scores, k, users=_users(4), tie_seed=seed)
    longer = top_k(scores, 20, users=_users(4), tie_seed=seed)
    assert (longer.items[:, :k] == lists.items).all(), "a longer list begins with the shorter one"
    ordered = np.sort(scores, axis=1)[:, ::-1]
    assert (lists.tied_at_cutoff == (ordered[:, k - 1] == ordered[:, k])).all()


def test_the_order_of_candidates_changes_nothing() -> None:
    scores = np.zeros((3, 50), dtype=np.float32)
    forwards = top_k(scores, 10, users=_users(3), candidates=np.arange(50, dtype=np.int32))
    backwards = top_k(scores, 10, users=_users(3), candidates=np.arange(50, dtype=np.int32)[::-1])
    assert (forwards.items == backwards.items).all()


def test_tied_items_are_listed_equally_often() -> None:
    lists = top_k(np.zeros((4000, 20), dtype=np.float32), 5, users=_users(4000))
    counts = np.bincount(lists.items.ravel(), minlength=20)
    # 4000 · 5 / 20 = 1000 expected; the standard deviation of a count is about 27
    assert abs(counts - 1000).max() < 5 * 27.4


def test_another_seed_breaks_ties_differently() -> None:
    scores = np.zeros((5, 100), dtype=np.float32)
    first, second = (top_k(scores, 10, users=_users(5), tie_seed=seed).items for seed in (0, 1))
    assert (first != second).any()


def test_an_explicit_zero_in_the_history_is_still_history() -> None:
    history = sparse.csr_matrix((np.zeros(1, np.float32), np.array([2]), np.array([0, 1])), shape=(1, 3))
    lists = top_k(np.array([[1, 2, 3]], dtype=np.float32), 3, users=_users(1), exclude=history)
    assert lists.items.tolist() == [[1, 0, -1]]


def test_a_user_with_everything_seen_gets_an_empty_list() -> None:
    history = sparse.csr_matrix(np.ones((1, 3), dtype=np.float32))
    lists = top_k(np.ones((1, 3), dtype=np.float32), 2, users=_users(1), exclude=history)
    assert lists.items.tolist() == [[-1, -1]]
    assert np.isneginf(lists.scores).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_faulty_scores_are_named(value: float) -> None:
    scores = np.zeros((2, 4), dtype=np.float32)
    scores[1, 3] = value
    with pytest.raises(ValueError, match=r"user 7, item 3: the score is (nan|inf)"):
        top_k(scores, 2, users=np.array([5, 7], dtype=np.int32))


def test_wrong_shapes_are_refused() -> None:
    scores = np.zeros((2, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="at least 1"):
        top_k(scores, 0, users=_users(2))
    with pytest.raises(ValueError, match="2 rows of scores"):
        top_k(scores, 1, users=_users(3))
    with pytest.raises(ValueError, match=r"exclude has shape \(1, 4\)"):
        top_k(scores, 1, users=_users(2), exclude=sparse.csr_matrix((1, 4)))
    with pytest.raises(ValueError, match=r"item codes 0 ... 3; found 1 ... 4"):
        top_k(scores, 1, users=_users(2), candidates=np.array([1, 4], dtype=np.int32))


def test_the_lists_do_not_depend_on_the_batch() -> None:
    scores = np.random.default_rng(0).integers(0, 3, (30, 40)).astype(np.float32)
    whole = top_k(scores, 6, users=_users(30))
    parts = [top_k(scores[i : i + 7], 6, users=_users(30)[i : i + 7]) for i in range(0, 30, 7)]
    assert isinstance(whole, RankedLists)
    assert (whole.items == np.concatenate([part.items for part in parts])).all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_items=st.sampled_from([31, 32, 33, 64, 200]),
    levels=st.sampled_from([1, 2, 9, 10**6]),
    k=st.sampled_from([1, 2, 6, 20, 210]),
    shift=st.sampled_from([-5.0, 0.0, 3.0]),
)
def test_lists_over_many_blocks_are_the_head_of_the_whole_order(
    seed: int, n_items: int, levels: int, k: int, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-levels, levels, (3, n_items)) + shift).astype(np.float32)
    scores[rng.random((3, n_items)) < 0.2] = -np.inf
    excluded = sparse.csr_matrix((rng.random((3, n_items)) < 0.3).astype(np.float32))
    allowed = np.flatnonzero(rng.random(n_items) < 0.8).astype(np.int32)
    own = sparse.csr_matrix(np.tile(np.isin(np.arange(n_items), allowed), (3, 1)).astype(np.float32))
    for candidates in (None, allowed, own):
        lists = top_k(scores, k, users=_users(3), exclude=excluded, candidates=candidates, tie_seed=seed)
        whole = top_k(scores, n_items, users=_users(3), exclude=excluded, candidates=candidates, tie_seed=seed)
        wide = np.pad(whole.items, ((0, 0), (0, max(0, k - n_items))), constant_values=-1)
        assert (lists.items == wide[:, :k]).all()
        listed = np.ones(n_items, dtype=bool) if candidates is None else np.isin(np.arange(n_items), allowed)
        masked = np.where(listed & (excluded.toarray() == 0), scores, -np.inf)
        ordered = np.sort(masked, axis=1)[:, ::-1]
        assert (whole.scores == ordered).all()
        after = ordered[:, k] if k < n_items else np.full(3, -np.inf)
        last = ordered[:, min(k, n_items) - 1]
        assert (lists.tied_at_cutoff == ((last == after) & np.isfinite(after))).all()


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf])
def test_the_first_fault_is_found_in_any_block_and_under_the_mask(value: float) -> None:
    scores = np.tile(np.arange(100, dtype=np.float32)[::-1], (2, 1))
    scores[1, [70, 99]] = value
    exclude = sparse.csr_matrix((np.ones(1, np.float32), ([1], [70])), shape=(2, 100))
    for mask in (None, exclude):
        with pytest.raises(ValueError, match="user 1, item 70"):
            top_k(scores, 2, users=_users(2), exclude=mask)
    fine = np.arange(70, dtype=np.int32)
    assert top_k(scores, 2, users=_users(2), candidates=fine).items.tolist() == [[0, 1], [0, 1]]


def test_one_thread_lists_what_two_do() -> None:
    scores = np.random.default_rng(1).integers(0, 20, (50, 300)).astype(np.float32)
    before = numba.get_num_threads()
    many = top_k(scores, 10, users=_users(50))
    numba.set_num_threads(1)
    try:
        one = top_k(scores, 10, users=_users(50))
    finally:
        numba.set_num_threads(before)
    assert (one.items == many.items).all()
