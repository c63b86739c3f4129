"""Ranking metrics: how good the first k places are. The unsuffixed names follow trec_eval.

Each takes ``hits`` (n, k) bool, True where the item at that rank is relevant (False in the fills of a short list),
and ``n_relevant`` (n,) int64, the relevant test items of each user, and returns one float64 a user in [0, 1]:
NaN where ``n_relevant`` is 0, and 0 for a user with relevant items but no list. k is the width of ``hits``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recsys_lab.data.interactions import Bool, Float64, Int64
from recsys_lab.metrics.ratios import ratio


def precision(hits: Bool, n_relevant: Int64) -> Float64:
    """Hits / k, always k, also for a list shorter than k (trec_eval P)."""
    return _null(_count(hits, n_relevant) / hits.shape[1], n_relevant)


def recall(hits: Bool, n_relevant: Int64) -> Float64:
    """Hits / number of relevant items (trec_eval recall)."""
    return _null(_count(hits, n_relevant) / np.maximum(n_relevant, 1), n_relevant)


def recall_capped(hits: Bool, n_relevant: Int64) -> Float64:
    """Hits / min(k, number of relevant items): the "Recall" of Mult-VAE (Liang et al., WWW 2018)."""
    return _null(_count(hits, n_relevant) / _attainable(hits, n_relevant), n_relevant)


def f1(hits: Bool, n_relevant: Int64) -> Float64:
    """Harmonic mean of the user's precision and recall, 0 if both are 0; equal to 2 hits / (k + relevant items)."""
    return _null(2 * _count(hits, n_relevant) / (hits.shape[1] + n_relevant), n_relevant)


def hit_rate(hits: Bool, n_relevant: Int64) -> Float64:
    """1 if anything in the list is relevant, else 0 (trec_eval success)."""
    return _null((_count(hits, n_relevant) > 0).astype(np.float64), n_relevant)


def mrr(hits: Bool, n_relevant: Int64) -> Float64:
    """1 / rank of the first hit within k, else 0 (trec_eval recip_rank, cut at k)."""
    _check(hits, n_relevant)
    first = np.argmax(hits, axis=1)
    found = hits[np.arange(len(hits)), first]
    return _null(np.where(found, 1.0 / (first + 1), 0.0), n_relevant)


def average_precision(hits: Bool, n_relevant: Int64) -> Float64:
    """Sum of the precision at the rank of each hit / number of relevant items: map (trec_eval map_cut)."""
    return _null(_precision_sum(hits, n_relevant) / np.maximum(n_relevant, 1), n_relevant)


def average_precision_capped(hits: Bool, n_relevant: Int64) -> Float64:
    """Sum of the precision at the rank of each hit / min(k, number of relevant items): map_capped."""
    return _null(_precision_sum(hits, n_relevant) / _attainable(hits, n_relevant), n_relevant)


def ndcg(hits: Bool, n_relevant: Int64) -> Float64:
    """Gain 1 a hit, discount 1 / log2(rank + 1), over the same of min(k, relevant) hits on top (trec_eval ndcg_cut)."""
    ideal = np.cumsum(_discount(hits.shape[1]))
    return _null(_discounted(hits, n_relevant) / ideal[_attainable(hits, n_relevant) - 1], n_relevant)


def ndcg_full_ideal(hits: Bool, n_relevant: Int64) -> Float64:
    """As ndcg, but the ideal list holds all relevant items, not cut at k (Ferrari Dacrema et al., RecSys 2019)."""
    ideal = np.cumsum(_discount(int(max(n_relevant.max(initial=1), 1))))
    return _null(_discounted(hits, n_relevant) / ideal[np.maximum(n_relevant, 1) - 1], n_relevant)


def ndcg_graded(gains: Float64, ideal_gains: Float64) -> Float64:
    """Graded ndcg with linear gain: the gain of an item is its grade (Järvelin and Kekäläinen, TOIS 2002).

    ``gains`` (n, k): the grade at each rank, 0 for what is not relevant. ``ideal_gains`` (n, k): the user's k best
    grades, falling, 0 where there are fewer. NaN for a user without a grade above 0.
    """
    if gains.shape != ideal_gains.shape:
        raise ValueError(f"gains and ideal gains need one shape (n, k); found {gains.shape} and {ideal_gains.shape}")
    discount = _discount(gains.shape[1])
    best = (ideal_gains * discount).sum(axis=1)
    reached = (gains * discount).sum(axis=1)
    return ratio(reached, best)


def ndcg_graded_exp(gains: Float64, ideal_gains: Float64) -> Float64:
    """As ndcg_graded, with exponential gain 2^grade - 1 (Burges et al., ICML 2005)."""
    return ndcg_graded(np.exp2(gains) - 1.0, np.exp2(ideal_gains) - 1.0)


def auc(positive_scores: NDArray[np.floating], negative_scores: NDArray[np.floating]) -> float:
    """P(a positive scores above a negative) + half the ties, in [0, 1]; NaN when either side is empty.

    The only ranking metric on scores: one call a user, ``positive_scores`` (p,) and ``negative_scores`` (m,).
    """
    if not len(positive_scores) or not len(negative_scores):
        return float("nan")
    ordered = np.sort(negative_scores)
    below = np.searchsorted(ordered, positive_scores, side="left").sum()
    not_above = np.searchsorted(ordered, positive_scores, side="right").sum()
    return float(int(below) + int(not_above)) / (2.0 * len(positive_scores) * len(negative_scores))


def _check(hits: Bool, n_relevant: Int64) -> None:
    if hits.ndim != 2 or hits.shape[1] < 1 or n_relevant.shape != (len(hits),):
        raise ValueError(
            f"hits need shape (n, k) with k of at least 1, and n_relevant (n,); "
            f"found {hits.shape} and {n_relevant.shape}"
        )


def _null(values: Float64, n_relevant: Int64) -> Float64:
    return np.where(n_relevant > 0, values, np.nan)


def _count(hits: Bool, n_relevant: Int64) -> Int64:
    _check(hits, n_relevant)
    return np.asarray(np.count_nonzero(hits, axis=1), dtype=np.int64)


def _attainable(hits: Bool, n_relevant: Int64) -> Int64:
    """The most hits that a list of length k can have; at least 1, so that it can be divided by."""
    return np.maximum(np.minimum(n_relevant, hits.shape[1]), 1)


def _discount(k: int) -> Float64:
    return np.asarray(1.0 / np.log2(np.arange(2, k + 2)), dtype=np.float64)


def _discounted(hits: Bool, n_relevant: Int64) -> Float64:
    """Sum of the discounts of the hits, added rank by rank as the ideal is: a perfect list gives exactly 1."""
    _check(hits, n_relevant)
    rows, columns = np.nonzero(hits)
    return _row_sums(rows, _discount(hits.shape[1])[columns], len(hits))


def _precision_sum(hits: Bool, n_relevant: Int64) -> Float64:
    """Sum over the hits of (hits so far) / rank."""
    _check(hits, n_relevant)
    rows, columns = np.nonzero(hits)
    starts = np.zeros(len(hits), dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=len(hits))[:-1], out=starts[1:])
    so_far = np.arange(1, len(rows) + 1) - starts[rows]
    return _row_sums(rows, so_far / (columns + 1), len(hits))


def _row_sums(rows: NDArray[np.intp], values: Float64, n: int) -> Float64:
    return np.asarray(np.bincount(rows, weights=values, minlength=n), dtype=np.float64)
