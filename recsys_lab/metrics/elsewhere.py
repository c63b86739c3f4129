"""What other libraries mean by a metric's name, where no metric of ours is equal to it.

The arguments are those of our own metrics: ``hits`` (n, k) bool, ``n_relevant`` (n,) int64, ``items`` (n, k) int32 with
-1 in the fills, ``gains`` and ``ideal_gains`` (n, k) float64. One float64 a user, NaN where ``n_relevant`` is 0 and
where the library has no value, or one float for all users together. ``conventions`` says who uses which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.data.interactions import Bool, Float64, Int32, Int64
from recsys_lab.metrics import beyond_accuracy, ranking
from recsys_lab.metrics.ratios import ratio

PATIENCE = 0.85  # LensKit's RBP: how likely a user goes on to the next rank


def precision_of_list(hits: Bool, n_relevant: Int64, items: Int32) -> Float64:
    """Hits / items listed: a list that stops early is not punished. NaN for an empty list."""
    return ratio(np.where(n_relevant > 0, hits.sum(axis=1), np.nan), _lengths(items))


def recall_of_list(hits: Bool, n_relevant: Int64, items: Int32) -> Float64:
    """Hits / min(items listed, relevant items). NaN for an empty list."""
    return ratio(hits.sum(axis=1), np.minimum(_lengths(items), n_relevant))


def f1_of_list(hits: Bool, n_relevant: Int64, items: Int32) -> Float64:
    """Harmonic mean of recall and hits / items listed; NaN without a hit."""
    found = hits.sum(axis=1)
    return np.where(found > 0, 2.0 * found / np.maximum(_lengths(items) + n_relevant, 1), np.nan)


def arhr(hits: Bool, n_relevant: Int64) -> Float64:
    """Sum of 1 / rank over all hits, above 1 for several: not a mean reciprocal rank."""
    return _null(hits @ (1.0 / _ranks(hits)), n_relevant)


def average_precision_of_hits(hits: Bool, n_relevant: Int64) -> Float64:
    """Sum over the hits of precision at their rank / hits found: what was missed is forgotten. 0 without a hit."""
    found = np.maximum(hits.sum(axis=1), 1)
    return np.asarray(ranking.average_precision(hits, n_relevant) * n_relevant / found)


def average_precision_by_k(hits: Bool, n_relevant: Int64) -> Float64:
    """Sum over the hits of precision at their rank / k: below 1 for a perfect list of a user with few items."""
    return np.asarray(ranking.average_precision(hits, n_relevant) * n_relevant / hits.shape[1])


def average_precision_of_list(hits: Bool, n_relevant: Int64, items: Int32) -> Float64:
    """Sum over the hits of precision at their rank / min(items listed, relevant items). NaN for an empty list."""
    total = ranking.average_precision(hits, n_relevant) * n_relevant
    return ratio(total, np.minimum(_lengths(items), n_relevant))


def mean_prefix_precision(hits: Bool, n_relevant: Int64) -> Float64:
    """Mean of precision@1 ... precision@k over all ranks, hit or not: no average precision."""
    return _null((np.cumsum(hits, axis=1) / _ranks(hits)).mean(axis=1), n_relevant)


def r_precision_of_found(hits: Bool, n_relevant: Int64) -> float:
    """Hits among the first |relevant| ranks within k / relevant items, mean over the users with any there.

    0 when nobody has a hit within k, NaN when nobody has one early enough.
    """
    within = (hits & (_ranks(hits) <= n_relevant[:, None])).sum(axis=1)
    found = within > 0
    if not hits.any():
        return 0.0
    return float((within[found] / n_relevant[found]).mean()) if found.any() else float("nan")


def dcg(hits: Bool, n_relevant: Int64) -> Float64:
    """Sum over the hits of 1 / log2(rank + 1), not normalised."""
    return _null(hits @ _discount(hits.shape[1]), n_relevant)


def ndcg_of_k_hits(hits: Bool, n_relevant: Int64) -> Float64:
    """dcg over that of k hits, also where fewer items are relevant: a perfect list may be below 1."""
    return np.asarray(dcg(hits, n_relevant) / _discount(hits.shape[1]).sum())


def ndcg_of_found(hits: Bool, n_relevant: Int64) -> Float64:
    """dcg over that of the hits found, moved to the top: what was missed is forgotten. 0 without a hit."""
    return _null(np.nan_to_num(ranking.ndcg(hits, hits.sum(axis=1))), n_relevant)


def ndcg_graded_full_ideal(gains: Float64, all_gains: Float64) -> Float64:
    """Graded ndcg, linear gain, the ideal not cut at k.

    ``all_gains`` (n, most relevant items of a user): all grades of a user, falling.
    """
    width = max(gains.shape[1], all_gains.shape[1])
    return ranking.ndcg_graded(_wide(gains, width), _wide(all_gains, width))


def ndcg_graded_exp_full_ideal(gains: Float64, all_gains: Float64) -> Float64:
    """Graded ndcg, gain 2^grade - 1, the ideal not cut at k."""
    return ndcg_graded_full_ideal(np.exp2(gains) - 1.0, np.exp2(all_gains) - 1.0)


def ndcg_late(hits: Bool, n_relevant: Int64) -> Float64:
    """ndcg with discount 1 / max(1, log2(rank)): ranks 1 and 2 weigh the same."""
    ideal = np.cumsum(_late_discount(hits.shape[1]))
    best = ideal[np.maximum(np.minimum(n_relevant, hits.shape[1]), 1) - 1]
    return _null(hits @ _late_discount(hits.shape[1]) / best, n_relevant)


def ndcg_late_graded(gains: Float64, ideal_gains: Float64) -> Float64:
    """Graded ndcg, linear gain, discount 1 / max(1, log2(rank)), the ideal sorted and cut at k."""
    discount = _late_discount(gains.shape[1])
    return ratio(gains @ discount, ideal_gains @ discount)


def rank_biased_precision(hits: Bool, n_relevant: Int64) -> Float64:
    """(1 - .85) times the sum over the hits of .85^(rank - 1): a perfect list of k is below 1."""
    return _null((1.0 - PATIENCE) * (hits @ PATIENCE ** (_ranks(hits) - 1.0)), n_relevant)


def auc_of_list(hits: Bool, n_relevant: Int64, item_popularity: Int64) -> Float64:
    """auc of the list alone: all items behind rank k count as tied, and items in the history as not relevant."""
    n_other = len(item_popularity) - n_relevant
    found, k = hits.sum(axis=1), hits.shape[1]
    above = (np.cumsum(hits, axis=1) * ~hits).sum(axis=1)
    rest = (found + n_relevant) / 2.0 * (n_other - (k - found))
    return ratio(above + rest, n_relevant * n_other)


def precision_of_all(hits: Bool, n_relevant: Int64) -> float:
    """Hits of all users / sum of min(k, relevant items): micro, and divided by what could be reached."""
    reachable = int(np.minimum(n_relevant, hits.shape[1]).sum())
    return float(hits[n_relevant > 0].sum()) / reachable if reachable else float("nan")


def auc_strict(positive_scores: NDArray[np.floating], negative_scores: NDArray[np.floating]) -> float:
    """P(a positive scores above a negative), ties counted as lost."""
    if not len(positive_scores) or not len(negative_scores):
        return float("nan")
    below = np.searchsorted(np.sort(negative_scores), positive_scores, side="left")
    return float(below.mean()) / len(negative_scores)


def coverage_of_train(items: Int32, item_popularity: Int64) -> float:
    """Distinct listed items / items with a row in train; above 1 when lists hold items unknown to train."""
    listed = np.count_nonzero(beyond_accuracy.exposure(items, len(item_popularity)))
    return float(ratio(listed, np.count_nonzero(item_popularity)))


def coverage_with_padding(items: Int32, item_popularity: Int64) -> float:
    """Item coverage, the catalogue counted with one item of padding."""
    return beyond_accuracy.item_coverage(items, np.append(item_popularity, 0))


def gini_with_padding(items: Int32, item_popularity: Int64) -> float:
    """Gini index, the catalogue counted with one item of padding."""
    return beyond_accuracy.gini(items, np.append(item_popularity, 0))


def entropy_by_item(items: Int32, item_popularity: Int64) -> float:
    """Entropy of the exposure in nats / distinct listed items."""
    n_listed = np.count_nonzero(beyond_accuracy.exposure(items, len(item_popularity)))
    return float(ratio(beyond_accuracy.entropy(items, item_popularity) * np.log(2.0), n_listed))


def novelty_by_row(items: Int32, item_popularity: Int64) -> float:
    """Mean over all listed places of -log2(rows of the item / rows of train); 0 for an item unknown to train."""
    shares = np.maximum(item_popularity, 1) / max(int(item_popularity.sum()), 1)
    values = np.where(item_popularity > 0, -np.log2(shares), 0.0)
    listed = items[items >= 0]
    return float(values[listed].mean()) if len(listed) else float("nan")


def serendipity_by_rank(hits: Bool, items: Int32, item_popularity: Int64) -> Float64:
    """Mean over the list of what a hit's rank exceeds its rank by popularity, as shares of the catalogue.

    Items of one popularity share a rank and ranks have no gaps; an item unknown to train is behind all.
    """
    n_items = len(item_popularity)
    counts = np.unique(item_popularity[item_popularity > 0])[::-1]
    rank = np.searchsorted(-counts, -item_popularity) + 1
    common = np.where(item_popularity > 0, (n_items + 1 - rank) / n_items, 0.0)
    own = (n_items + 1 - _ranks(hits)) / n_items
    unexpected = np.maximum(own - np.append(common, 0.0)[items], 0.0) * hits
    return ratio(unexpected.sum(axis=1), _lengths(items))


def intra_list_hamming(items: Int32, item_features: sparse.csr_matrix) -> Float64:
    """Mean number of features in which two items of a list differ, over its pairs; NaN for fewer than two items."""
    features = item_features.toarray()
    sums = np.zeros(len(items))
    for first in range(items.shape[1]):
        for second in range(first + 1, items.shape[1]):
            both = items[:, second] >= 0
            sums[both] += (features[items[both, first]] != features[items[both, second]]).sum(axis=1)
    lengths = _lengths(items)
    return ratio(2.0 * sums, lengths * (lengths - 1))


def _lengths(items: Int32) -> Int64:
    return np.asarray(np.count_nonzero(items >= 0, axis=1), dtype=np.int64)


def _ranks(hits: Bool) -> Int64:
    return np.arange(1, hits.shape[1] + 1)


def _discount(k: int) -> Float64:
    return np.asarray(1.0 / np.log2(np.arange(2, k + 2)), dtype=np.float64)


def _late_discount(k: int) -> Float64:
    return np.asarray(1.0 / np.maximum(1.0, np.log2(np.arange(1, k + 1))), dtype=np.float64)


def _null(values: Float64, n_relevant: Int64) -> Float64:
    return np.where(n_relevant > 0, values, np.nan)


def _wide(values: Float64, width: int) -> Float64:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))
