"""Diversity and calibration against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.metrics import diversity


def lists(seed: int, n: int, k: int, n_items: int) -> np.ndarray:
    """Lists of different length, each item once."""
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(n_items)[:k] for _ in range(n)]).astype(np.int32)
    items[np.arange(k) >= rng.integers(0, k + 1, n)[:, None]] = -1
    return items


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_intra_list_diversity_is_the_mean_over_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.integers(0, 3, (9, 4)) * rng.integers(0, 2, (9, 4))
    items = lists(seed, 5, 4, 9)
    cosine = diversity.intra_list_diversity(items, sparse.csr_matrix(dense.astype(np.float32)))
    jaccard = diversity.intra_list_diversity_jaccard(items, sparse.csr_matrix(dense.astype(np.float32)))
    for row, listed in enumerate(items):
        pairs = list(combinations(listed[listed >= 0], 2))
        if not pairs:
            assert np.isnan([cosine[row], jaccard[row]]).all()
            continue
        distances, overlaps = [], []
        for a, b in pairs:
            norm = np.linalg.norm(dense[a]) * np.linalg.norm(dense[b])
            distances.append(1 - dense[a] @ dense[b] / norm if norm else 1.0)
            union = ((dense[a] > 0) | (dense[b] > 0)).sum()
            overlaps.append(1 - ((dense[a] > 0) & (dense[b] > 0)).sum() / union if union else 1.0)
        assert cosine[row] == pytest.approx(np.mean(distances), abs=1e-7)
        assert jaccard[row] == pytest.approx(np.mean(overlaps))


def test_blocks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = sparse.random(30, 12, 0.3, format="csr", random_state=0, dtype=np.float32)
    items = lists(1, 50, 6, 30)
    whole = diversity.intra_list_diversity(items, features)
    pairs = diversity.inter_list_diversity(items, np.ones(30, dtype=np.int64))
    monkeypatch.setattr(diversity, "BLOCK", 7)
    np.testing.assert_array_equal(diversity.intra_list_diversity(items, features), whole)
    assert diversity.inter_list_diversity(items, np.ones(30, dtype=np.int64)) == pytest.approx(pairs)


def test_inter_list_diversity_over_all_pairs_and_over_drawn_ones() -> None:
    popularity = np.ones(40, dtype=np.int64)
    items = lists(2, 60, 5, 40)
    served = [set(row[row >= 0]) for row in items if row[0] >= 0]
    expected = 1 - np.mean([len(a & b) / 5 for a, b in combinations(served, 2)])
    assert diversity.inter_list_diversity(items, popularity) == pytest.approx(expected)
    many = np.tile(np.arange(5, dtype=np.int32), (600, 1))
    assert diversity.inter_list_diversity(many, popularity) == 0
    many[::2] += 5  # two kinds of list: two different users differ with a probability of about a half
    drawn = diversity.inter_list_diversity(many, popularity)
    assert drawn == diversity.inter_list_diversity(many, popularity)
    assert drawn == pytest.approx(0.5, abs=0.02)  # four standard errors of 10,000 pairs
    assert np.isnan(diversity.inter_list_diversity(many[:1], popularity))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_calibration_is_0_only_for_equal_shares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(4), 6), rng.dirichlet(np.ones(4), 6)
    p[:, 0] = 0
    p /= p.sum(axis=1, keepdims=True)
    values = diversity.kl_divergence(p, q)
    assert (values > 0).all()
    np.testing.assert_allclose(diversity.kl_divergence(p, p), 0, atol=1e-12)
    assert (values <= np.log(100)).all()


def test_calibration_is_null_without_genres_on_either_side() -> None:
    weights = np.array([[0.5, 0.5], [0.0, 0.0]])
    items = np.array([[0], [1], [-1], [0]], dtype=np.int32)
    profiles = np.array([[2.0, 2.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(diversity.calibration_kl(items, weights, profiles), [0, np.nan, np.nan, np.nan])
