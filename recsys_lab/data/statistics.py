"""What any data set looks like in numbers: size, long tail, activity, ratings, time.

``python -m recsys_lab.data.statistics synthetic-100k ml-100k`` prints a Markdown table, one column a data set.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys_lab.data.interactions import Bool, Float64, Interactions

SESSION_GAP = 3_600  # seconds without a row that end a session


def describe(data: Interactions) -> pd.Series[Any]:
    """All statistics of a data set, float64, indexed by what they say; NaN where the data cannot tell.

    Users and items without rows count in the size and in nothing else. Ratings that are all equal (implicit feedback)
    have no rating statistics beyond their mean, and untimed rows no statistics of time.
    """
    parts = [_sizes(data), _activity(data), _ratings(data), _times(data), _content(data)]
    return pd.Series({name: value for part in parts for name, value in part.items()}, dtype=np.float64)


def gini(counts: NDArray[Any]) -> float:
    """How unevenly rows are spread, 0 (evenly) ... 1 (all on one): the mean absolute difference over twice the mean.

    ``counts`` (n,), not negative; NaN when there is nothing to spread.
    """
    ordered = np.sort(np.asarray(counts, dtype=np.float64))
    n, total = len(ordered), ordered.sum()
    if total == 0:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))


def top_share(counts: NDArray[Any], share: float = 0.1) -> float:
    """The part of all rows that the ``share`` largest counts hold (rounded up to at least one), 0 ... 1."""
    ordered = np.sort(np.asarray(counts, dtype=np.float64))[::-1]
    total = ordered.sum()
    return float(ordered[: int(np.ceil(share * len(ordered)))].sum() / total) if total else float("nan")


def rating_histogram(data: Interactions) -> pd.Series[float]:
    """Share of the rows with each rating, indexed by rating, ascending; the shares sum to 1."""
    values, counts = np.unique(data.ratings, return_counts=True)
    return pd.Series(counts / max(len(data), 1), index=pd.Index(values.astype(np.float64), name="rating"))


def shares_user_and_time(data: Interactions) -> Bool:
    """(n,) True for rows that share user and timestamp with another row, so that their order is unknown.

    Raises ValueError for data without times.
    """
    if data.timestamps is None:
        raise ValueError("rows that share user and timestamp need timestamps; this data set has none")
    frame = pd.DataFrame({"user": data.users, "time": data.timestamps})
    return frame.duplicated(keep=False).to_numpy()


def sessions(data: Interactions, gap: int = SESSION_GAP) -> NDArray[np.int64]:
    """Sessions of each user, (n_users,): maximal runs of rows less than ``gap`` seconds apart; 0 without rows."""
    if data.timestamps is None:
        raise ValueError("sessions need timestamps; this data set has none")
    order = np.lexsort((data.timestamps, data.users))
    users, times = data.users[order], data.timestamps[order]
    begins = np.ones(len(users), dtype=np.bool_)
    begins[1:] = (users[1:] != users[:-1]) | (np.diff(times) >= gap)
    return np.bincount(users[begins], minlength=data.n_users).astype(np.int64)


def markdown_table(columns: dict[str, pd.Series[Any]]) -> str:
    """The statistics of several data sets side by side, as Markdown."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column.index))
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name in names:
        lines.append(f"| {name} | {' | '.join(_text(column.get(name, np.nan)) for column in columns.values())} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of the data sets named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m recsys_lab.data.statistics", description=markdown_table.__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="data sets, such as synthetic-100k ml-100k")
    from recsys_lab.data.datasets import load_dataset

    names = parser.parse_args(arguments).names
    print(markdown_table({name: describe(load_dataset(name)) for name in names}))


def _sizes(data: Interactions) -> dict[str, float]:
    return {
        "rows": len(data),
        "users": data.n_users,
        "items": data.n_items,
        "items with rows": int((data.item_popularity > 0).sum()),
        "density, % of the pairs": 100 * len(data) / max(data.n_users * data.n_items, 1),
    }


def _activity(data: Interactions) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, counts in (("user", data.user_activity), ("item", data.item_popularity)):
        present = counts[counts > 0]
        for label, quantile in (("least", 0), ("quartile 1", 0.25), ("median", 0.5), ("quartile 3", 0.75), ("most", 1)):
            found[f"rows per {name}, {label}"] = np.quantile(present, quantile) if present.size else np.nan
        found[f"rows per {name}, Gini"] = gini(present)
    popular = data.item_popularity[data.item_popularity > 0]
    found["rows of the top tenth of the items, %"] = 100 * top_share(popular)
    return found


def _ratings(data: Interactions) -> dict[str, float]:
    ratings = data.ratings.astype(np.float64)
    found = {"rating, mean": ratings.mean() if ratings.size else np.nan}
    if not ratings.size or ratings.min() == ratings.max():
        return found
    found["rating, sd"] = ratings.std()
    histogram = rating_histogram(data)
    if len(histogram) <= 10:
        found |= {f"rated {rating:g}, %": 100 * share for rating, share in histogram.items()}
    user_means, item_means = _means(data.users, ratings), _means(data.items, ratings)
    seen_users, seen_items = data.user_activity[data.user_activity > 0], data.item_popularity[data.item_popularity > 0]
    found["mean rating of a user, sd"] = user_means.std()
    found["mean rating of an item, sd"] = item_means.std()
    if (seen_items >= 20).any():
        found["mean rating of an item with 20 rows or more, sd"] = item_means[seen_items >= 20].std()
    spread = pd.Series(ratings).groupby(data.users).std(ddof=0)
    found["sd of the ratings of a user, mean"] = float(spread.mean())
    found["correlation of an item's log rows and mean rating"] = _correlation(np.log(seen_items), item_means)
    found["correlation of a user's log rows and mean rating"] = _correlation(np.log(seen_users), user_means)
    return found


def _times(data: Interactions) -> dict[str, float]:
    if data.timestamps is None or not len(data):
        return {}
    frame = pd.DataFrame({"user": data.users, "time": data.timestamps}).groupby("user")["time"]
    stays = (frame.max() - frame.min()) / 86_400
    visits = sessions(data)[data.user_activity > 0]
    return {
        "days from first to last row": float(np.ptp(data.timestamps)) / 86_400,
        "rows that share user and time with another, %": 100 * float(shares_user_and_time(data).mean()),
        "sessions per user, median": float(np.median(visits)),
        "sessions per user, mean": float(visits.mean()),
        "days from a user's first to last row, median": float(stays.median()),
        "days from a user's first to last row, 90 % quantile": float(stays.quantile(0.9)),
    }


def _content(data: Interactions) -> dict[str, float]:
    features = data.catalogue.item_features
    if features is None:
        return {}
    return {"item features": features.shape[1], "features per item, mean": features.nnz / max(features.shape[0], 1)}


def _means(codes: NDArray[Any], ratings: Float64) -> Float64:
    """Mean rating of each code that occurs, in code order."""
    rows = np.bincount(codes)
    return (np.bincount(codes, ratings) / np.maximum(rows, 1))[rows > 0]


def _correlation(a: Float64, b: Float64) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and a.std() > 0 and b.std() > 0 else float("nan")


def _text(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.3g}"


if __name__ == "__main__":
    main()
