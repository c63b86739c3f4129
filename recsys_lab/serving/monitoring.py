"""What Prometheus reads: requests, models, reloads, fallbacks, feedback, and how far serving is from training."""

from __future__ import annotations

from functools import partial
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from recsys_lab.serving.drift import Drift
from recsys_lab.serving.schemas import EVENTS

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
REASONS = ("unknown_user", "no_known_items", "cannot_fold_in", "not_served")


class Monitoring:
    """The metrics of one app, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series a counter, which no rule reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        gauge, counter = partial(Gauge, registry=self.registry), partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry, buckets=_SECONDS)
        self.requests = histogram("request_seconds", "Time to answer a request.", ["route", "status"])
        self.scoring = histogram("score_seconds", "Time to compute a list, of the request's time.", ["role"])
        self.model_info = gauge("model_info", "1 for each loaded model.", ["role", "name", "version", "algorithm"])
        self.loaded = gauge("model_loaded_timestamp", "When the model was loaded, Unix time.", ["role"])
        self.stale = gauge("model_stale", "1 while the registry cannot say whether this is the model.", ["role"])
        self.contact = gauge("registry_contact_timestamp", "When the registry last answered, Unix time.")
        self.reloads = counter("reload", "Attempts to load a version.", ["result"])
        self.lists = counter("recommendations", "Lists answered.", ["role", "source"])
        self.fallbacks = counter("fallback", "Lists of popular items, for want of better.", ["reason"])
        self.shadow_overlap = gauge("shadow_overlap", "Share of the champion's items in the unseen list, last one.")
        self.feedback = counter("feedback", "Events accepted.", ["event"])
        self.queued = gauge("feedback_queue", "Rows that wait for the database.", ["kind"])
        self.capacity = gauge("feedback_queue_capacity", "Rows of each kind that may wait.")
        self.dropped = counter(
            "feedback_dropped", "Rows lost: the queue was full, or no database takes them.", ["kind"]
        )
        self.written = counter("feedback_written", "Rows that the database took.", ["kind"])
        self.repeated = counter("feedback_repeated", "Rows that the database had already.", ["kind"])
        self.damaged = counter("feedback_spool_damaged", "Lines of kept feedback that could not be read.")
        self.database = gauge("database_up", "0 while the database does not take rows, or not within 3 s.")
        self.last_write = gauge("database_last_write_timestamp", "When the database last took rows, Unix time.")
        self.recent = gauge("recent_items", "Pairs of a user and an item whose events act on lists.")
        self.followed = gauge("recent_read_timestamp", "When feedback of other replicas was last read, Unix time.")
        self.drift = Drift()
        self.registry.register(self.drift)
        self._requests: dict[tuple[str, int], Any] = {}
        self._scored = {role: self.scoring.labels(role) for role in ("champion", "challenger")}
        self._lists: dict[tuple[str, str], Any] = {}
        for result in ("loaded", "rejected", "failed"):
            self.reloads.labels(result)
        for reason in REASONS:
            self.fallbacks.labels(reason)
        for event in EVENTS:
            self.feedback.labels(event)
        for kind in ("event", "impression"):
            self.dropped.labels(kind)
            self.queued.labels(kind)
            self.repeated.labels(kind)
        for role in ("champion", "challenger"):
            self.stale.labels(role).set(0)

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
