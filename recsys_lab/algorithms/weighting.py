"""Weights of the entries of a sparse matrix whose rows are documents and whose columns are terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms.base import require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.similarity import row_sums
from recsys_lab.data.interactions import Float64

Weighting: TypeAlias = Literal["none", "tfidf", "bm25"]
BM25_SATURATION, BM25_LENGTH = 1.2, 0.75  # k1 and b (Robertson and Zaragoza, 2009)


@dataclass(frozen=True, eq=False)
class TermWeights:
    """What a weighting learnt from the training documents, so that a new document is weighted like them.

    tfidf   sqrt(tf) log(n / (1 + df))
    bm25    tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)) log(n / (1 + df))

    n documents, df documents that hold the term; a logarithm below 0 (a term in every document) counts as 0.
    These are the definitions of Ferrari Dacrema et al. (TOIS 2021).
    """

    stored: ClassVar[Layout] = {"weighting": "text", "inverse_frequency": "float64 terms", "mean_length": "number"}

    weighting: Weighting
    inverse_frequency: Float64  # (n_terms,)
    mean_length: float  # mean sum of a training document's entries

    def apply(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        """Weighted documents: float32 CSR with the structure of ``matrix`` (n, n_terms), every stored entry kept."""
        if self.weighting == "none":
            return matrix
        lowest = matrix.data.min() if matrix.nnz else 0.0
        require(
            lowest >= 0, f"weighting={self.weighting!r} needs values of 0 or more; found {lowest}; use weighting='none'"
        )
        saturation = self.saturation(row_sums(matrix, matrix.data))
        weights = self.local(matrix.data, np.repeat(saturation, np.diff(matrix.indptr)))
        weights = (weights * self.inverse_frequency[matrix.indices]).astype(np.float32)
        return sparse.csr_matrix((weights, matrix.indices, matrix.indptr), shape=matrix.shape)

    def saturation(self, lengths: Float64) -> Float64:
        """What bm25 adds to tf in the denominator, for documents whose entries sum to ``lengths``."""
        return BM25_SATURATION * (1 - BM25_LENGTH + BM25_LENGTH * lengths / max(self.mean_length, 1e-12))

    def local(self, values: NDArray[Any], saturation: Float64) -> Float64:
        """The weights of entries without the part that depends on the term, (nnz,) float64."""
        counts = values.astype(np.float64)
        if self.weighting == "tfidf":
            return np.sqrt(counts)
        if self.weighting == "bm25":
            return counts * (BM25_SATURATION + 1) / (counts + saturation)
        return counts


def term_weights(matrix: sparse.csr_matrix, weighting: Weighting) -> TermWeights:
    """Learn the weights of the terms from training documents (n, n_terms); what is stored counts, a 0 too."""
    n_documents, n_terms = matrix.shape
    frequency = np.bincount(matrix.indices, minlength=n_terms)
    inverse = np.maximum(np.log(n_documents / (1.0 + frequency)), 0.0)
    return TermWeights(weighting, inverse, float(matrix.data.sum(dtype=np.float64)) / max(n_documents, 1))


def ones_like(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Every stored entry set to 1."""
    return sparse.csr_matrix((np.ones(matrix.nnz, dtype=np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
