"""From values of users to a judgement: means, differences with intervals, p-values corrected by Holm, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from recsys_lab.comparison.testing import verdict
from recsys_lab.judgement.arms import Arms, choose_arms
from recsys_lab.judgement.values import METRICS, PAIRED, Values, paired_values, split_values
from recsys_lab.serving.storage import Database
from recsys_lab.significance import (
    IndependentTest,
    PairedTest,
    holm,
    mean_interval,
    minimum_detectable_between,
    minimum_detectable_difference,
    paired_test,
    sample_ratio_p,
    shuffle_ps,
    sign_flip_p,
    welch_test,
)

RATIO_ALPHA = 0.001  # below it, users did not reach the arms as they were drawn
FEW_ACTING = 10  # users with a value other than 0: no interval of a mean covers with fewer (docs/statistics.md)
FEW_USERS = 200
NOT_JUDGED, TOO_FEW = "not judged", "too few"


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a comparison of two served versions found; differences are challenger minus champion.

    ``table``, indexed by metric: champion, challenger (means over users, each with ``_low`` and ``_high``), n_champion,
    n_challenger (users), difference, difference_low, difference_high, relative_percent, d (Cohen's, by the pooled
    standard deviation; of pairs by that of the differences), p, p_holm, minimum_detectable (80 % power), verdict:
    better, worse, equivalent, inconclusive (not told apart, or perhaps too little to matter), too few, not judged.
    ``ratio_p`` says whether users reached the arms as they were drawn (NaN for pairs).
    """

    design: str  # "split" or "shadow"
    arms: Arms
    table: pd.DataFrame
    share: float
    ratio_p: float
    level: float
    min_effect: float
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether anything may be concluded: False when users did not reach the arms as they were drawn."""
        return not self.ratio_p < RATIO_ALPHA


def judge_split(
    database: Database,
    share: float,
    *,
    champion: str = "",
    challenger: str = "",
    since: float | None = None,
    until: float | None = None,
    level: float = 0.95,
    min_effect: float = 0.01,
    seed: int = 0,
) -> Judgement:
    """Judge lists that a split by users gave: ``share`` of them got the challenger's (RECSYS_LAB_AB_SHARE).

    ``champion``, ``challenger``: versions, without them the last that answered at the same time; ``since``, ``until``:
    Unix seconds. Raises LookupError when there is nothing to compare.
    """
    if not 0 < share < 1:
        raise ValueError(
            f"the share of the users that the challenger answers is {share:g}; right would be the "
            "RECSYS_LAB_AB_SHARE of the replicas, above 0 and below 1 (--share 0.1), or --shadow"
        )
    arms = choose_arms(database, "challenger", champion=champion, challenger=challenger, since=since, until=until)
    values = split_values(database, arms, share)
    n, m = len(values.champion), len(values.challenger)
    _need_users(n, m, arms, values)
    ratio_p = sample_ratio_p([n, m], [1 - share, share])
    metrics = {name: higher for name, higher in METRICS.items() if _happened(values, name)}
    table = _table(values, metrics, level, seed)
    for name in metrics:
        first, second = values.challenger[name].to_numpy(), values.champion[name].to_numpy()
        test = welch_test(first, second, level)
        seen = minimum_detectable_between(first, second, level=level, n_comparisons=len(metrics))
        _write(table, name, test, test.d, seen)
    names = list(metrics)
    table["p"] = shuffle_ps(values.challenger[names].to_numpy(), values.champion[names].to_numpy(), seed=seed)
    _judge(table, values, metrics, level, min_effect)
    notes = [*arms.notes, *_about_users(n, m, table), *_about_metrics(values, metrics)]
    if ratio_p < RATIO_ALPHA:
        table["verdict"] = NOT_JUDGED
        notes.insert(
            0,
            f"the users are not split as drawn: {n:,} with the champion and {m:,} with the challenger, where a share "
            f"of {share:g} gives {(n + m) * (1 - share):,.0f} and {(n + m) * share:,.0f} (chi-square, "
            f"p = {ratio_p:.2g}): the share is another one or was changed meanwhile, or lists of one arm are lost. "
            "Nothing can be concluded",
        )
    return Judgement("split", arms, table, share, ratio_p, level, min_effect, values.counts, tuple(notes))


def judge_shadow(
    database: Database,
    *,
    champion: str = "",
    challenger: str = "",
    since: float | None = None,
    until: float | None = None,
    level: float = 0.95,
    min_effect: float = 0.01,
    seed: int = 0,
) -> Judgement:
    """Judge the lists that a challenger made in the shadow by what people did with those of the champion, by user.

    People act on what they see, so this favours the champion: "better" can be believed, and a challenger that is behind
    may be so because nobody saw its lists; its verdict is then inconclusive.
    """
    arms = choose_arms(database, "shadow", champion=champion, challenger=challenger, since=since, until=until)
    values = paired_values(database, arms)
    n = len(values.champion)
    _need_users(n, n, arms, values)
    metrics = {name: higher for name, higher in PAIRED.items() if _happened(values, name)}
    table = _table(values, metrics, level, seed)
    for name in metrics:
        first, second = values.challenger[name].to_numpy(), values.champion[name].to_numpy()
        test = paired_test(first, second, level)
        seen = minimum_detectable_difference(first - second, level=level, n_comparisons=len(metrics))
        _write(table, name, test, test.dz, seen)
        table.loc[name, "p"] = sign_flip_p(first - second, seed=seed)
    _judge(table, values, metrics, level, min_effect)
    table["verdict"] = table["verdict"].replace("worse", "inconclusive")
    notes = [
        "people act on what they see: this favours the champion, whose lists were shown. Better can be believed; "
        "behind is no verdict, and only an A/B split gives one (RECSYS_LAB_AB_SHARE)",
        *arms.notes,
        *_about_users(n, n, table),
        *_about_metrics(values, metrics),
    ]
    return Judgement("shadow", arms, table, 0.0, float("nan"), level, min_effect, values.counts, tuple(notes))


def _need_users(n: int, m: int, arms: Arms, values: Values) -> None:
    if min(n, m) >= 2:
        return
    found = ", ".join(f"{name} {count:,}" for name, count in values.counts.items()) or "no lists"
    raise LookupError(
        f"too few users to compare: {n} with the champion ({arms.champion}) and {m} with the {arms.challenger.role} "
        f"({arms.challenger}); right would be 2 or more, and hundreds to see anything. Found: {found}"
    )


def _happened(values: Values, name: str) -> bool:
    return bool((values.champion[name] != 0).any() or (values.challenger[name] != 0).any())


def _table(values: Values, metrics: Mapping[str, bool], level: float, seed: int) -> pd.DataFrame:
    """The means with their intervals, by metric."""
    rows = {}
    for name in metrics:
        row: dict[str, float] = {}
        for arm, frame in (("champion", values.champion), ("challenger", values.challenger)):
            found = mean_interval(frame[name].to_numpy(), level, seed=seed)
            row |= {arm: found.mean, f"{arm}_low": found.low, f"{arm}_high": found.high, f"n_{arm}": found.n}
        rows[name] = row
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=np.float64)
    table.index.name = "metric"
    return table


def _write(table: pd.DataFrame, name: str, test: IndependentTest | PairedTest, d: float, detectable: float) -> None:
    columns = ["difference", "difference_low", "difference_high", "d", "minimum_detectable"]
    table.loc[name, columns] = [test.difference, test.low, test.high, d, detectable]


def _judge(table: pd.DataFrame, values: Values, metrics: Mapping[str, bool], level: float, min_effect: float) -> None:
    """Write relative_percent, p_holm over the metrics, and the verdicts."""
    if not len(table):
        raise LookupError(
            "nobody clicked, liked or disliked anything on these lists; feedback has to carry the list_id of the list "
            "that the item stood in"
        )
    base = table["champion"].abs()
    table["relative_percent"] = 100 * table["difference"] / base.where(base > 0)
    table["p_holm"] = holm(table["p"].to_numpy(dtype=np.float64))
    verdicts = []
    for name, higher in metrics.items():
        acting = sum(int((frame[name] != 0).sum()) for frame in (values.champion, values.challenger))
        floor = min_effect * float(base[name])
        found = verdict(table.loc[name], float(table["p_holm"][name]), floor, 1 - level, higher)
        verdicts.append(TOO_FEW if acting < FEW_ACTING else found)
    table["verdict"] = verdicts


def _about_users(n: int, m: int, table: pd.DataFrame) -> list[str]:
    notes = []
    few = [str(name) for name in table.index[table["verdict"] == TOO_FEW]]
    if few:
        notes.append(
            f"too few: of {', '.join(few)}, fewer than {FEW_ACTING} users have a value other than 0, and no interval "
            "covers then; wait for more"
        )
    if min(n, m) < FEW_USERS:
        notes.append(f"fewer than {FEW_USERS} users ({min(n, m)}): only large differences are seen")
    return notes


def _about_metrics(values: Values, metrics: Mapping[str, bool]) -> list[str]:
    left = [str(name) for name in values.champion.columns if name not in metrics]
    return [f"nothing happened that {', '.join(left)} would count"] if left else []
