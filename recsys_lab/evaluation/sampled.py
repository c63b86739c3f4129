"""Candidates drawn for metrics on samples: the same ones for a user, whoever asks and in whatever order."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.top_k import top_k
from recsys_lab.data.interactions import Int32
from recsys_lab.seeds import child_seed


def sample_others(
    users: Int32, relevant: sparse.csr_matrix, candidates: Any, exclude: sparse.csr_matrix | None, n: int, seed: int
) -> sparse.csr_matrix:
    """``n`` of each user's candidates that are neither relevant nor in ``exclude``, CSR (b, n_items); all if fewer.

    ``relevant`` and ``exclude`` are CSR (b, n_items), ``candidates`` codes for all or such a CSR. Drawn uniformly
    without replacement by a hash of (seed, user code, item code): equal scores for all items, and the order that
    breaks ties.
    """
    taken = relevant if exclude is None else (exclude.astype(bool) + relevant.astype(bool)).tocsr()
    nothing = np.zeros(relevant.shape, dtype=np.float32)
    drawn = top_k(
        nothing, n, users=users, exclude=taken, candidates=candidates, tie_seed=child_seed(seed, "sampled candidates")
    ).items
    return _as_matrix(drawn, relevant.shape[1])


def relevant_among(relevant: sparse.csr_matrix, candidates: Any) -> sparse.csr_matrix:
    """The relevant items that are candidates, CSR (b, n_items) of ones."""
    if sparse.issparse(candidates):
        return sparse.csr_matrix(relevant.astype(bool).multiply(candidates.astype(bool)), dtype=np.float32)
    allowed = np.zeros(relevant.shape[1], dtype=np.float32)
    allowed[candidates] = 1.0
    among = sparse.csr_matrix(relevant.multiply(allowed[None, :]), dtype=np.float32)
    among.eliminate_zeros()
    return among


def _as_matrix(items: Int32, n_items: int) -> sparse.csr_matrix:
    rows, places = np.nonzero(items >= 0)
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, items[rows, places])), shape=(len(items), n_items))
