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
        singles = sparse.csr_matrix(
            (np.ones(len(held), np.float32), held, np.arange(len(held) + 1)), shape=(len(held), bundle.n_items)
        )
        nobody = sparse.csr_matrix((1, bundle.n_items), dtype=np.float32)
        scores = bundle.algorithm.score(np.full(len(held), -1, dtype=np.int32), singles)[:, items]
        weights = scores - bundle.algorithm.score(np.array([-1], dtype=np.int32), nobody)[:, items]
    else:
        weights = np.stack([similar_scores(bundle, int(code)) for code in held])[:, items]
    return [_strongest(column, held) for column in np.nan_to_num(weights, neginf=0.0).T]


def similar_scores(bundle: Bundle, item: int) -> Float32:
    """How much each item is like ``item``, (n_items,) float32.

    Models with item vectors: their cosine. Models that fold in: the score for somebody who has this item only. Others:
    the cosine of the columns of the histories.
    """
    vectors = getattr(bundle.algorithm, "item_factors_", None)
    if isinstance(vectors, np.ndarray) and vectors.ndim == 2 and len(vectors) == bundle.n_items:
        norms = np.linalg.norm(vectors, axis=1)
        return np.asarray(vectors @ vectors[item] / np.maximum(norms * norms[item], 1e-12), dtype=np.float32)
    if bundle.algorithm.serves_new_users:
        alone = sparse.csr_matrix(([1.0], [item], [0, 1]), shape=(1, bundle.n_items), dtype=np.float32)
        return np.asarray(bundle.algorithm.score(np.array([-1], dtype=np.int32), alone)[0])
    taken = sparse.csr_matrix(bundle.histories, copy=True)
    taken.data[:] = 1
    together = np.asarray((taken[:, [item]].T @ taken).todense()).ravel()
    sizes = np.sqrt(np.maximum(np.asarray(taken.sum(axis=0)).ravel(), 1.0))
    return np.asarray(together / (sizes * sizes[item]), dtype=np.float32)


def _strongest(weights: Float32, codes: Int32) -> list[int]:
    order = np.argsort(-weights, kind="stable")[:N_REASONS]
    return [int(codes[place]) for place in order if weights[place] > 0]
