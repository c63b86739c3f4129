"""ranx, in the peer's own environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from ranx import Qrels, Run, evaluate

from benchmarks.inputs import Inputs, Job

NAMES = [f"{name}@{cut}" for name in ("ndcg", "recall", "precision", "map", "mrr") for cut in (5, 10, 20)]


def metrics(inputs: Inputs) -> Job:
    """Five metrics at three cut-offs, from its own structures that are there already."""
    lists, test = inputs.lists, inputs.test
    users = np.flatnonzero(np.diff(test.indptr))
    truth = {f"u{u}": {f"i{i}": 1 for i in test.indices[test.indptr[u] : test.indptr[u + 1]]} for u in users}
    found = {f"u{u}": {f"i{i}": 100.0 - place for place, i in enumerate(lists[u]) if i >= 0} for u in users}
    qrels, run = Qrels(truth), Run(found)
    state: dict[str, Any] = {}

    def measure() -> None:
        state["values"] = evaluate(qrels, run, NAMES, return_mean=False)

    return Job(
        {"measure": measure},
        lambda: {"values": np.array([np.mean(state["values"][f"{m}@10"]) for m in ("recall", "precision", "mrr")])},
    )


JOBS = {"metrics": metrics}
