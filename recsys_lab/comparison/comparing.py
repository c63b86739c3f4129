"""``compare``: which models differ, by how much, and how sure that is. Methods: docs/statistics.md."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from recsys_lab.comparison.tables import judge, one_by_one
from recsys_lab.comparison.testing import CORRECTIONS, all_pairs, correct_for_choice, foresight, pair_matrix
from recsys_lab.comparison.values import Measured, measured_values
from recsys_lab.metrics.definitions import parse_metric
from recsys_lab.significance import rank_groups

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
    corrected for the number of challengers, and for the choice of the best among baselines that cannot be told apart.
    verdict: better, worse, equivalent or inconclusive for challengers, else "baseline" or "reference".

    ``details`` (same index): p_sign_flip, p_users (the paired t over users, which is p unless there are folds),
    p_benjamini_hochberg, n_seeds, seed_sd, minimum_detectable, power_min_effect. ``pairs``: first, second, difference,
    low, high, p and p_holm of every pair but references. ``values`` (n_users, n_models) are the numbers compared.
    ``minimum_detectable_difference`` is the median over the challengers (80 % power, .05 divided by their number), NaN
    without challengers. ``correction`` names the p that verdicts are made by. ``notes`` say what was averaged and what
    is missing. ``dataset_hash`` and ``protocol`` are those of all evaluations.
    """

    table: pd.DataFrame
    primary: str
    best_baseline: str
    minimum_detectable_difference: float
    level: float
    min_effect: float
    details: pd.DataFrame
    pairs: pd.DataFrame
    values: pd.DataFrame
    notes: tuple[str, ...] = ()
    correction: str = "holm"
    higher_is_better: bool = True
    dataset_hash: str = ""
    protocol: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = self.table[["rank_group", "mean", "low", "high", "difference", "p_holm", "verdict"]]
        return f"Comparison by {self.primary}, differences to {self.best_baseline}\n{shown.to_string()}"


def compare(
    evaluations: Evaluations,
    primary: str = "ndcg@10",
    baselines: Sequence[str] = BASELINES,
    references: Sequence[str] = REFERENCES,
    *,
    level: float = 0.95,
    min_effect: float = 0.01,
    higher_is_better: bool | None = None,
    correction: str = "holm",
    rolling: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare models by ``primary``: every challenger against the best of the ``baselines``, user by user.

    A model may have several evaluations: those with one split hash are seeds, and a user's value is their mean; those
    with different split hashes are folds: a user's value is the mean over the folds that test the user, and differences
    are tested by Nadeau and Bengio's corrected t over the folds. ``rolling``: they are windows in time instead, and
    differences are tested over users, each with the mean over the windows that test the user. For rmse and mae the
    compared values are each user's part in the micro error (docs/statistics.md), so the mean in the table is the rmse
    over all pairs. ``references`` are shown apart and not tested. ``min_effect`` is the difference that matters, as a
    share of the best baseline's mean. ``higher_is_better`` is taken from the metric's card unless given. ``correction``
    decides by which p the verdicts are made: "holm" keeps the chance of any false one below .05, "benjamini_hochberg"
    the expected share of false ones.

    Without a baseline among the models, differences are to the best model, and a note says so.

    Raises ValueError, naming fields and models, when data, split, protocol or users differ, for a metric that is not
    measured per user, and for names that no model has.
    """
    _check_names(evaluations, baselines, references, correction)
    higher = _direction(primary) if higher_is_better is None else higher_is_better
    measured = measured_values(evaluations, primary, rolling=rolling)
    return _compared(measured, primary, baselines, references, level, min_effect, higher, correction, seed)


def _compared(
    measured: Measured,
    primary: str,
    baselines: Sequence[str],
    references: Sequence[str],
    level: float,
    min_effect: float,
    higher: bool,
    correction: str,
    seed: int,
) -> Comparison:
    """What ``compare`` returns, from values that may be compared."""
    apart = [name for name in references if name in measured.values]
    means = _means(measured.values.drop(columns=apart), higher)
    ranked = [str(name) for name in means.index]
    present = [name for name in ranked if name in baselines]
    best = present[0] if present else ranked[0]
    table, details = one_by_one(measured, [*ranked, *apart], best, level, higher, seed)
    table["is_baseline"] = table.index.isin(present)
    pairs = all_pairs(measured, ranked, level)
    groups = rank_groups(means.to_numpy(), pair_matrix(pairs, ranked, "p_holm"), higher_is_better=higher, level=level)
    table["rank_group"] = [*groups, *[0] * len(apart)]
    challengers = [name for name in ranked if name not in (*present, best)]
    rivals = _rivals(pairs, ranked, present or ranked, challengers, best, 1 - level)
    floor = min_effect * abs(float(table["mean"][best]))
    details = details.join(foresight(measured, challengers, best, floor, level))
    p_values = correct_for_choice(table, rivals, higher)
    notes = judge(table, details, p_values, floor, 1 - level, higher, correction)
    if not present:
        notes.insert(0, f"no baseline among the models; differences are to the best of them, {best}")
    return Comparison(
        table=table[COLUMNS],
        primary=primary,
        best_baseline=best,
        minimum_detectable_difference=float(details["minimum_detectable"].median()),
        level=level,
        min_effect=min_effect,
        details=details,
        pairs=pairs,
        values=measured.values[[*ranked, *apart]],
        notes=(*measured.notes, *notes),
        correction=correction,
        higher_is_better=higher,
        dataset_hash=measured.dataset_hash,
        protocol=measured.protocol,
    )


def _direction(primary: str) -> bool:
    metric, _ = parse_metric(primary)
    if metric.better == "neither":
        raise ValueError(f"neither high nor low values of {primary!r} are better; pass higher_is_better")
    return metric.better == "higher"


def _means(values: pd.DataFrame, higher: bool) -> pd.Series:
    """The means of the models that are ranked, best first."""
    if not len(values.columns):
        raise ValueError("only references were given; nothing is left to compare")
    return values.mean().sort_values(ascending=not higher, kind="stable")


def _rivals(
    pairs: pd.DataFrame, ranked: list[str], candidates: list[str], challengers: list[str], best: str, alpha: float
) -> dict[str, int]:
    """By challenger: how many candidates for the measure but itself cannot be told apart from the best, it included."""
    p = pd.Series(pair_matrix(pairs, ranked, "p")[ranked.index(best)], ranked)
    alike = [name for name in candidates if p[name] >= alpha]
    return {challenger: sum(name != challenger for name in alike) for challenger in challengers}


def _check_names(
    evaluations: Evaluations, baselines: Sequence[str], references: Sequence[str], correction: str
) -> None:
    if correction not in CORRECTIONS:
        raise ValueError(f"unknown correction {correction!r}; right would be {' or '.join(CORRECTIONS)}")
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
