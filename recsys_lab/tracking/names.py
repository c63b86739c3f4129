"""How metrics, tags and pages are called in MLflow, in one place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from recsys_lab.metrics.definitions import lower_is_better

TRIAL, NOTEBOOK = "trial", "notebook"  # values of the tag "kind"

_GROUPS = {
    "rating": ("rmse", "mae", "prediction_coverage"),
    "time": ("fit_s", "ms_per_user"),
    "memory": ("peak_rss_mb",),
    "users": ("n_users", "user_coverage", "tie_at_cutoff_share", "mean_list_length"),
    "beyond": (
        "item_coverage",
        "gini",
        "entropy",
        "novelty",
        "epc",
        "arp",
        "aplt",
        "popularity_lift",
        "serendipity",
        "calibration",
        "intra_list_diversity",
        "inter_list_diversity",
    ),
}
# what a run shows as metrics, at the primary cut-off; everything else is in its artifacts
_SHOWN = {
    "ranking": ("ndcg", "recall", "precision", "map", "mrr", "hit_rate"),
    "beyond": ("item_coverage", "gini", "novelty", "arp", "intra_list_diversity"),
}
_SHOWN_ALONE = ("rmse", "mae", "prediction_coverage", "n_users", "user_coverage", "fit_s", "ms_per_user", "peak_rss_mb")


def metric_key(name: str) -> str:
    """The MLflow name of a metric: "ndcg@10" -> "ranking/ndcg_at_10", "fit_s" -> "time/fit_s".

    MLflow rejects "@", and what stands before "/" becomes a section of its charts.
    """
    base = name.partition("@")[0].partition("[")[0]
    group = "ranking"
    for candidate, members in _GROUPS.items():
        if any(base == member or base.startswith(f"{member}_") for member in members):
            group = candidate
            break
    clean = name.replace("@", "_at_").replace("[", "_").replace("]", "").replace("=", "_").replace("%", "")
    return f"{group}/{clean}"


def shown_names(names: Iterable[str], primary: str) -> list[str]:
    """Those of ``names`` that are shown: at the primary metric's cut-off, at most about 15."""
    cutoff = primary.partition("@")[2].partition("[")[0]
    wanted = [primary]
    for group in ("ranking", "beyond"):
        wanted += [f"{name}@{cutoff}" for name in _SHOWN[group] if cutoff]
    there = set(names)
    return [name for name in dict.fromkeys([*wanted, *_SHOWN_ALONE]) if name in there]


def shown_metrics(means: Mapping[str, float], primary: str) -> dict[str, float]:
    """The shown ones of an evaluation's means under their MLflow names; missing values are left out."""
    return {metric_key(name): float(means[name]) for name in shown_names(means, primary) if not math.isnan(means[name])}


def page(experiment_id: str, primary: str, base: str) -> str:
    """The address of the page that shows an experiment's trials as charts, the best first."""
    order = quote(f"metrics.`{metric_key(primary)}`", safe="")
    ascending = str(lower_is_better(primary)).lower()
    only = quote(f"tags.kind = '{TRIAL}'", safe="")
    return (
        f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&compareRunsMode=CHART"
        f"&searchFilter={only}&orderByKey={order}&orderByAsc={ascending}"
    )


def run_page(experiment_id: str, run_id: str, base: str = "") -> str:
    """The address of one run; without ``base`` a link that works inside MLflow's own pages."""
    return f"{base}{'/' if base else ''}#/experiments/{experiment_id}/runs/{run_id}"
