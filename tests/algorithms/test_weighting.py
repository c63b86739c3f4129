"""TF-IDF and BM25 against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.algorithms.weighting import ones_like, term_weights

# documents × terms; document 1 stores a zero
COUNTS = sparse.csr_matrix(
    (np.array([4, 1, 0, 9, 1], dtype=np.float32), ([0, 0, 1, 1, 2], [0, 1, 0, 2, 2])), shape=(4, 3)
)


def test_tfidf_is_root_of_tf_times_log_inverse_frequency() -> None:
    weighted = term_weights(COUNTS, "tfidf").apply(COUNTS)
    idf = [math.log(4 / 3), math.log(4 / 2), math.log(4 / 3)]  # terms 0 and 2 stand in two documents, term 1 in one
    assert weighted[0, 0] == pytest.approx(2 * idf[0], rel=1e-6)
    assert weighted[0, 1] == pytest.approx(1 * idf[1], rel=1e-6)
    assert weighted[1, 2] == pytest.approx(3 * idf[2], rel=1e-6)
    assert weighted.nnz == COUNTS.nnz, "a stored zero stays stored"


def test_bm25_is_its_formula() -> None:
    weighted = term_weights(COUNTS, "bm25").apply(COUNTS)
    mean_length = (5 + 9 + 1 + 0) / 4
    expected = 4 * 2.2 / (4 + 1.2 * (0.25 + 0.75 * 5 / mean_length)) * math.log(4 / 3)
    assert weighted[0, 0] == pytest.approx(expected, rel=1e-6)


def test_a_term_in_every_document_weighs_nothing() -> None:
    matrix = sparse.csr_matrix(np.ones((3, 1), dtype=np.float32))
    assert term_weights(matrix, "tfidf").apply(matrix).toarray().max() == 0.0


def test_a_new_document_is_weighted_by_the_training_frequencies() -> None:
    weights = term_weights(COUNTS, "tfidf")
    new = sparse.csr_matrix(np.array([[0, 4, 0]], dtype=np.float32))
    assert weights.apply(new)[0, 1] == pytest.approx(2 * math.log(2), rel=1e-6)


def test_negative_values_are_refused() -> None:
    matrix = sparse.csr_matrix(np.array([[-2.0, 1.0]], dtype=np.float32))
    with pytest.raises(ValueError, match=r"tfidf.*found -2\.0"):
        term_weights(matrix, "tfidf").apply(matrix)
    assert term_weights(matrix, "none").apply(matrix) is matrix


def test_ones_like_keeps_stored_zeros() -> None:
    assert ones_like(COUNTS).data.tolist() == [1.0] * 5
