"""``compare``: which models differ, by how much, and how sure that is. Methods: docs/statistics.md."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from recsys_lab.comparison.values import Measured, measured_values
from recsys_lab.metrics.definitions import parse_metric
from recsys_lab.significance import (
    holm,
    mean_interval,
    minimum_detectable_difference,
    nadeau_bengio,
    paired_test,
    rank_groups,
    sign_flip_ps,
    wins_ties_losses,
)

if TYPE_CHECKING:
    from recsys_lab.evaluation import Evaluation

Evaluations: TypeAlias = "Mapping[str, Evaluation | Sequence[Evaluation]]"

BASELINES = ("Random", "Popularity", "RecentPopularity", "Bias", "NormalPredictor")
REFERENCES = ("Oracle",)
COLUMNS = [
    "rank_group", "mean", "low", "high", "n_users", "difference", "difference_low", "difference_high",
    "relative_percent", "p", "p_holm", "dz", "wins", "ties", "losses", "verdict", "is_baseline",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models measured on the same users, best first; references (the Oracle) last.

    ``table`` is indexed by model. rank_group: models of one group cannot be told apart from its leader (0 = reference).
    mean, low, high, n_users: the primary metric. difference (with its interval), relative_percent, p, dz, wins, ties,
    losses: the model minus ``best_baseline``, user by user; a win is a user for whom the model is better. p_holm: p
    corrected for the number of challengers. verdict: better, worse, equivalent or inconclusive for challengers, else
    "baseline" or "reference".

    ``details`` (same index): p_sign_flip, p_folds, n_seeds, seed_sd, minimum_detectable. ``values`` (n_users, n_models)
    are the numbers compared. ``minimum_detectable_difference`` is the median over the challengers (80 % power, .05
    divided by their number), NaN without challengers. ``notes`` say what was averaged and what is missing.
    """

    table: pd.DataFrame
    primary: str
    best_baseline: str
    minimum_detectable_difference: float
    level: float
    min_effect: float
    details: pd.DataFrame
    values: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = self.table[["rank_group", "mean", "low", "high", "difference", "p_holm", "verdict"]]
        return f"Comparison by {self.primary}, differences to {self.best_baseline}\n{shown.to_string()}"

    def all_pairs(self) -> pd.DataFrame:
        """Every pair of models: difference (first - second) with interval, p, and p_holm over all pairs."""
        pairs = list(combinations(self.values.columns, 2))
        tests = [paired_test(self.values[first], self.values[second], self.level) for first, second in pairs]
        frame = pd.DataFrame(
            [(*pair, test.difference, test.low, test.high, test.p) for pair, test in zip(pairs, tests)],
            columns=["first", "second", "difference", "low", "high", "p"],
        )
        frame["p_holm"] = holm(frame["p"].to_numpy(dtype=np.float64)) if len(frame) else []
        return frame


