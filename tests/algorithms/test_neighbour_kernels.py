"""The selection of neighbours against a sort; dot products of all rows at once against those of one row at a time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.algorithms import kernels, similarity
from recsys_lab.algorithms.selection import largest_positive
from recsys_lab.algorithms.similarity import neighbour_matrix, parts, vectors
from recsys_lab.algorithms.top_k import _tie_hash

SIMILARITIES = ("cosine", "jaccard", "dice", "tversky", "asymmetric_cosine")


@numba.njit
def tie_hash(asker: int, code: int) -> Any:
    """The hash as the kernels see it."""
    return _tie_hash(np.uint64(0), asker, code)


def by_sorting(scores: np.ndarray, codes: np.ndarray, asker: int, k: int) -> set[int]:
    """The places kept: falling score, then rising hash."""
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], tie_hash(asker, codes[place])))
    return {place for place in order[:k] if scores[place] > 0}


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 40),
    k=st.integers(1, 12),
    levels=st.sampled_from([1, 2, 5, 1000]),
    scale=st.sampled_from([1e-44, 1e-3, 1.0, 1e35]),
)
def test_the_k_largest_are_those_of_a_sort(seed: int, n: int, k: int, levels: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-1, levels + 1, n) * scale).astype(np.float32)
    scores[rng.random(n) < 0.1] = -0.0
    codes = rng.permutation(100)[:n].astype(np.int32)
    places = np.full(k, -1, dtype=np.int64)
    size = largest_positive(scores, codes, 7, places)
    assert set(places[:size].tolist()) == by_sorting(scores, codes, 7, k)
    assert len(set(places[:size].tolist())) == size
    assert (places[size:] == -1).all()


def test_infinity_is_the_largest() -> None:
    places = np.full(1, -1, dtype=np.int64)
    scores = np.array([1, np.inf, -np.inf], dtype=np.float32)
    assert largest_positive(scores, np.arange(3, dtype=np.int32), 0, places) == 1
    assert places[0] == 1


def ratings(seed: int, n: int, m: int, density: float, unit: float) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    stored = rng.random((n, m)) < density
    values = rng.integers(-3, 8, stored.sum()) * unit
    return sparse.csr_matrix((values.astype(np.float32), np.nonzero(stored)), shape=(n, m))


@pytest.mark.parametrize("name", SIMILARITIES)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.sampled_from([1, 2, 15, 16, 17, 50]),
    density=st.sampled_from([0.0, 0.1, 0.8]),
    unit=st.sampled_from([1.0, 0.5, 0.25]),
    k=st.sampled_from([1, 4, 60]),
)
def test_all_at_once_and_one_at_a_time_agree(name: Any, seed: int, n: int, density: float, unit: float, k: int) -> None:
    space = vectors(ratings(seed, n, 9, density, unit), name, shrinkage=1.0, alpha=0.3, beta=0.9)
    assert similarity._fits_a_gram_matrix(space, min(k, n))
    at_once = neighbour_matrix(space, k)
    one_by_one = neighbour_matrix(space, k, rows=np.arange(n, dtype=np.int32))
    for name_of in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(at_once, name_of), getattr(one_by_one, name_of))


def test_sums_that_float32_cannot_hold_are_left_to_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = sparse.csr_matrix(np.ones((3, 4), dtype=np.float32))
    assert similarity._fits_a_gram_matrix(vectors(ones, "cosine"), 2)
    assert not similarity._fits_a_gram_matrix(vectors(ones, "pearson"), 2), "needs more than dot products"
    assert similarity._fits_a_gram_matrix(vectors(ones * np.float32(2047), "cosine"), 2)
    assert not similarity._fits_a_gram_matrix(vectors(ones * np.float32(2048), "cosine"), 2), "4 · 2048² = 2**24"
    for value in (0.1, 0.125, np.nan):
        assert not similarity._fits_a_gram_matrix(vectors(ones * np.float32(value), "cosine"), 2)
    monkeypatch.setattr(similarity, "BLOCK_BYTES", 3 * 4 * 3 - 1)
    assert not similarity._fits_a_gram_matrix(vectors(ones, "cosine"), 1), "the matrix is too large"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.sampled_from([1, 7, 40]), threads=st.sampled_from([1, 2, 5]))
def test_the_gram_matrix_is_the_product(seed: int, n: int, threads: int) -> None:
    rows = ratings(seed, 30, n, 0.4, 0.5)
    gram = kernels.gram_upper(*parts(rows.T.tocsr()), *parts(rows), threads)
    np.testing.assert_array_equal(gram, np.triu((rows.T @ rows).toarray()))


def test_threads_change_nothing() -> None:
    spaces = [vectors(ratings(3, 100, 30, 0.3, unit), "cosine") for unit in (1.0, 0.3)]  # at once, one at a time
    before = numba.get_num_threads()
    if before == 1:
        pytest.skip("needs two threads")
    two = [neighbour_matrix(space, 6) for space in spaces]
    numba.set_num_threads(1)
    try:
        one = [neighbour_matrix(space, 6) for space in spaces]
    finally:
        numba.set_num_threads(before)
    for ours, other in zip(one, two, strict=True):
        np.testing.assert_array_equal(ours.toarray(), other.toarray())
