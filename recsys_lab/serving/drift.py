"""How far serving is from training: coverage and popularity of the last lists, and who asked for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client.core import GaugeMetricFamily

from recsys_lab.data.interactions import Float64, Int32
from recsys_lab.serving.bundle import Bundle

WINDOW = 1000  # lists and users that coverage and drift look back on
DRIFT = {
    "distinct_items": "Different items in the last 1000 lists.",
    "item_coverage": "Share of the items that may be listed, in the last 1000 lists.",
    "drift_items": "Jensen-Shannon divergence, 0 to 1, of listed items and training rows.",
    "drift_popularity": "Mean popularity of listed items over that of training rows.",
    "drift_unknown_users": "Share of the last 1000 asking users that training did not know.",
    "drift_user_items": "Mean items of the asking known users over the mean of training.",
}


class Drift:
    """Coverage of the last lists, and how far they and their users are from the training rows; computed when read."""

    def __init__(self) -> None:
        self.lists: deque[Int32] = deque(maxlen=WINDOW)
        self.users: deque[int] = deque(maxlen=WINDOW)  # items that a user has; 0 or -1: unknown to training
        self.bundle: Bundle | None = None

    def reset(self, bundle: Bundle) -> None:
        """Start again with another model: codes mean other items."""
        self.lists, self.users, self.bundle = deque(maxlen=WINDOW), deque(maxlen=WINDOW), bundle

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, as prometheus_client asks for them."""
        found = drift_of(self.bundle, list(self.lists), list(self.users)) if self.bundle is not None else {}
        for name, text in DRIFT.items():
            yield GaugeMetricFamily(name, text, value=found.get(name, float("nan")))


def drift_of(bundle: Bundle, lists: Sequence[Sequence[int] | Int32], users: Sequence[int]) -> dict[str, float]:
    """The values of ``DRIFT`` that can be said: of ``lists`` of item codes, and of what asking ``users`` have.

    ``users``: how many items each has in training; 0 or -1 for one whom training did not know.
    """
    found = _of_lists(bundle, lists) if len(lists) else {}
    sizes = np.array(users, dtype=np.int64)
    known = sizes > 0
    if len(sizes):
        found["drift_unknown_users"] = float((~known).mean())
    if known.any():
        trained = np.diff(bundle.histories.indptr)
        found["drift_user_items"] = float(sizes[known].mean() / max(float(trained[trained > 0].mean()), 1e-9))
    return found


def _of_lists(bundle: Bundle, lists: Sequence[Sequence[int] | Int32]) -> dict[str, float]:
    shown = np.bincount(np.concatenate([np.asarray(one, dtype=np.int32) for one in lists]), minlength=bundle.n_items)
    popularity: Float64 = bundle.popularity.astype(np.float64)
    found = {
        "distinct_items": float(np.count_nonzero(shown)),
        "item_coverage": float(np.count_nonzero(shown) / max(len(bundle.candidates), 1)),
    }
    if shown.sum() and popularity.sum():
        found["drift_items"] = _divergence(shown / shown.sum(), popularity / popularity.sum())
        usual = float((popularity**2).sum() / popularity.sum())  # the mean over rows, not over items
        found["drift_popularity"] = float((shown * popularity).sum() / shown.sum() / usual)
    return found


def _divergence(p: Float64, q: Float64) -> float:
    """Jensen-Shannon divergence to base 2: 0 for equal distributions, 1 for disjoint ones (Lin, 1991)."""
    middle = (p + q) / 2
    parts = [np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0])) for x in (p, q)]
    return float(sum(parts) / 2)
