"""Similarities against a plain reading of their formulas; neighbours against a sort of all similarities."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys_lab.algorithms import similarity
from recsys_lab.algorithms.similarity import Similarity, neighbour_matrix, row_means, vectors


def random_ratings(seed: int, n: int = 14, m: int = 11, density: float = 0.5) -> sparse.csr_matrix:
    """Ratings 0 ... 5 with stored zeros."""
    rng = np.random.default_rng(seed)
    stored = rng.random((n, m)) < density
    rows, columns = np.nonzero(stored)
    values = rng.integers(0, 6, len(rows)).astype(np.float32)
    return sparse.csr_matrix((values, (rows, columns)), shape=(n, m))


def as_dicts(matrix: sparse.csr_matrix) -> list[dict[int, float]]:
    """For each row the stored entries by column, zeros included."""
    return [
        dict(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist()))
        for a, b in zip(matrix.indptr[:-1], matrix.indptr[1:])
    ]


def pearson(u: dict[int, float], v: dict[int, float]) -> float:
    """The project's user-user formula, word for word: r̄ over ALL ratings, sums over the items both rated."""
    both = set(u) & set(v)
    mean_u, mean_v = (sum(r.values()) / len(r) if r else 0.0 for r in (u, v))
    above = sum((u[i] - mean_u) * (v[i] - mean_v) for i in both)
    below = math.sqrt(sum((u[i] - mean_u) ** 2 for i in both)) * math.sqrt(sum((v[i] - mean_v) ** 2 for i in both))
    return above / below if below else 0.0


def cosine(i: dict[int, float], j: dict[int, float]) -> float:
    """The project's content formula, word for word."""
    above = sum(i[k] * j[k] for k in set(i) & set(j))
    below = math.sqrt(sum(w * w for w in i.values())) * math.sqrt(sum(w * w for w in j.values()))
    return above / below if below else 0.0


def jaccard(i: dict[int, float], j: dict[int, float]) -> float:
    return len(set(i) & set(j)) / len(set(i) | set(j)) if i or j else 0.0


FORMULAS = {"pearson": pearson, "cosine": cosine, "jaccard": jaccard}


def brute_force(matrix: sparse.csr_matrix, name: str) -> np.ndarray:
    """All similarities above 0 as a dense matrix, 0 on the diagonal."""
    rows = as_dicts(matrix)
    dense = np.array([[FORMULAS[name](u, v) for v in rows] for u in rows])
    np.fill_diagonal(dense, 0.0)
    return np.where(dense > 1e-9, dense, 0.0)


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), density=st.sampled_from([0.05, 0.3, 0.9]))
def test_every_similarity_is_its_formula(name: Similarity, seed: int, density: float) -> None:
    matrix = random_ratings(seed, density=density)
    found = neighbour_matrix(vectors(matrix, name, epsilon=0.0), k=50).toarray()
    np.testing.assert_allclose(found, brute_force(matrix, name), atol=1e-6)


def test_pearson_by_hand() -> None:
    # means over all ratings: u (1 + 5 + 3) / 3 = 3, v (2 + 4) / 2 = 3; shared are the columns 0 and 1
    matrix = sparse.csr_matrix((np.array([1.0, 5, 3, 2, 4], dtype=np.float32), ([0, 0, 0, 1, 1], [0, 1, 2, 0, 1])))
    found = neighbour_matrix(vectors(matrix, "pearson"), k=1).toarray()
    # ((-2)(-1) + 2 · 1) / (sqrt(4 + 4) sqrt(1 + 1)) = 1
    np.testing.assert_allclose(found, [[0, 1], [1, 0]], atol=1e-7)


def test_pearson_takes_the_mean_of_all_ratings_not_of_the_shared_ones() -> None:
    rows = np.array([[1, 2, 5], [1, 2, np.nan]])
    filled = np.isfinite(rows)
    matrix = sparse.csr_matrix((rows[filled].astype(np.float32), np.nonzero(filled)))
    # r̄_u = 8/3, r̄_v = 1.5: deviations (-5/3, -2/3) and (-.5, .5)
    expected = (5 / 3 * 0.5 - 2 / 3 * 0.5) / (math.hypot(5 / 3, 2 / 3) * math.hypot(0.5, 0.5))
    assert neighbour_matrix(vectors(matrix, "pearson"), k=1)[0, 1] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", FORMULAS)
def test_shrinkage_is_added_to_the_denominator(name: Similarity) -> None:
    matrix = random_ratings(3)
    rows = as_dicts(matrix)
    plain = brute_force(matrix, name)
    shrunk = neighbour_matrix(vectors(matrix, name, shrinkage=7.0, epsilon=0.0), k=50).toarray()
    u, v = np.argwhere(plain > 0)[0]
    if name == "jaccard":
        below = float(len(set(rows[u]) | set(rows[v])))
    elif name == "cosine":
        below = float(np.prod([math.sqrt(sum(w * w for w in rows[x].values())) for x in (u, v)]))
    else:
        means, both = row_means(matrix), set(rows[u]) & set(rows[v])
        below = float(np.prod([math.sqrt(sum((rows[x][i] - means[x]) ** 2 for i in both)) for x in (u, v)]))
    assert shrunk[u, v] == pytest.approx(plain[u, v] * below / (below + 7.0), rel=1e-5)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("k", [1, 3, 50])