def compare(
    evaluations: Evaluations,
    primary: str = "ndcg@10",
    baselines: Sequence[str] = BASELINES,
    references: Sequence[str] = REFERENCES,
    *,
    level: float = 0.95,
    min_effect: float = 0.01,
    higher_is_better: bool | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare models by ``primary``: every challenger against the best of the ``baselines``, user by user.

    A model may have several evaluations: those with one split hash are seeds, and a user's value is their mean; those
    with different split hashes are folds, and a user's value is the mean over the folds that test the user. For rmse
    and mae the compared values are each user's part in the micro error (docs/statistics.md), so the mean in the table
    is the rmse over all pairs. ``references`` are shown apart and not tested. ``min_effect`` is the difference that
    matters, as a share of the best baseline's mean. ``higher_is_better`` is taken from the metric's card unless given.

    Without a baseline among the models, differences are to the best model, and a note says so.

    Raises ValueError, naming fields and models, when data, split, protocol or users differ, for a metric that is not
    measured per user, and for names that no model has.
    """
    _check_names(evaluations, baselines, references)
    higher = _direction(primary) if higher_is_better is None else higher_is_better
    measured = measured_values(evaluations, primary)
    values, notes = measured.values, list(measured.notes)
    shown_apart = [name for name in references if name in values]
    means = values.drop(columns=shown_apart).mean().sort_values(ascending=not higher, kind="stable")
    if not len(means):
        raise ValueError(f"only references ({', '.join(shown_apart)}) were given; nothing is left to compare")
    present = [str(name) for name in means.index if name in baselines]
    best = present[0] if present else str(means.index[0])
    if not present:
        notes.append(f"no baseline among the models; differences are to the best of them, {best}")
    order = [*map(str, means.index), *shown_apart]
    table, details = _tables(measured, order, best, level, higher, seed)
    table["is_baseline"] = [name in present for name in order]
    groups = rank_groups(values[order[: len(means)]].to_numpy(), higher_is_better=higher, level=level)
    table["rank_group"] = [*groups, *[0] * len(shown_apart)]
    challengers = [name for name in order if name not in (*present, best, *shown_apart)]
    _judge(table, challengers, best, shown_apart, min_effect, level, higher)
    detectable = [
        minimum_detectable_difference(values[name] - values[best], level=level, n_comparisons=len(challengers))
        for name in challengers
    ]
    details["minimum_detectable"] = pd.Series(detectable, index=challengers, dtype=np.float64)
    middle = float(np.median(detectable)) if detectable else float("nan")
    return Comparison(table[COLUMNS], primary, best, middle, level, min_effect, details, values[order], tuple(notes))


def _tables(
    measured: Measured, order: list[str], best: str, level: float, higher: bool, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables without what concerns all models together."""
    base, losses = measured.values[best].to_numpy(), measured.ordered[best].to_numpy()
    rows, details = [], []
    for name in order:
        values = measured.values[name].to_numpy()
        mean = mean_interval(values, level, seed=seed)
        test = paired_test(values, base, level)
        gains = measured.ordered[name].to_numpy() - losses
        wins, ties, lost = wins_ties_losses(gains if higher else -gains)
        rows.append(
            {
                "mean": mean.mean,
                "low": mean.low,
                "high": mean.high,
                "n_users": mean.n,
                "difference": test.difference,
                "difference_low": test.low,
                "difference_high": test.high,
                "relative_percent": _percent(test.difference, float(base.mean())),
                "p": test.p,
                "p_holm": np.nan,
                "dz": test.dz,
                "wins": wins,
                "ties": ties,
                "losses": lost,
            }
        )
        details.append(
            {
                "p_folds": _folds_p(measured.by_split[name] - measured.by_split[best], level)
                if name != best
                else np.nan,
                "n_seeds": measured.n_seeds[name],
                "seed_sd": measured.seed_sd[name],
            }
        )
    index = pd.Index(order, name="model")
    flips = sign_flip_ps(measured.values[order].to_numpy() - base[:, None], seed=seed)
    flips[order.index(best)] = np.nan
    return pd.DataFrame(rows, index=index), pd.DataFrame(details, index=index).assign(p_sign_flip=flips)


def _judge(
    table: pd.DataFrame,
    challengers: list[str],
    best: str,
    shown_apart: list[str],
    min_effect: float,
    level: float,
    higher: bool,
) -> None:
    """Write p_holm and verdict. The family of tests is the challengers against the best baseline."""
    table.loc[[best, *shown_apart], "p"] = np.nan
    table.loc[challengers, "p_holm"] = holm(table.loc[challengers, "p"].to_numpy(dtype=np.float64))
    floor = min_effect * abs(float(table["mean"][best]))
    verdicts = dict.fromkeys(table.index, "baseline") | dict.fromkeys(shown_apart, "reference")
    if not table["is_baseline"].any():
        verdicts[best] = "best model"
    for name in challengers:
        verdicts[name] = _verdict(table.loc[name], floor, 1 - level, higher)
    table["verdict"] = [verdicts[name] for name in table.index]


def _verdict(row: Any, floor: float, alpha: float, higher: bool) -> str:
    """better, worse: significant, and at least ``floor``. equivalent: the whole interval lies within ± ``floor``."""
    low, high = float(row["difference_low"]), float(row["difference_high"])
    if -floor <= low and high <= floor:
        return "equivalent"
    if row["p_holm"] < alpha and abs(row["difference"]) >= floor:
        return "better" if (row["difference"] > 0) == higher else "worse"
    return "inconclusive"


def _folds_p(differences: Any, level: float) -> float:
    """Nadeau and Bengio's p over the means of the k folds; NaN for one split."""
    k = len(differences)
    return float("nan") if k < 2 else nadeau_bengio(differences, 1.0 / (k - 1), level).p


def _percent(difference: float, base: float) -> float:
    return float("nan") if base == 0 else 100.0 * difference / abs(base)


def _direction(primary: str) -> bool:
    metric, _ = parse_metric(primary)
    if metric.better == "neither":
        raise ValueError(f"neither high nor low values of {primary!r} are better; pass higher_is_better")
    return metric.better == "higher"


def _check_names(evaluations: Evaluations, baselines: Sequence[str], references: Sequence[str]) -> None:
    if not isinstance(evaluations, Mapping):
        raise TypeError(
            f"compare needs a dict from the model's name to its evaluation; found a {type(evaluations).__name__}"
        )
    if not evaluations:
        raise ValueError("compare needs at least one evaluation; found none")
    for role, names, usual in (("baseline", baselines, BASELINES), ("reference", references, REFERENCES)):
        if isinstance(names, str):
            raise TypeError(f"{role}s is a list of names; found the text {names!r}, write ({names!r},)")
        for name in names:
            if name not in evaluations and name not in usual:
                close = difflib.get_close_matches(name, list(evaluations), n=1)
                meant = f"; did you mean {close[0]!r}?" if close else "."
                raise ValueError(
                    f"no model is called {name!r}, named as a {role}{meant} Models: {', '.join(evaluations)}"
                )
