"""The rows of a comparison: each model alone and against the best baseline, then judged together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_lab.comparison.testing import CORRECTIONS, pair_test, verdict
from recsys_lab.comparison.values import Measured
from recsys_lab.significance import cohen_dz, holm, mean_interval, paired_test, sign_flip_ps, wins_ties_losses


def one_by_one(
    measured: Measured, order: list[str], best: str, level: float, higher: bool, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table and the details of ``compare``, without what concerns all models together."""
    base, losses = measured.values[best].to_numpy(), measured.ordered[best].to_numpy()
    rows, details = [], []
    for name in order:
        values = measured.values[name].to_numpy()
        mean = mean_interval(values, level, seed=seed)
        test = pair_test(measured, name, best, level)
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
                "dz": cohen_dz(values - base) if len(values) > 1 else np.nan,
                "wins": wins,
                "ties": ties,
                "losses": lost,
            }
        )
        details.append(
            {
                "p_users": np.nan if name == best else paired_test(values, base, level).p,
                "n_seeds": measured.n_seeds[name],
                "seed_sd": measured.seed_sd[name],
            }
        )
    index = pd.Index(order, name="model")
    flips = sign_flip_ps(measured.values[order].to_numpy() - base[:, None], seed=seed)
    flips[order.index(best)] = np.nan
    return pd.DataFrame(rows, index=index), pd.DataFrame(details, index=index).assign(p_sign_flip=flips)


def judge(
    table: pd.DataFrame,
    details: pd.DataFrame,
    p_values: pd.Series,
    floor: float,
    alpha: float,
    higher: bool,
    correction: str,
) -> list[str]:
    """Write p_holm, p_benjamini_hochberg and verdict; what there is to say about them.

    The family of tests is the challengers against the best baseline: ``p_values`` are theirs, indexed by name.
    """
    challengers = list(p_values.index)
    table.loc[table.index.difference(challengers), "p"] = np.nan
    corrected = {name: pd.Series(method(p_values.to_numpy()), challengers) for name, method in CORRECTIONS.items()}
    table["p_holm"] = corrected["holm"].reindex(table.index)
    details["p_benjamini_hochberg"] = corrected["benjamini_hochberg"].reindex(table.index)
    roles = np.where(table["is_baseline"], "baseline", np.where(table["rank_group"] == 0, "reference", "best model"))
    verdicts = dict(zip(table.index, map(str, roles)))
    for name in challengers:
        verdicts[name] = verdict(table.loc[name], float(corrected[correction][name]), floor, alpha, higher)
    table["verdict"] = [verdicts[name] for name in table.index]
    notes = []
    doubled = p_values.index[p_values > table["p"][challengers]]
    if len(doubled):
        notes.append(
            f"several baselines cannot be told apart from the best; p counts them all for models behind it: "
            f"{', '.join(doubled)}"
        )
    flips = pd.Series(holm(details.loc[challengers, "p_sign_flip"].to_numpy()), challengers)
    users = pd.Series(holm(details.loc[challengers, "p_users"].to_numpy()), challengers)
    odd = [name for name in challengers if (flips[name] < alpha) != (users[name] < alpha)]
    if odd:
        notes.append(
            f"the sign-flip test over users decides otherwise than the t test for {', '.join(odd)}: "
            "close to the limit, or differences far from normal"
        )
    return notes


def _percent(difference: float, base: float) -> float:
    return float("nan") if base == 0 else 100.0 * difference / abs(base)