def test_the_k_best_are_kept(name: Similarity, k: int) -> None:
    matrix = random_ratings(11)
    everything = brute_force(matrix, name)
    kept = neighbour_matrix(vectors(matrix, name, epsilon=0.0), k=k).toarray()
    for row in range(len(everything)):
        best = np.sort(everything[row])[::-1][:k]
        np.testing.assert_allclose(np.sort(kept[row])[::-1][:k], best, atol=1e-6)
        assert np.count_nonzero(kept[row]) == np.count_nonzero(best)


def test_ties_do_not_go_to_the_first_codes() -> None:
    matrix = sparse.csr_matrix(np.ones((200, 1), dtype=np.float32))  # everyone is like everyone
    kept = neighbour_matrix(vectors(matrix, "cosine"), k=10)
    assert np.bincount(kept.indices, minlength=200).max() < 40
    assert 60 < kept.indices.mean() < 140


def test_blocks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = random_ratings(5, n=60, m=40)
    for name in FORMULAS:
        whole = neighbour_matrix(vectors(matrix, name), k=7)
        monkeypatch.setattr(similarity, "BLOCK_BYTES", 7 * 8 * 13)
        before = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            blocks = neighbour_matrix(vectors(matrix, name), k=7)
        finally:
            numba.set_num_threads(before)
        monkeypatch.undo()
        np.testing.assert_array_equal(blocks.toarray(), whole.toarray())


def test_queries_find_themselves_unless_they_say_who_they_are() -> None:
    matrix = random_ratings(8)
    space = vectors(matrix, "cosine", epsilon=0.0)
    own = np.arange(14, dtype=np.int32)
    np.testing.assert_array_equal(
        neighbour_matrix(space, 5, queries=matrix, own=own).toarray(), neighbour_matrix(space, 5).toarray()
    )
    assert neighbour_matrix(space, 1, queries=matrix[3])[0, 3] == pytest.approx(1.0)


def test_a_row_without_entries_has_no_neighbours() -> None:
    matrix = sparse.csr_matrix((np.ones(2, dtype=np.float32), ([0, 2], [0, 0])), shape=(3, 2))
    for name in FORMULAS:
        assert neighbour_matrix(vectors(matrix, name), k=2)[1].nnz == 0


def tversky(i: dict[int, float], j: dict[int, float], alpha: float, beta: float) -> float:
    both, only_i, only_j = len(set(i) & set(j)), len(set(i) - set(j)), len(set(j) - set(i))
    return both / (both + alpha * only_i + beta * only_j) if both else 0.0


def asymmetric(i: dict[int, float], j: dict[int, float], alpha: float) -> float:
    above = sum(i[k] * j[k] for k in set(i) & set(j))
    lengths = [sum(w * w for w in x.values()) for x in (i, j)]
    return above / (lengths[0] ** alpha * lengths[1] ** (1 - alpha)) if above else 0.0


def adjusted(matrix: sparse.csr_matrix, u: int, v: int) -> float:
    """Cosine of all entries less the mean of their column."""
    means = row_means(matrix.T.tocsr())
    i, j = ({k: r - means[k] for k, r in as_dicts(matrix)[x].items()} for x in (u, v))
    return cosine(i, j)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.0, 0.3, 0.5, 1.7]), beta=st.sampled_from([0.0, 0.4, 2.0]))
def test_one_sided_similarities_are_asked_from_the_row(seed: int, alpha: float, beta: float) -> None:
    matrix = random_ratings(seed)
    rows = as_dicts(matrix)
    options = {"epsilon": 0.0, "alpha": alpha, "beta": beta}
    expected = {
        "tversky": np.array([[tversky(i, j, alpha, beta) for j in rows] for i in rows]),
        "dice": np.array([[tversky(i, j, 0.5, 0.5) for j in rows] for i in rows]),
        "asymmetric_cosine": np.array([[asymmetric(i, j, alpha) for j in rows] for i in rows]),
    }
    for name, dense in expected.items():
        np.fill_diagonal(dense, 0.0)
        space = vectors(matrix, name, **options)
        np.testing.assert_allclose(neighbour_matrix(space, 50).toarray(), dense, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(neighbour_matrix(space.reversed, 50).toarray(), dense.T, rtol=1e-5, atol=1e-6)


def test_adjusted_cosine_takes_the_mean_of_each_column() -> None:
    for seed in range(5):
        matrix = random_ratings(seed, density=0.6)
        dense = np.array([[adjusted(matrix, u, v) if u != v else 0.0 for v in range(14)] for u in range(14)])
        space = vectors(matrix, "adjusted_cosine", epsilon=0.0)
        np.testing.assert_allclose(neighbour_matrix(space, 50).toarray(), np.maximum(dense, 0.0), atol=1e-6)
        own = np.arange(14, dtype=np.int32)
        asked = neighbour_matrix(space, 50, queries=matrix, own=own)
        np.testing.assert_array_equal(asked.toarray(), neighbour_matrix(space, 50).toarray())


@pytest.mark.parametrize(("name", "twin"), [("asymmetric_cosine", "cosine"), ("tversky", "dice")])
def test_defaults_are_the_symmetric_form(name: Similarity, twin: Similarity) -> None:
    matrix = random_ratings(2)
    found, expected = (neighbour_matrix(vectors(matrix, kind, shrinkage=3.0), 5).toarray() for kind in (name, twin))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
