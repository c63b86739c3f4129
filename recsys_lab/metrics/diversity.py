"""How different the listed items are from each other, from other users' lists and from the user's own taste."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recsys_lab.compiled import njit
from recsys_lab.data.interactions import Float64, Int32, Int64
from recsys_lab.metrics.ratios import ratio
from recsys_lab.seeds import child_rng

ALL_PAIRS_UP_TO = 500  # users; above it, pairs are drawn
SAMPLED_PAIRS = 10_000
BLOCK = 4096  # users whose feature sums are held at once


def intra_list_diversity(items: Int32, item_features: sparse.csr_matrix) -> Float64:
    """Mean cosine distance over the unordered pairs of a list, (n,), in [0, 1] for features >= 0.

    ``items`` (n, k), -1 = none; ``item_features`` (n_items, n_features). An item without features has distance 1 to
    every other. NaN for a list of fewer than two items (Ziegler et al., WWW 2005).
    """
    norms = np.sqrt(np.asarray(item_features.multiply(item_features).sum(axis=1), dtype=np.float64)).ravel()
    unit = sparse.diags_array(np.nan_to_num(ratio(1.0, norms))) @ item_features
    unit = sparse.csr_matrix(unit, dtype=np.float64)
    lengths = np.count_nonzero(items >= 0, axis=1)
    own = list_sums(items, (norms > 0).astype(np.float64)[:, None]).ravel()  # each item with itself
    together = np.zeros(len(items))
    for start in range(0, len(items), BLOCK):
        sums = lists_as_matrix(items[start : start + BLOCK], unit.shape[0]) @ unit
        together[start : start + BLOCK] = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
    pairs = lengths * (lengths - 1)
    distance: Float64 = 1.0 - ratio(together - own, pairs)
    return np.maximum(distance, 0.0)


def intra_list_diversity_jaccard(items: Int32, item_features: sparse.csr_matrix) -> Float64:
    """Mean Jaccard distance over the unordered pairs of a list, (n,), in [0, 1]; what is stored and not 0 is a feature.

    Two items without features have distance 1. NaN for a list of fewer than two items.
    """
    features = sparse.csr_matrix(item_features, copy=True)
    features.eliminate_zeros()
    features.sort_indices()
    return np.asarray(_jaccard(items, features.indptr.astype(np.int64), features.indices.astype(np.int32)))


@njit()
def _jaccard(items, starts, features):  # type: ignore[no-untyped-def]
    n, k = items.shape
    result = np.full(n, np.nan)
    for row in range(n):
        total, pairs = 0.0, 0
        for first in range(k):
            for second in range(first + 1, k):
                if items[row, first] < 0 or items[row, second] < 0:
                    continue
                a, b = starts[items[row, first]], starts[items[row, second]]
                end_a, end_b = starts[items[row, first] + 1], starts[items[row, second] + 1]
                union, common = end_a - a + end_b - b, 0
                while a < end_a and b < end_b:
                    if features[a] == features[b]:
                        common += 1
                        a += 1
                        b += 1
                    elif features[a] < features[b]:
                        a += 1
                    else:
                        b += 1
                total += 1.0 - common / (union - common) if union else 1.0
                pairs += 1
        if pairs:
            result[row] = total / pairs
    return result


def inter_list_diversity(items: Int32, item_popularity: Int64) -> float:
    """1 - items in common / k, mean over pairs of users with a list, in [0, 1]; NaN for fewer than two such users.

    All pairs up to 500 users; 10,000 pairs drawn with a fixed seed above. A list shorter than k counts as such.
    """
    items = items[items[:, 0] >= 0]
    n, k = items.shape
    if n < 2:
        return float("nan")
    if n <= ALL_PAIRS_UP_TO:
        first, second = np.triu_indices(n, 1)
    else:
        rng = child_rng(0, "inter_list_diversity")
        first = rng.integers(0, n, SAMPLED_PAIRS)
        second = (first + rng.integers(1, n, SAMPLED_PAIRS)) % n  # never the same user
    listed = lists_as_matrix(items, len(item_popularity))
    common = 0.0
    for start in range(0, len(first), BLOCK):
        block = slice(start, start + BLOCK)
        common += float(listed[first[block]].multiply(listed[second[block]]).sum())
    return 1.0 - common / float(k * len(first))


def calibration_kl(items: Int32, genre_weights: Float64, profile_genres: Float64) -> Float64:
    """Steck's miscalibration KL(p || (1 - a) q + a p) in nats with a = .01, (n,): 0 iff the genres agree.

    ``genre_weights`` (n_items, n_genres): an item's weight 1 split evenly over its genres. ``profile_genres``
    (n, n_genres): the same summed over the user's history. NaN where the list or the history has no genre at all
    (Steck, RecSys 2018, eq. 6).
    """
    return kl_divergence(_shares(profile_genres), _shares(list_sums(items, genre_weights)))


def kl_divergence(p: Float64, q: Float64, alpha: float = 0.01) -> Float64:
    """KL(p || (1 - alpha) q + alpha p) in nats of each row of ``p`` and ``q`` (n, n_genres)."""
    blended = (1.0 - alpha) * q + alpha * p
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / blended), np.where(np.isnan(p + q), np.nan, 0.0))
    return np.asarray(np.maximum(terms.sum(axis=1), 0.0), dtype=np.float64)


def lists_as_matrix(items: Int32, n_items: int) -> sparse.csr_matrix:
    """The lists as CSR (n, n_items) of ones."""
    filled = items >= 0
    indptr = np.zeros(len(items) + 1, dtype=np.int32)
    np.cumsum(np.count_nonzero(filled, axis=1), out=indptr[1:])
    codes = items[filled]
    return sparse.csr_matrix((np.ones(len(codes)), codes, indptr), shape=(len(items), n_items))


def list_sums(items: Int32, values: Float64) -> Float64:
    """Sum over each list of the rows of ``values`` (n_items, m), as (n, m)."""
    return np.asarray(lists_as_matrix(items, len(values)) @ values)


def _shares(weights: Float64) -> Float64:
    return ratio(weights, weights.sum(axis=1, keepdims=True))
