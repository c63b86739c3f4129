"""``compare_datasets``: which models differ over several data sets, by ranks (Demšar, JMLR 7, 2006)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from recsys_lab.comparison.comparing import Comparison
from recsys_lab.comparison.same import differing_fields
from recsys_lab.significance import Friedman, friedman, nemenyi_critical_difference, rank_cliques

MIN_DATASETS = 5
# scales differ between data sets, and so does what counts as relevant on them
MAY_DIFFER = ("relevance_threshold", "hash")


@dataclass(frozen=True, eq=False)
class DatasetsComparison:
    """Models ranked on several data sets, best average rank first.

    ``table`` is indexed by model: average_rank, best_on (data sets where no model was better), and like_the_best
    (whether Nemenyi's test cannot tell it from the first). ``ranks`` and ``values`` are (n_models, n_datasets).
    ``groups`` are the sets of models that cannot be told apart; they may overlap. When Friedman's test (Iman and
    Davenport's form) finds no difference at all, nothing is told apart and all models are one group.
    """

    table: pd.DataFrame
    values: pd.DataFrame
    ranks: pd.DataFrame
    test: Friedman
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    primary: str
    level: float
    notes: tuple[str, ...] = ()

    @property
    def differ(self) -> bool:
        """Whether Friedman's test rejects that all models are alike."""
        return self.test.p_f < 1 - self.level

    def __repr__(self) -> str:
        return (
            f"Average ranks by {self.primary} over {self.ranks.shape[1]} data sets, "
            f"p {self.test.p_f:.3g}, critical difference {self.critical_difference:.2f}\n{self.table.to_string()}"
        )


def compare_datasets(comparisons: Mapping[str, Any], *, level: float = 0.95) -> DatasetsComparison:
    """Compare models over data sets: Friedman's test on ranks, then Nemenyi's critical difference.

    ``comparisons`` maps the name of a data set to what ``compare`` found on it, or to a table of a leaderboard. Models
    that were not measured on all of them, and references, are left out; a note names them.

    Raises ValueError for fewer than 5 data sets or 2 common models, for data that occur twice, and for another primary
    metric or protocol on some of them, naming the fields and both values. The relevance threshold may differ.
    """
    found = {name: getattr(one, "comparison", one) for name, one in comparisons.items()}
    for name, one in found.items():
        if not isinstance(one, Comparison):
            raise TypeError(f"data set {name!r} needs what compare returns; found a {type(one).__name__}")
    if len(found) < MIN_DATASETS:
        raise ValueError(
            f"ranks over data sets need at least {MIN_DATASETS} of them, each one value: with fewer no difference "
            f"is ever sure; found {len(found)} ({', '.join(found) or 'none'}). "
            "Within one data set, compare judges by its users"
        )
    _check_alike(found)
    means = pd.DataFrame({name: one.table["mean"][one.table["verdict"] != "reference"] for name, one in found.items()})
    common = means.dropna()
    if len(common) < 2:
        raise ValueError(
            f"at least 2 models must be measured on every data set; found {len(common)} "
            f"({', '.join(common.index) or 'none'}) of {', '.join(map(str, means.index))}"
        )
    some = next(iter(found.values()))
    higher = some.higher_is_better
    test = friedman(common.to_numpy().T, higher_is_better=higher)
    critical = nemenyi_critical_difference(len(common), len(found), level)
    ranks = common.rank(axis=0, ascending=not higher)
    table = pd.DataFrame({"average_rank": ranks.mean(axis=1), "best_on": (ranks == ranks.min(axis=0)).sum(axis=1)})
    table = table.sort_values("average_rank", kind="stable").rename_axis("model")
    names = [str(name) for name in table.index]
    differ = test.p_f < 1 - level
    positions = rank_cliques(table["average_rank"], critical) if differ else [tuple(range(len(names)))]
    table["like_the_best"] = (table["average_rank"] - table["average_rank"].iloc[0] < critical) | (not differ)
    return DatasetsComparison(
        table=table,
        values=common.loc[names],
        ranks=ranks.loc[names],
        test=test,
        critical_difference=critical,
        groups=tuple(tuple(names[position] for position in group) for group in positions),
        primary=some.primary,
        level=level,
        notes=tuple(_notes(found, means, common, differ)),
    )


def _check_alike(found: Mapping[str, Comparison]) -> None:
    (first_name, first), *others = found.items()
    faults = []
    for name, one in others:
        fields = [("primary", repr(first.primary), repr(one.primary))] if one.primary != first.primary else []
        fields += differing_fields(_without(first.protocol), _without(one.protocol))
        faults += [f"{field}: {first_name} {ours}, {name} {theirs}" for field, ours, theirs in fields]
    if faults:
        raise ValueError(f"data sets can be compared under one protocol only; different are {'; '.join(faults)}")
    for (one_name, one), (other_name, other) in combinations(found.items(), 2):
        if one.dataset_hash == other.dataset_hash:
            raise ValueError(
                f"{one_name!r} and {other_name!r} hold the same data ({one.dataset_hash[:12]}); ranks over data "
                "sets need data sets that are independent of each other"
            )


def _without(protocol: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in protocol.items() if name not in MAY_DIFFER}


def _notes(found: Mapping[str, Comparison], means: pd.DataFrame, common: pd.DataFrame, differ: bool) -> list[str]:
    notes = []
    if not differ:
        notes.append("Friedman's test finds no difference between the models, so no two of them are told apart")
    missing = means.index.difference(common.index)
    if len(missing):
        notes.append(f"left out, as not measured on every data set: {', '.join(map(str, missing))}")
    thresholds = {name: one.protocol.get("relevance_threshold") for name, one in found.items()}
    if len(set(thresholds.values())) > 1:
        shown = ", ".join(f"{name} {value if value is not None else 'every row'}" for name, value in thresholds.items())
        notes.append(f"relevant is what is rated at least: {shown}")
    if len(found) < 10:
        notes.append(f"{len(found)} data sets are few: only large and steady differences of rank can be seen")
    return notes
