"""What was measured and how: checked once, and hashed so that only equal protocols are compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from recsys_lab.data.genres import has_genres
from recsys_lab.data.interactions import Catalogue
from recsys_lab.evaluation.candidates import Candidates
from recsys_lab.metrics.card import Metric
from recsys_lab.metrics.definitions import METRIC_SPEC_VERSION, METRICS, parse_metric

TiePolicy: TypeAlias = Literal["hash", "pessimistic"]
Fallback: TypeAlias = Literal["global_mean", "drop"] | None
Column: TypeAlias = tuple[str, Metric, int]  # name, card, cut-off (0 for a metric without)


@dataclass(frozen=True)
class RankingProtocol:
    """The settings of a ranking evaluation, checked."""

    columns: tuple[Column, ...]  # what is computed
    cutoffs: tuple[int, ...]  # sorted; the lists have the length of the last
    candidates: Candidates
    relevance_threshold: float | None
    exclude_seen: bool
    tie_seed: int
    tie_policy: TiePolicy

    @property
    def k(self) -> int:
        return self.cutoffs[-1]

    def card(self) -> dict[str, Any]:
        """The protocol as plain values, with its hash. The chosen metrics change no number and are left out."""
        return with_hash(
            {
                "task": "ranking",
                "cutoffs": list(self.cutoffs),
                "relevance_threshold": self.relevance_threshold,
                "exclude_seen": self.exclude_seen,
                "candidates": self.candidates.card,
                "tie_seed": self.tie_seed,
                "tie_policy": self.tie_policy,
                "unknown_test_items": "kept",
                "metric_spec_version": METRIC_SPEC_VERSION,
            }
        )


def ranking_protocol(
    catalogue: Catalogue,
    candidates: Candidates,
    *,
    cutoffs: Sequence[int],
    metrics: Sequence[str] | None,
    relevance_threshold: float | None,
    exclude_seen: bool,
    tie_seed: int,
    tie_policy: TiePolicy,
) -> RankingProtocol:
    """The checked settings. Raises ValueError that says what was found and what would be right."""
    if not len(cutoffs) or any(int(k) != k or k < 1 for k in cutoffs):
        raise ValueError(f"cutoffs are whole numbers from 1 up, at least one; found {tuple(cutoffs)}")
    if tie_policy not in ("hash", "pessimistic"):
        raise ValueError(f"tie_policy is 'hash' or 'pessimistic'; found {tie_policy!r}")
    if not 0 <= tie_seed < 2**64:
        raise ValueError(f"tie_seed is a whole number in 0 ... 2**64 - 1; found {tie_seed}")
    columns, chosen = _columns(metrics, sorted({int(k) for k in cutoffs}), catalogue)
    return RankingProtocol(
        columns,
        chosen,
        candidates,
        None if relevance_threshold is None else float(relevance_threshold),
        bool(exclude_seen),
        int(tie_seed),
        tie_policy,
    )


def rating_protocol(rating_fallback: Fallback) -> dict[str, Any]:
    """The protocol of a rating evaluation as plain values, with its hash; what rankings alone need is None."""
    card: dict[str, Any] = dict.fromkeys(
        ("cutoffs", "relevance_threshold", "exclude_seen", "candidates", "tie_seed", "tie_policy")
    )
    card |= {"task": "rating", "rating_fallback": rating_fallback, "clipped_to": "ratings of train"}
    return with_hash(card | {"metric_spec_version": METRIC_SPEC_VERSION})


def with_hash(card: dict[str, Any]) -> dict[str, Any]:
    """The card and "hash", the sha256 of its canonical JSON."""
    text = json.dumps(card, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return card | {"hash": hashlib.sha256(text.encode()).hexdigest()}


def _columns(
    metrics: Sequence[str] | None, cutoffs: list[int], catalogue: Catalogue
) -> tuple[tuple[Column, ...], tuple[int, ...]]:
    if isinstance(metrics, str):
        raise ValueError(f"metrics is a list of names; found the text {metrics!r}, write [{metrics!r}]")
    wanted: list[str] = []
    for name in ["default"] if metrics is None else metrics:
        wanted += default_metrics(catalogue) if name == "default" else [name]
    if not wanted:
        raise ValueError("metrics is empty; leave it out for the default ones")
    columns: dict[str, Column] = {}
    for name in wanted:
        metric, k = parse_metric(name)
        if metric.kind == "rating":
            raise ValueError(f"{name!r} is a metric of ratings; use task='rating'")
        _require_content(metric, catalogue)
        for cutoff in [0] if not metric.needs_cutoff else cutoffs if k is None else [k]:
            columns[metric.column(cutoff)] = (metric.column(cutoff), metric, cutoff)
            if metric.kind == "sampled":  # never without the number of the full ranking beside it
                full = METRICS[metric.name.removeprefix("sampled_")]
                columns.setdefault(full.column(cutoff), (full.column(cutoff), full, cutoff))
    return tuple(columns.values()), tuple(sorted({*cutoffs, *(k for _, _, k in columns.values() if k)}))


def default_metrics(catalogue: Catalogue) -> list[str]:
    """Names without cut-offs of what is computed when nothing is asked for."""
    available = {
        "yes": True,
        "with features": catalogue.item_features is not None,
        "with genres": has_genres(catalogue),
    }
    return [name for name, card in METRICS.items() if card.kind != "rating" and available.get(card.default, False)]


def _require_content(metric: Metric, catalogue: Catalogue) -> None:
    if "item_features" in metric.inputs and catalogue.item_features is None:
        raise ValueError(f"{metric.name!r} needs item features; this catalogue has none (catalogue.item_features)")
    if "genre_weights" in metric.inputs and not has_genres(catalogue):
        raise ValueError(f"{metric.name!r} needs genres; the catalogue's items have no column 'genres'")
