"""Evaluations of one split become one ranked table: statistics from ``compare``, costs, counts and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.checks import Check
from recsys_lab.comparison import BASELINES, Comparison, compare
from recsys_lab.evaluation import Evaluation
from recsys_lab.experiment import DEFAULT, FIXED
from recsys_lab.leaderboard.appendix import power_notes, seed_notes
from recsys_lab.leaderboard.budgets import budget_columns, budget_notes, check_budgets, untuned
from recsys_lab.leaderboard.check_notes import check_notes, is_sound, table_checks
from recsys_lab.leaderboard.columns import NOT_RANKED, REFERENCE, Column, columns_of
from recsys_lab.leaderboard.windows import over_windows
from recsys_lab.metrics.definitions import lower_is_better
from recsys_lab.tuning import TuningRecord

ORACLE = "Oracle"
# one name of each group must be in the table (EVALUATION §5), or it is marked invalid
REQUIRED = {
    "ranking": (("Random",), ("Popularity",), ("ItemKNN",), ("EASE", "SLIM")),
    "rating": (("Bias", "BaselineOnly"),),
}
FEW_USERS = 200


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
    checks: tuple[Check, ...] = ()  # of its trial
    origin: str = DEFAULT  # of the hyper-parameters: "tuned", "fixed" by hand, or the algorithm's "default"
    tuning: TuningRecord | None = None  # the search; None: nothing was searched
    rolling: bool = False  # the fold is a window in time


@dataclass(frozen=True, eq=False)
class Table:
    """The ranked models of one data set, split and protocol.

    ``frame`` is indexed by model, best first, the Oracle on top: rank_group, family, status, origin, mean, low, high,
    difference, difference_low, difference_high, relative_percent, p, p_holm, dz, wins, ties, losses, verdict,
    n_users, n_seeds, n_trials, search_s, fit_s, ms_per_user, peak_rss_mb, seed_sd, minimum_detectable, catalogue
    metrics. Among tuned models those that were not tuned stand last, without a rank. All measured summaries of a model
    are in ``summaries``. ``notes`` say what to know before believing the table; ``valid`` is False when a required
    baseline is missing or a check of level E failed.
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
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)  # model -> its evaluation card, completed
    windows: pd.DataFrame | None = None  # of a rolling split: model, window, mean, low, high, best model first
    searches: dict[str, TuningRecord] = field(default_factory=dict)  # of the tuned models, best first; of folds one

    @property
    def less_is_better(self) -> bool:
        """Whether a low value of the primary metric is a good one, as for rmse."""
        return lower_is_better(self.primary)

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
    check_baselines: bool = True,
) -> Table:
    """Rank the models of one split.

    Entries of one label are seeds and folds of one model; ``compare`` averages them user by user, and refuses models
    that were measured on other data, splits, protocols or users. ``baselines`` are labels; the Oracle is a reference.
    ``check_baselines=False`` lets a table stand without the required baselines.
    Raises ValueError when there is nothing to rank.
    """
    by_label = _by_label(entries)
    references = [label for label, group in by_label.items() if group[0].evaluation.algorithm == ORACLE]
    if len(by_label) == len(references):
        raise ValueError(f"nothing to rank: no finished trial among {len(entries)} entries but the Oracle")
    check_budgets(by_label)
    apart = untuned(by_label, references)
    present = [label for label in baselines if label in by_label and label not in (*references, *apart)]
    comparison = compare(
        {label: [entry.evaluation for entry in group] for label, group in by_label.items()},
        primary,
        baselines=present or [label for label in BASELINES if label not in apart],
        references=[*references, *apart],
        rolling=entries[0].rolling,
    )
    summaries, some = _summaries(by_label), entries[0].evaluation
    frame = _frame(comparison, by_label, summaries, primary, apart)
    algorithms = {label: group[0].evaluation.algorithm for label, group in by_label.items()}
    task, names = str(some.protocol.get("task", "ranking")), list(algorithms.values())
    missing = missing_baselines(task, names) if check_baselines else []
    checks, told = table_checks(by_label, present, primary), budget_notes(by_label, apart)
    return Table(
        title=" · ".join(part for part in (dataset, entries[0].split) if part) or "leaderboard",
        subtitle=_subtitle(frame, some, primary),
        primary=primary,
        frame=frame,
        summaries=summaries.reindex(frame.index),
        comparison=comparison,
        hashes=_hashes(entries),
        notes=(*_notes(comparison, frame, missing, failures or {}, algorithms), *told, *check_notes(checks)),
        valid=not missing and is_sound(checks),
        failures=dict(failures or {}),
        windows=over_windows(by_label, frame.index, primary) if entries[0].rolling else None,
        searches={label: found for label in frame.index if (found := by_label[label][0].tuning) is not None},
    )


def _by_label(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.label, []).append(entry)
    return found


