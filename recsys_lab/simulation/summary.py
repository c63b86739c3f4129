"""How often each protocol is right, from the table of ``simulate``."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from recsys_lab.simulation.study import EVERY_ROW, TRUTH
from recsys_lab.simulation.truth import LIKED

PROTOCOL = ["split", "relevance", "metric"]


def pairs_by_truth(table: pd.DataFrame, truth: str = LIKED) -> pd.DataFrame:
    """One row a data set, protocol and pair of models: what was measured beside what is true.

    Columns seed, split, relevance, metric, first, second, value, low, high, expected; ``elsewhere``: the mean of the
    measured difference over all other data sets; ``true``: the true difference; ``clear``: its interval over users
    excludes 0, so that it is more than an accident of who the users were.
    """
    measured, true = _apart(table, truth)
    pairs = measured[measured["second"].ne("")].copy()
    real = true[true["second"].ne("")].set_index(["seed", "first", "second"])
    found = real.loc[pd.MultiIndex.from_frame(pairs[["seed", "first", "second"]])]
    pairs["true"] = found["value"].to_numpy()
    pairs["clear"] = (found["low"].to_numpy() > 0) | (found["high"].to_numpy() < 0)
    groups = pairs.groupby([*PROTOCOL, "first", "second"])["value"]
    n = groups.transform("size")
    with np.errstate(invalid="ignore"):
        pairs["elsewhere"] = (groups.transform("sum") - pairs["value"]) / (n - 1)
    return pairs.reset_index(drop=True)


def true_and_measured(table: pd.DataFrame, truth: str = LIKED) -> pd.DataFrame:
    """One row a data set, protocol and model: seed, split, relevance, metric, model, measured, true."""
    measured, true = _apart(table, truth)
    models = measured[measured["second"].eq("")]
    real = true[true["second"].eq("")].set_index(["seed", "first"])["value"]
    found = models[["seed", *PROTOCOL, "first", "value"]].rename(columns={"first": "model", "value": "measured"})
    found["true"] = real.loc[pd.MultiIndex.from_frame(models[["seed", "first"]])].to_numpy()
    return found.reset_index(drop=True)


def protocols(table: pd.DataFrame, truth: str = LIKED) -> pd.DataFrame:
    """One row a protocol (split, relevance, metric) with what it gets right, means over the data sets.

    - tau: Kendall's tau-b of the measured and the true values of the models; tau_se its standard error over data sets.
    - pairs_right: share of the clear pairs (``pairs_by_truth``) that are measured in their true order, a tie half.
    - best_found: how often the best measured model is the truly best one; regret: what the choice costs, the true
      value of the truly best less that of the best measured; regret_percent: the same of the truly best's value.
    - covers_expected: how often the interval of a difference covers its expectation over test rows drawn anew, for the
      same users and fitted models. The intervals promise more, a population of users, so it should be at or above the
      level. covers_elsewhere: how often it covers the mean difference on all other data sets, with their own users,
      items and fits. Nobody promises that, but it is what a reader who generalises takes for granted.
    - right, open, wrong: of the clear pairs, how often the interval excludes 0 on the true side, includes 0, or
      excludes 0 on the wrong side: a significant difference that is not so.

    Every pair of every data set counts once. Only pairs that are clear by ``truth`` count in pairs_right, right, open
    and wrong; ``n_pairs`` is their number.
    """
    pairs = pairs_by_truth(table, truth)
    pairs["right_order"] = np.where(pairs["value"] == 0, 0.5, pairs["value"] * pairs["true"] > 0)
    for name in ("expected", "elsewhere"):
        known = pairs["low"].notna() & pairs[name].notna()  # a single user has no interval, a single data set no others
        pairs[f"covers_{name}"] = pairs[name].between(pairs["low"], pairs["high"]).astype(float).where(known)
    sign = np.where(pairs["low"] > 0, 1, np.where(pairs["high"] < 0, -1, 0))
    pairs["right"], pairs["open"] = sign == np.sign(pairs["true"]), sign == 0
    pairs["wrong"] = ~pairs["right"] & ~pairs["open"]
    clear = pairs[pairs["clear"]].groupby(PROTOCOL, sort=False)
    found = clear.agg(
        n_pairs=("clear", "size"), pairs_right=("right_order", "mean"), right=("right", "mean"), open=("open", "mean"),
        wrong=("wrong", "mean"),
    )  # fmt: skip
    covered = pairs.groupby(PROTOCOL, sort=False)[["covers_expected", "covers_elsewhere"]].mean()
    return _by_data_set(table, truth).join([found, covered]).reset_index()


def _by_data_set(table: pd.DataFrame, truth: str) -> pd.DataFrame:
    rows = []
    for (seed, *protocol), models in true_and_measured(table, truth).groupby(["seed", *PROTOCOL], sort=False):
        true = models["true"].to_numpy()
        chosen = true[int(np.argmax(models["measured"].to_numpy()))]
        tau = stats.kendalltau(models["measured"], true).statistic
        best = true.max()
        rows.append((seed, *protocol, tau, chosen == best, best - chosen, 100 * (best - chosen) / best))
    names = ["tau", "best_found", "regret", "regret_percent"]
    groups = pd.DataFrame(rows, columns=["seed", *PROTOCOL, *names]).groupby(PROTOCOL, sort=False)
    means = groups[names].mean()
    means.insert(1, "tau_se", groups["tau"].sem())
    means.insert(0, "n_data_sets", groups.size())
    return means


def _apart(table: pd.DataFrame, truth: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The measured rows and the true ones of one truth."""
    is_true = table["split"].eq(TRUTH)
    known = list(table.loc[is_true, "metric"].unique())
    if truth not in known:
        raise ValueError(f"unknown truth {truth!r}; known: {', '.join(known)}")
    return table[~is_true], table[is_true & table["metric"].eq(truth)]


def protocol_grid(found: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of ``protocols`` with one line a split and relevance, one column a metric, in the order of the study."""
    every = found["relevance"].eq(EVERY_ROW)
    lines = found["split"].where(every, found["split"] + ", " + found["relevance"])
    shown = found.assign(line=lines).pivot(index="line", columns="metric", values=column)
    return shown.loc[list(dict.fromkeys(lines)), list(dict.fromkeys(found["metric"]))].rename_axis(
        index=None, columns=None
    )


def model_points(table: pd.DataFrame, truth: str, protocol: tuple[str, str, str]) -> pd.DataFrame:
    """One row a model: x what (split, relevance, metric) measures, y what is true, means over data sets; best first.

    ``low`` and ``high`` are the least and the most that was measured on any data set.
    """
    points = true_and_measured(table, truth)
    points = points[(points[PROTOCOL] == list(protocol)).all(axis=1)]
    if points.empty:
        raise ValueError(f"no rows of the protocol {protocol}; splits are {', '.join(table['split'].unique())}")
    grouped = points.groupby("model", sort=False)
    found = grouped.agg(x=("measured", "mean"), y=("true", "mean"), low=("measured", "min"), high=("measured", "max"))
    return found.sort_values("y", ascending=False)


def truth_of_models(table: pd.DataFrame) -> pd.DataFrame:
    """One row a model, its mean true value by each truth, best by the first of them at the top."""
    rows = table[table["split"].eq(TRUTH) & table["second"].eq("")]
    values = rows.pivot_table(index="first", columns="metric", values="value", sort=False)
    return values.sort_values(values.columns[0], ascending=False).rename_axis(index="model", columns=None)
