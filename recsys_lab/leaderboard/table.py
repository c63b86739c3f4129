"""Evaluations of one split become one ranked table: seeds and folds combined, statistics from ``compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.comparison import Comparison, compare
from recsys_lab.evaluation import Evaluation
from recsys_lab.leaderboard.columns import REFERENCE, Column, columns_of
from recsys_lab.significance import mean_interval

ORACLE = "Oracle"
# one name of each group must be in the table (EVALUATION §5), or it is marked invalid
REQUIRED = {
    "ranking": (("Random",), ("Popularity",), ("ItemKNN",), ("EASE", "SLIM")),
    "rating": (("Bias", "BaselineOnly"),),
}
FEW_USERS = 200
SUMS = ("n_pairs", "sse", "sae")  # columns of a per-user table that add up over folds


@dataclass(frozen=True, eq=False)
class Entry:
    """One finished trial: which model it is of, and what was measured."""

    label: str  # row of the table: algorithm and the hyper-parameters that tell it from others
    family: str
    evaluation: Evaluation
    seed: int = 0
    fold: int | None = None
    group: str = ""  # hash of the split, the same for all folds of one k_fold; "" = the evaluation's split_hash
    split: str = ""  # the split in words
    is_default: bool = True  # no hyper-parameter was set by hand


@dataclass(frozen=True, eq=False)
class Table:
    """The ranked models of one data set, split and protocol.

    ``frame`` is indexed by model, best first, the Oracle on top: rank_group, family, status, mean, low, high,
    difference, difference_low, difference_high, relative_percent, p, p_holm, dz, wins, ties, losses, verdict,
    n_users, n_seeds, n_trials, fit_s, ms_per_user, peak_rss_mb, catalogue metrics. All measured summaries of a model
    are in ``summaries``. ``notes`` say what to know before believing the table; ``valid`` is False when a required
    baseline is missing.
    """

    title: str
    subtitle: str
    primary: str
    frame: pd.DataFrame
    summaries: pd.DataFrame
    comparison: Comparison
    hashes: dict[str, str]
    notes: tuple[str, ...] = ()
    valid: bool = True
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[Column]:
        """The columns to show, in order."""
        return columns_of(self.frame, self.primary, self.comparison.best_baseline)


def build_table(
    entries: Sequence[Entry],
    *,
    primary: str,
    baselines: Sequence[str] = (),
    dataset: str = "",
    failures: Mapping[str, str] | None = None,
) -> Table:
    """Rank the models of one split.

    Seeds and folds of a label are averaged user by user before anything is compared. ``compare`` refuses models that
    were measured on other data, splits, protocols or users. ``baselines`` are labels; the Oracle is a reference, no
    baseline. Raises ValueError when there is nothing to rank.
    """
    by_label: dict[str, list[Entry]] = {}
    for entry in entries:
        by_label.setdefault(entry.label, []).append(entry)
    models = {label: combine([entry.evaluation for entry in group]) for label, group in by_label.items()}
    oracle = {label: models.pop(label) for label in list(models) if models[label].algorithm == ORACLE}
    if not models:
        raise ValueError(f"nothing to rank: no finished trial among {len(entries)} entries but the Oracle")
    models = {label: _named_split(models[label], by_label[label]) for label in models}
    present = tuple(label for label in baselines if label in models)
    comparison = compare(models, primary=primary, **({"baselines": present} if present else {}))
    some = next(iter(models.values()))
    frame = _frame(comparison, {**oracle, **models}, by_label, primary)
    missing = missing_baselines(some.protocol.get("task", "ranking"), [one.algorithm for one in models.values()])
    split = next(iter(by_label.values()))[0].split
    return Table(
        title=" · ".join(part for part in (dataset, split) if part) or "leaderboard",
        subtitle=_subtitle(frame, some, primary),
        primary=primary,
        frame=frame,
        summaries=pd.DataFrame({label: one.summary for label, one in {**oracle, **models}.items()}).T,
        comparison=comparison,
        hashes={"data": some.dataset_hash, "split": some.split_hash, "protocol": str(some.protocol.get("hash", ""))},
        notes=tuple(_notes(comparison, frame, missing, failures or {}, primary)),
        valid=not missing,
        failures=dict(failures or {}),
    )


def combine(evaluations: Sequence[Evaluation]) -> Evaluation:
    """One evaluation from several seeds or folds of a model: means user by user, of summaries and of costs.

    A user's value is the mean over the evaluations that measured that user; counts and error sums of rating tasks
    are means over seeds. Raises ValueError when data or protocol differ.
    """
    first = evaluations[0]
    if len(evaluations) == 1:
        return first
    for name in ("dataset_hash", "algorithm"):
        found = {getattr(one, name) for one in evaluations}
        if len(found) > 1:
            raise ValueError(f"evaluations of one row must share {name}; found {sorted(found)}")
    protocols = {str(one.protocol.get("hash")) for one in evaluations}
    if len(protocols) > 1:
        raise ValueError(f"evaluations of one row must share their protocol; found the hashes {sorted(protocols)}")
    stacked = pd.concat([one.per_user for one in evaluations])
    per_user = stacked.groupby(level=0, sort=True).mean()
    if "is_cold" in per_user:
        per_user["is_cold"] = per_user["is_cold"] > 0.5
    n_splits = len({one.split_hash for one in evaluations})
    n_seeds = len(evaluations) / n_splits
    for name in SUMS:
        if name in per_user:
            per_user[name] = stacked.groupby(level=0, sort=True)[name].sum() / n_seeds
    summary = pd.DataFrame([one.summary for one in evaluations]).mean().to_dict()
    costs = pd.DataFrame([vars(one.cost) for one in evaluations])
    cost = replace(first.cost, **costs.mean().to_dict())
    return replace(first, per_user=per_user, summary=summary, cost=cost, lists=None)


def missing_baselines(task: str, algorithms: Sequence[str]) -> list[str]:
    """The required baselines that are not among the algorithms, "EASE or SLIM" where either would do."""
    groups = REQUIRED.get(task, ())
    return [" or ".join(group) for group in groups if not set(group) & set(algorithms)]


def _named_split(evaluation: Evaluation, entries: Sequence[Entry]) -> Evaluation:
    """Folds of one k_fold share a group; the combined evaluation carries it as its split."""
    groups = {entry.group or entry.evaluation.split_hash for entry in entries}
    if len(groups) > 1:
        raise ValueError(f"{entries[0].label}: one row must come from one split; found the hashes {sorted(groups)}")
    return replace(evaluation, split_hash=groups.pop())


def _frame(
    comparison: Comparison, models: Mapping[str, Evaluation], entries: Mapping[str, Sequence[Entry]], primary: str
) -> pd.DataFrame:
    frame = comparison.table.copy()
    frame["status"] = [_status(label, comparison, entries[label]) for label in frame.index]
    ascending = bool(_less_is_better(primary))
    frame = frame.sort_values("mean", ascending=ascending, kind="stable")
    for label in [label for label in models if label not in frame.index]:
        values = models[label].per_user[primary].dropna().to_numpy(dtype=np.float64)
        mean, low, high = _interval(values)
        row = {"mean": models[label].summary.get(primary, mean), "low": low, "high": high, "n_users": len(values)}
        frame = pd.concat([pd.DataFrame([{**row, "status": REFERENCE}], index=[label]), frame])
    cutoff = primary.partition("@")[2] or "10"
    tried: dict[str, int] = {}
    for label in frame.index:
        tried[models[label].algorithm] = tried.get(models[label].algorithm, 0) + 1
    extra: dict[str, dict[str, Any]] = {}
    for label in frame.index:
        one = models[label]
        extra[label] = {
            "family": entries[label][0].family,
            "n_seeds": len({entry.seed for entry in entries[label]}),
            "n_trials": tried[one.algorithm],
            "fit_s": one.cost.fit_s,
            "ms_per_user": one.cost.ms_per_user,
            "peak_rss_mb": one.cost.peak_rss_mb,
            **{key: one.summary[key] for key in _catalogue_metrics(cutoff) if key in one.summary},
        }
    frame.index.name = "model"
    return frame.join(pd.DataFrame.from_dict(extra, orient="index"))


def _interval(values: Any) -> tuple[float, float, float]:
    found = mean_interval(values)
    mean, low, high = (found.mean, found.low, found.high) if hasattr(found, "low") else found
    return float(mean), float(low), float(high)


def _catalogue_metrics(cutoff: str) -> tuple[str, ...]:
    return tuple(f"{name}@{cutoff}" for name in ("item_coverage", "gini", "arp"))


def _less_is_better(primary: str) -> bool:
    return primary.partition("_")[0] in {"rmse", "mae"}


def _status(label: str, comparison: Comparison, entries: Sequence[Entry]) -> str:
    if bool(comparison.table.loc[label, "is_baseline"]):
        return "baseline"
    return "default" if entries[0].is_default else "set"


def _subtitle(frame: pd.DataFrame, some: Evaluation, primary: str) -> str:
    threshold = some.protocol.get("relevance_threshold")
    facts = [f"{primary}, mean over users ± 95 % interval", f"{int(frame['n_users'].max()):,} users"]
    if some.protocol.get("task") == "ranking":
        facts.append("relevant: every test row" if threshold is None else f"relevant: test ratings from {threshold:g}")
    return " · ".join(facts)


def _notes(
    comparison: Comparison, frame: pd.DataFrame, missing: Sequence[str], failures: Mapping[str, str], primary: str
) -> list[str]:
    notes = []
    if missing:
        notes.append(f"INVALID as a claim: without {', '.join(missing)} nobody knows what the numbers are worth.")
    users = int(frame["n_users"].max())
    if users < FEW_USERS:
        notes.append(f"Only {users} users were measured; below {FEW_USERS} the intervals are wide and rough.")
    seen = comparison.minimum_detectable_difference
    if np.ndim(seen) == 0 and np.isfinite(float(seen)):
        notes.append(
            f"Differences of {float(seen):.4f} {primary} could be seen with a power of 80 %; smaller ones may hide."
        )
    if (frame["status"] == "default").any():
        notes.append('Rows marked "default" or "set" were not tuned: they are a start, not what the algorithm can do.')
    if (frame["status"] == REFERENCE).any():
        notes.append("The Oracle knows the truth from which the data were generated: the best score anyone can reach.")
    notes += [f"FAILED: {label}: {message}" for label, message in failures.items()]
    return notes