def missing_baselines(task: str, algorithms: Sequence[str]) -> list[str]:
    """The required baselines that are not among the algorithms, "EASE or SLIM" where either would do."""
    groups = REQUIRED.get(task, ())
    return [" or ".join(group) for group in groups if not set(group) & set(algorithms)]


def _summaries(entries: Mapping[str, Sequence[Entry]]) -> pd.DataFrame:
    """Model × summary metric, means over seeds and folds."""
    means = {label: pd.DataFrame([one.evaluation.summary for one in group]).mean() for label, group in entries.items()}
    return pd.DataFrame(means).T


def _hashes(entries: Sequence[Entry]) -> dict[str, str]:
    some = entries[0].evaluation
    splits = sorted({entry.evaluation.split_hash[:16] for entry in entries})
    return {"data": some.dataset_hash, "split": ", ".join(splits), "protocol": str(some.protocol.get("hash", ""))}


def _frame(
    comparison: Comparison,
    entries: Mapping[str, Sequence[Entry]],
    summaries: pd.DataFrame,
    primary: str,
    apart: Sequence[str],
) -> pd.DataFrame:
    """The comparison's table, with what each model cost and how often it was tried.

    References stand on top and models that are set ``apart`` below, both without a rank.
    """
    frame = comparison.table.drop(columns="is_baseline").astype({"rank_group": np.float64})
    frame.loc[list(apart), "verdict"] = NOT_RANKED
    references = frame.index[frame["verdict"] == REFERENCE]
    last = frame.loc[list(apart)].sort_values("mean", ascending=lower_is_better(primary), kind="stable").index
    frame = frame.loc[[*references, *frame.index.difference([*references, *last], sort=False), *last]]
    nothing = ["difference", "difference_low", "difference_high", "relative_percent", "dz", "wins", "ties", "losses"]
    frame = frame.astype(dict.fromkeys(["wins", "ties", "losses"], np.float64))
    frame.loc[[*references, *last, comparison.best_baseline], nothing] = np.nan  # nothing is compared there
    frame.loc[[*references, *last], "rank_group"] = np.nan
    budgets = budget_columns(entries)
    cutoff = primary.partition("@")[2] or "10"
    catalogue = [f"{name}@{cutoff}" for name in ("item_coverage", "gini", "arp") if f"{name}@{cutoff}" in summaries]
    for label in frame.index:
        group = entries[label]
        costs = pd.DataFrame([vars(entry.evaluation.cost) for entry in group]).mean()
        frame.loc[label, "family"] = group[0].family
        frame.loc[label, "status"] = _status(label, comparison, group, label in apart)
        frame.loc[label, "origin"] = group[0].origin
        frame.loc[label, "n_seeds"] = len({entry.seed for entry in group})
        frame.loc[label, ["n_trials", "search_s"]] = budgets.loc[label, ["n_trials", "search_s"]]
        frame.loc[label, ["fit_s", "ms_per_user", "peak_rss_mb"]] = costs[["fit_s", "ms_per_user", "peak_rss_mb"]]
    frame.index.name = "model"
    return frame.join(comparison.details[["seed_sd", "minimum_detectable"]]).join(summaries[catalogue])


def _status(label: str, comparison: Comparison, entries: Sequence[Entry], apart: bool) -> str:
    if apart:
        return entries[0].origin
    if comparison.table["verdict"][label] == REFERENCE:
        return REFERENCE
    if comparison.table["is_baseline"][label]:
        return "baseline"
    return entries[0].origin


def _subtitle(frame: pd.DataFrame, some: Evaluation, primary: str) -> str:
    threshold = some.protocol.get("relevance_threshold")
    facts = [f"{primary}, mean over users with 95 % interval", f"{int(frame['n_users'].max()):,} users"]
    if some.protocol.get("task") == "ranking":
        facts.append("relevant: every test row" if threshold is None else f"relevant: test ratings from {threshold:g}")
    return " · ".join(facts)


def _notes(
    comparison: Comparison,
    frame: pd.DataFrame,
    missing: Sequence[str],
    failures: Mapping[str, str],
    algorithms: Mapping[str, str],
) -> list[str]:
    notes = [f"FAILED: {label}: {message}" for label, message in failures.items()]
    if missing:
        notes.append(f"INVALID as a claim: without {', '.join(missing)} nobody knows what the numbers are worth.")
    users = int(frame["n_users"].max())
    if users < FEW_USERS:
        notes.append(f"Only {users} users were measured; below {FEW_USERS} the intervals are wide and rough.")
    notes += [*power_notes(comparison), *seed_notes(frame["n_seeds"], algorithms)]
    if frame["status"].isin([DEFAULT, FIXED]).any():
        notes.append(f'Rows marked "{DEFAULT}" or "{FIXED}" were not tuned: a start, not what the algorithm can do.')
    if (frame["status"] == REFERENCE).any():
        notes.append("The Oracle knows the truth from which the data were generated: the best score anyone can reach.")
    return [*notes, *(f"{note[0].upper()}{note[1:]}." if note[-1] != "." else note for note in comparison.notes)]
