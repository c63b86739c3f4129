"""What the lists are like, whether they hit or not: coverage, concentration, popularity, surprise.

``items`` (n, k) int32 are codes, -1 in the fills of a short list; ``item_popularity`` (n_items,) int64 is how many
users of train have each item. A metric of one value a user gives NaN for an empty list; a metric of one value for
all lists gives NaN when nothing is listed at all. The catalogue is the whole one: ``len(item_popularity)`` items.
"""

from __future__ import annotations

import numpy as np

from recsys_lab.data.interactions import Bool, Float64, Int32, Int64
from recsys_lab.metrics.ratios import ratio

HEAD_SHARE = 0.2  # the most popular fifth of the catalogue is its head


def item_coverage(items: Int32, item_popularity: Int64) -> float:
    """Distinct recommended items / items of the catalogue, in [0, 1]; short lists simply add fewer items."""
    return float(np.count_nonzero(exposure(items, len(item_popularity)))) / len(item_popularity)


def gini(items: Int32, item_popularity: Int64) -> float:
    """Gini index of how often each item of the catalogue is listed: 0 all equally, (n - 1)/n one item only."""
    counts = np.sort(exposure(items, len(item_popularity)))
    n, total = len(counts), int(counts.sum())
    if total == 0:
        return float("nan")
    return float(((2 * np.arange(1, n + 1) - n - 1) * counts).sum()) / (n * total)


def entropy(items: Int32, item_popularity: Int64) -> float:
    """Shannon entropy in bits of how often each item is listed, in [0, log2(n_items)]."""
    counts = exposure(items, len(item_popularity))
    if not counts.any():
        return float("nan")
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # + 0.0: never -0.0


def entropy_normalised(items: Int32, item_popularity: Int64) -> float:
    """Entropy over the largest possible one, log2(n_items), in [0, 1]; NaN for a catalogue of one item."""
    n_items = len(item_popularity)
    return entropy(items, item_popularity) / float(np.log2(n_items)) if n_items > 1 else float("nan")


def novelty(items: Int32, item_popularity: Int64, n_users: int) -> Float64:
    """Mean over the list of -log2(max(popularity, 1) / n_users), in [0, log2(n_users)], (n,); short lists / length."""
    return list_mean(-np.log2(np.maximum(item_popularity, 1) / n_users), items)


def epc(items: Int32, item_popularity: Int64, n_users: int) -> Float64:
    """Expected popularity complement: mean over the list of 1 - popularity / n_users, in [0, 1], (n,)."""
    return list_mean(1.0 - item_popularity / n_users, items)


def arp(items: Int32, item_popularity: Int64) -> Float64:
    """Average recommendation popularity: mean train popularity of the listed items, in users, (n,)."""
    return list_mean(item_popularity.astype(np.float64), items)


def aplt(items: Int32, item_popularity: Int64) -> Float64:
    """Share of the list outside the head, the top 20 % of the catalogue (rounded up; ties by code), in [0, 1], (n,)."""
    head = most_popular(item_popularity, int(np.ceil(HEAD_SHARE * len(item_popularity))))
    return list_mean((~head).astype(np.float64), items)


def popularity_lift(items: Int32, item_popularity: Int64, profile_popularity: Float64) -> float:
    """(GAP_rec - GAP_profile) / GAP_profile, above -1; GAP is the mean over users of a mean popularity.

    ``profile_popularity`` (n,): mean popularity of what each user has in the history, NaN without one. Over the users
    with a list and a history (Abdollahpouri et al., 2019).
    """
    listed = arp(items, item_popularity)
    both = ~np.isnan(listed) & ~np.isnan(profile_popularity)
    if not both.any():
        return float("nan")
    return float(listed[both].mean() / profile_popularity[both].mean() - 1.0)


def serendipity(hits: Bool, n_relevant: Int64, items: Int32, item_popularity: Int64) -> Float64:
    """Share of the k places that are relevant and not among the k most popular items (ties by code), in [0, 1], (n,).

    NaN where ``n_relevant`` is 0. Always over k, also for a short list.
    """
    k = items.shape[1]
    obvious = np.append(most_popular(item_popularity, k), False)  # the last entry answers for -1
    surprising = np.count_nonzero(hits & ~obvious[items], axis=1) / k
    return np.where(n_relevant > 0, surprising, np.nan)


def exposure(items: Int32, n_items: int) -> Int64:
    """How often each item is listed, (n_items,)."""
    return np.bincount(items[items >= 0], minlength=n_items).astype(np.int64)


def most_popular(item_popularity: Int64, n: int) -> Bool:
    """True for the n most popular items, (n_items,) bool; ties by code."""
    chosen = np.zeros(len(item_popularity), dtype=np.bool_)
    chosen[np.argsort(-item_popularity, kind="stable")[:n]] = True
    return chosen


def list_mean(values: Float64, items: Int32) -> Float64:
    """Mean of ``values`` (n_items,) over each list, (n,); NaN for an empty list."""
    lengths = np.count_nonzero(items >= 0, axis=1)
    sums = np.append(values, 0.0)[items].sum(axis=1)  # -1 finds the 0 at the end
    return ratio(sums, lengths)
