"""What a search for hyper-parameters leaves behind: what was tried, at what cost, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True, eq=False)
class TuningRecord:
    """One search: the budget of one algorithm on one split, and its outcome."""

    metric: str  # such as "ndcg@10", measured on the validation part
    seed: int
    n_trials: int  # the budget; failed and timed-out trials count
    n_failed: int
    seconds: float  # wall clock of all trials together
    n_users: int  # validation users with a relevant item: the same for every model of the experiment
    validation_hash: str  # fingerprint of the (train, validation) split that was searched on
    space: dict[str, str]  # hyper-parameter -> where it was searched, in words
    space_hash: str
    best_value: float
    best_parameters: dict[str, Any]
    trials: pd.DataFrame  # one row a trial: number, state, value, best, seconds and a column for each hyper-parameter
    warnings: tuple[str, ...] = field(default=())  # a best value on the edge of its range, failed trials, ...
