"""What each model reached in each window of a rolling back-test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys_lab.significance import mean_interval

if TYPE_CHECKING:
    from recsys_lab.leaderboard.table import Entry


def over_windows(by_label: Mapping[str, Sequence[Entry]], labels: Iterable[str], primary: str) -> pd.DataFrame:
    """A row for each of the ``labels`` and windows: model, window (from 1 on), mean, low, high, n_users.

    A user's value is the mean over seeds, and the 95 % interval is that of the mean over users; NaN for a metric that
    is no mean over users, such as rmse.
    """
    rows = []
    for label in labels:
        for window in sorted({entry.fold or 0 for entry in by_label[label]}):
            found = [entry.evaluation for entry in by_label[label] if (entry.fold or 0) == window]
            if all(primary in one.per_user for one in found):
                values = pd.concat([one.per_user[primary] for one in found], axis=1).mean(axis=1).dropna()
                mean, low, high, n_users, _ = mean_interval(values.to_numpy())
            else:
                mean = float(np.mean([one.summary[primary] for one in found]))
                low, high, n_users = float("nan"), float("nan"), len(found[0].per_user)
            rows.append((label, window + 1, mean, low, high, n_users))
    return pd.DataFrame(rows, columns=["model", "window", "mean", "low", "high", "n_users"])
