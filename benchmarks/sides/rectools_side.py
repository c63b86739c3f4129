"""RecTools' metrics, in the peer's own environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.metrics import MAP, MRR, NDCG, Precision, Recall, calc_metrics

from benchmarks.inputs import Inputs, Job


def metrics(inputs: Inputs) -> Job:
    """Five metrics at three cut-offs from frames that are there already; it keeps the means alone."""
    lists, test = inputs.lists, inputs.test.tocoo()
    n, k = lists.shape
    frame = {
        Columns.User: np.repeat(np.arange(n), k),
        Columns.Item: lists.ravel(),
        Columns.Rank: np.tile(range(1, k + 1), n),
    }
    listed = pd.DataFrame(frame)
    relevant = pd.DataFrame({Columns.User: test.row, Columns.Item: test.col})
    kinds = {"ndcg": NDCG, "recall": Recall, "precision": Precision, "map": MAP, "mrr": MRR}
    wanted = {f"{name}@{cut}": kind(k=cut) for name, kind in kinds.items() for cut in (5, 10, 20)}
    state: dict[str, Any] = {}

    def measure() -> None:
        state["means"] = calc_metrics(wanted, reco=listed[listed[Columns.Item] >= 0], interactions=relevant)

    return Job(
        {"measure": measure},
        lambda: {"values": np.array([state["means"][f"{m}@10"] for m in ("recall", "precision", "mrr")])},
    )


JOBS = {"metrics": metrics}
