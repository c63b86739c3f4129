"""Why an item is listed, and which items are alike: what a bundle can say about pairs of items."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recsys_lab.data.interactions import Float32, Int32
from recsys_lab.serving.bundle import Bundle

N_REASONS = 3
MOST_HISTORY = 100  # items of a history that are asked about, those with the highest ratings


def because(bundle: Bundle, history: sparse.csr_matrix, items: Int32) -> list[list[int]]:
    """For each of ``items`` (n,), up to three codes of the history (1, n_items) that speak most for it.

    A model that folds in is asked what it would score for somebody who has one item only; for a linear item model these
    are the very terms of the sum. Other models are compared by the cosine of their item vectors, or of the item columns
    of the histories. Items that speak against or not at all are left out.
    """
    held = history.indices[np.argsort(-history.data, kind="stable")][:MOST_HISTORY]
    if not len(held):
        return [[] for _ in items]
    if bundle.algorithm.serves_new_users:
        nobody = sparse.csr_matrix((1, bundle.n_items), dtype=np.float32)
        weights = _scores_of_singles(bundle, held)[:, items]
        weights = weights - bundle.algorithm.score(np.array([-1], dtype=np.int32), nobody)[:, items]
    else:
        weights = similar_scores(bundle, held)[:, items]
    return [_strongest(column, held) for column in np.nan_to_num(weights, neginf=0.0).T]


def similar_scores(bundle: Bundle, items: Int32) -> Float32:
    """How much each item is like each of ``items`` (n,): (n, n_items) float32.

    Models with item vectors: their cosine. Models that fold in: the score for somebody who has this item only. Others:
    the cosine of the columns of the histories.
    """
    vectors = getattr(bundle.algorithm, "item_factors_", None)
    if isinstance(vectors, np.ndarray) and vectors.ndim == 2 and len(vectors) == bundle.n_items:
        norms = np.linalg.norm(vectors, axis=1)
        dots = vectors[items] @ vectors.T
        return np.asarray(dots / np.maximum(norms[items, None] * norms, 1e-12), dtype=np.float32)
    if bundle.algorithm.serves_new_users:
        return _scores_of_singles(bundle, items)
    taken = sparse.csr_matrix(bundle.histories, copy=True)
    taken.data[:] = 1
    together = np.asarray((taken[:, items].T @ taken).todense())
    sizes = np.sqrt(np.maximum(np.asarray(taken.sum(axis=0)).ravel(), 1.0))
    return np.asarray(together / (sizes[items, None] * sizes), dtype=np.float32)


def _scores_of_singles(bundle: Bundle, items: Int32) -> Float32:
    """What somebody scores who has one of ``items`` (n,) only: (n, n_items)."""
    alone = sparse.csr_matrix(
        (np.ones(len(items), np.float32), items, np.arange(len(items) + 1)), shape=(len(items), bundle.n_items)
    )
    return bundle.algorithm.score(np.full(len(items), -1, dtype=np.int32), alone)


def _strongest(weights: Float32, codes: Int32) -> list[int]:
    order = np.argsort(-weights, kind="stable")[:N_REASONS]
    return [int(codes[place]) for place in order if weights[place] > 0]
