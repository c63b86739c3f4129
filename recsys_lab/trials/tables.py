"""What was measured in a notebook, as a table of models and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from recsys_lab import tracking
from recsys_lab.evaluation import Evaluation
from recsys_lab.metrics.definitions import lower_is_better


def family_table(
    folds: Iterable[Mapping[str, Evaluation]], primary: str, metrics: Sequence[str] | None = None
) -> pd.DataFrame:
    """Model × metrics, the best first by ``primary``; means over ``folds`` (label -> evaluation).

    ``metrics=None``: those shown in MLflow, at the primary metric's cut-off, and the costs.
    """
    rows: dict[str, dict[str, list[float]]] = {}
    for found in folds:
        for label, evaluation in found.items():
            row = rows.setdefault(label, {})
            for name, value in _values(evaluation).items():
                row.setdefault(name, []).append(value)
    frame = pd.DataFrame(
        {label: {name: _mean(values) for name, values in row.items()} for label, row in rows.items()}
    ).T
    if metrics is None:
        metrics = tracking.shown_names(list(frame.columns), primary)
    frame = frame.reindex(columns=list(metrics)).rename_axis("model")
    if primary not in frame.columns or frame.empty:
        return frame
    return frame.sort_values(primary, ascending=lower_is_better(primary), kind="stable")


def _values(evaluation: Evaluation) -> dict[str, float]:
    cost = evaluation.cost
    return {**evaluation.summary, "fit_s": cost.fit_s, "ms_per_user": cost.ms_per_user, "peak_rss_mb": cost.peak_rss_mb}


def _mean(values: Iterable[float]) -> float:
    return float(pd.Series(list(values), dtype=float).mean())
