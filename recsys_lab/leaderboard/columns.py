"""The columns of a leaderboard: what each holds, how it is headed and how its numbers are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

NOT_RANKED = "not ranked"  # the verdict of a model at values that were not searched, among models that were tuned
REFERENCE = "reference"  # the status of the Oracle row: it knows the truth and is not ranked
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Column:
    """One shown column: its head, its words for a tooltip, the text of a row, and the number it is sorted by."""

    key: str
    head: str
    meaning: str
    text: Callable[[pd.Series], str]
    value: Callable[[pd.Series], float] | None = None  # None: sorted by the text


def decimals(value: float, digits: int = 4, sign: bool = False) -> str:
    """A number with ``digits`` decimals, a true minus sign, and "–" for NaN."""
    if not np.isfinite(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", MINUS)


def significant(value: float, digits: int = 3) -> str:
    """A cost or a count with about three digits: 0.0123, 1.23, 1,230."""
    if not np.isfinite(value):
        return "–"
    if 0 <= value < 0.001:
        return "< .001" if value else "0"
    places = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    rounded = round(value, digits - 1 - int(np.floor(np.log10(abs(value)))))
    return f"{rounded:,.{min(places, 4)}f}".replace("-", MINUS)


def p_value(value: float) -> str:
    """A p-value with three decimals, "< .001" below."""
    if not np.isfinite(value):
        return "–"
    return "< .001" if value < 0.001 else f"{value:.3f}"


def whole(value: float) -> str:
    """A count with thousands separated."""
    return f"{value:,.0f}" if np.isfinite(value) else "–"


def interval(row: pd.Series) -> str:
    """``mean ± half width``; both ends when the interval is not symmetric (bootstrap)."""
    mean, low, high = row["mean"], row["low"], row["high"]
    if not np.isfinite([low, high]).all():
        return decimals(mean)
    up, down = high - mean, mean - low
    if abs(up - down) <= 0.05 * max(up + down, 1e-12):
        return f"{decimals(mean)} ± {decimals((up + down) / 2)}"
    return f"{decimals(mean)} [{decimals(low)}, {decimals(high)}]"


def difference(row: pd.Series) -> str:
    """``+0.0123 [+0.0100, +0.0146]``; "–" for the baseline itself."""
    if not np.isfinite(row["difference"]) or not np.isfinite(row["difference_low"]):
        return "–"
    ends = f"[{decimals(row['difference_low'], sign=True)}, {decimals(row['difference_high'], sign=True)}]"
    return f"{decimals(row['difference'], sign=True)} {ends}"


def columns_of(frame: pd.DataFrame, metric: str, best_baseline: str) -> list[Column]:
    """The columns of EVALUATION §3 in order; catalogue metrics appear when they were measured."""
    against = f"difference to {best_baseline}" if best_baseline else "difference"
    shown = [
        Column("rank_group", "#", "Rank group: models in one cannot be told apart", _rank, _number("rank_group")),
        Column("model", "model", "Algorithm, with the hyper-parameters that tell it from others", _name),
        Column("mean", metric, f"{metric}: mean over users with its 95 % interval", interval, _number("mean")),
        Column("difference", against, "Over the same users, 95 % interval", difference, _number("difference")),
        Column("p_holm", "p (Holm)", "Paired t-test, corrected for the number of comparisons", _p, _number("p_holm")),
        Column("verdict", "verdict", "Sure, and large enough to matter (1 % of the baseline)", _verdict),
        Column("dz", "dz", "Mean difference / its standard deviation (Cohen)", _decimals("dz", 2), _number("dz")),
        Column("wins", "win/tie/loss", "Users better, equal, worse than with that baseline", _wins, _number("wins")),
        Column(
            "minimum_detectable",
            "detectable",
            "True difference that is found with 80 % power",
            _decimals("minimum_detectable", 4),
            _number("minimum_detectable"),
        ),
        _count("n_users", "users", "Users measured"),
        _count("n_seeds", "seeds", "Fits with different seeds"),
        *_seed_spread(frame),
        _count("n_trials", "trials", "Configurations of this algorithm that were tried"),
        *_search_time(frame),
        Column("fit_s", "fit s", "Seconds to fit", _significant("fit_s"), _number("fit_s")),
        Column("ms_per_user", "ms/user", "Milliseconds a user", _significant("ms_per_user"), _number("ms_per_user")),
        _count("peak_rss_mb", "peak MB", "Highest memory of the process"),
    ]
    for prefix, digits, meaning in (
        ("item_coverage@", 3, "Distinct recommended items / catalogue"),
        ("gini@", 3, "Concentration of exposure: 0 equal, 1 one item"),
        ("arp@", 1, "Mean popularity of the recommended items"),
    ):
        for key in [name for name in frame.columns if str(name).startswith(prefix)]:
            head = prefix.replace("item_", "").rstrip("@")
            shown.append(Column(key, head, f"{meaning} ({key})", _decimals(key, digits), _number(key)))
    if "card" in frame:
        shown.append(Column("card", "card", "Evaluation card: valid, warn or invalid", lambda row: str(row["card"])))
    meaning = "Reference, baseline, or hyper-parameters: tuned, default or fixed"
    return [*shown, Column("status", "status", meaning, _status)]


def _search_time(frame: pd.DataFrame) -> list[Column]:
    if "search_s" not in frame or frame["search_s"].isna().all():
        return []
    meaning = "Seconds of the search for hyper-parameters, all trials"
    return [Column("search_s", "search s", meaning, _significant("search_s"), _number("search_s"))]


def _seed_spread(frame: pd.DataFrame) -> list[Column]:
    """The standard deviation over seeds, where some model has several."""
    if not frame["seed_sd"].notna().any():
        return []
    meaning = "Standard deviation of the mean over seeds"
    return [Column("seed_sd", "sd of seeds", meaning, _decimals("seed_sd", 4), _number("seed_sd"))]


def _count(key: str, head: str, meaning: str) -> Column:
    return Column(key, head, meaning, lambda row: whole(float(row[key])), _number(key))


def _name(row: pd.Series) -> str:
    return str(row.name)


def _status(row: pd.Series) -> str:
    tuned = row["status"] == "baseline" and row["origin"] == "tuned"
    return "baseline, tuned" if tuned else str(row["status"])


def _verdict(row: pd.Series) -> str:
    return "–" if row["verdict"] in {REFERENCE, "baseline"} else str(row["verdict"])


def _rank(row: pd.Series) -> str:
    return whole(row["rank_group"]) if row["status"] != REFERENCE else "–"


def _p(row: pd.Series) -> str:
    return p_value(row["p_holm"])


def _wins(row: pd.Series) -> str:
    if not np.isfinite(row["wins"]):
        return "–"
    return "/".join(whole(row[name]).replace(",", "") for name in ("wins", "ties", "losses"))


def _number(key: str) -> Callable[[pd.Series], float]:
    return lambda row: float(row[key])


def _decimals(key: str, digits: int) -> Callable[[pd.Series], str]:
    return lambda row: decimals(float(row[key]), digits)


def _significant(key: str) -> Callable[[pd.Series], str]:
    return lambda row: significant(float(row[key]))
