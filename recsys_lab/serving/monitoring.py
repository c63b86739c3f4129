"""What Prometheus reads: requests, models, reloads, fallbacks, feedback, and how far serving is from training."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from recsys_lab.data.interactions import Float64
from recsys_lab.serving.bundle import Bundle

WINDOW = 1000  # lists and users that coverage and drift look back on
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
REASONS = ("unknown_user", "no_known_items", "cannot_fold_in", "not_served")


class Monitoring:
    """The metrics of one app, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._histogram("request_seconds", "Time to answer a request.", ["route", "status"])
        self.scoring = self._histogram("score_seconds", "Time to compute a list, of the request's time.", ["role"])
        self.model_info = self._gauge(
            "model_info", "1 for each loaded model.", ["role", "name", "version", "algorithm"]
        )
        self.loaded = self._gauge("model_loaded_timestamp", "When the model was loaded, Unix time.", ["role"])
        self.stale = self._gauge("model_stale", "1 while the registry cannot say whether this is the model.", ["role"])
        self.contact = self._gauge("registry_contact_timestamp", "When the registry last answered, Unix time.")
        self.reloads = self._counter("reload", "Attempts to load a version.", ["result"])
        self.lists = self._counter("recommendations", "Lists answered.", ["role", "source"])
        self.fallbacks = self._counter("fallback", "Lists of popular items, for want of better.", ["reason"])
        self.shadow_overlap = self._gauge(
            "shadow_overlap", "Share of the champion's items in the unseen list, last one."
        )
        self.feedback = self._counter("feedback", "Events accepted.", ["event"])
        self.queued = self._gauge("feedback_queue", "Rows that wait for the database.", ["kind"])
        self.capacity = self._gauge("feedback_queue_capacity", "Rows of each kind that may wait.")
        self.dropped = self._counter(
            "feedback_dropped", "Rows lost: the queue was full, or no database takes them.", ["kind"]
        )
        self.written = self._counter("feedback_written", "Rows that the database has.", ["kind"])
        self.database = self._gauge("database_up", "0 while the database does not take rows.")
        self.drift = Drift()
        self.registry.register(self.drift)
        self._requests: dict[tuple[str, int], Any] = {}
        self._scored = {role: self.scoring.labels(role) for role in ("champion", "challenger")}
        self._lists: dict[tuple[str, str], Any] = {}
        for result in ("loaded", "rejected", "failed"):
            self.reloads.labels(result)
        for reason in REASONS:
            self.fallbacks.labels(reason)
        for event in ("view", "click", "like", "dislike"):
            self.feedback.labels(event)
        for kind in ("event", "impression"):
            self.dropped.labels(kind)
            self.queued.labels(kind)
        for role in ("champion", "challenger"):
            self.stale.labels(role).set(0)

    def _gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: Iterable[str]) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=_SECONDS)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        found = self._requests.get((route, status))
        if found is None:
            found = self._requests[route, status] = self.requests.labels(route, str(status))
        found.observe(seconds)

    def scored(self, role: str, seconds: float) -> None:
        """Count the time that a list took."""
        self._scored[role].observe(seconds)

    def listed(self, role: str, source: str, reason: str) -> None:
        """Count a list; ``reason``: why its items are popular ones, if they are."""
        key = (role, source)
        found = self._lists.get(key)
        if found is None:
            found = self._lists[key] = self.lists.labels(role, source)
        found.inc()
        if source == "popularity":
            self.fallbacks.labels(reason).inc()

    def model(self, role: str, name: str, version: str, algorithm: str, when: float) -> None:
        """Say which model answers now; the one before is forgotten."""
        self.forget(role)
        self.model_info.labels(role, name, version, algorithm).set(1)
        self.loaded.labels(role).set(when)

    def forget(self, role: str) -> None:
        """Say that no model answers in this role."""
        self.model_info.remove_by_labels({"role": role})
        self.loaded.remove_by_labels({"role": role})

    def page(self) -> tuple[bytes, str]:
        """All metrics as text, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class Drift:
    """Coverage of the last lists, and how far they and their users are from the training rows; computed when read."""

    def __init__(self) -> None:
        self.lists: deque[list[int]] = deque(maxlen=WINDOW)
        self.users: deque[int] = deque(maxlen=WINDOW)  # items that a user has; -1 for a user unknown to the model
        self.bundle: Bundle | None = None

    def reset(self, bundle: Bundle) -> None:
        """Start again with another model: codes mean other items."""
        self.lists, self.users, self.bundle = deque(maxlen=WINDOW), deque(maxlen=WINDOW), bundle

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, as prometheus_client asks for them."""
        values = {
            "distinct_items": ("Different items in the last 1000 lists.", float("nan")),
            "item_coverage": ("Share of the items that may be listed, in the last 1000 lists.", float("nan")),
            "drift_items": ("Jensen-Shannon divergence, 0 to 1, of listed items and training rows.", float("nan")),
            "drift_popularity": ("Mean popularity of listed items over that of training rows.", float("nan")),
            "drift_unknown_users": ("Share of the last 1000 asking users that training did not know.", float("nan")),
            "drift_user_items": ("Mean items of the asking known users over the mean of training.", float("nan")),
        }
        bundle, lists, users = self.bundle, list(self.lists), np.array(self.users, dtype=np.int64)
        found: dict[str, float] = {}
        if bundle is not None and lists:
            found |= _of_lists(bundle, lists)
        if bundle is not None and len(users):
            found["drift_unknown_users"] = float((users < 0).mean())
            if (users >= 0).any():
                mean = max(bundle.histories.nnz / max(bundle.n_users, 1), 1e-9)
                found["drift_user_items"] = float(users[users >= 0].mean() / mean)
        for name, (text, empty) in values.items():
            yield GaugeMetricFamily(name, text, value=found.get(name, empty))


def _of_lists(bundle: Bundle, lists: list[list[int]]) -> dict[str, float]:
    shown = np.bincount(np.array([item for one in lists for item in one], dtype=np.int64), minlength=bundle.n_items)
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
