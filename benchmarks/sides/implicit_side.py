"""implicit (extra "implicit"), in the peer's own environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.topk import topk
from implicit.nearest_neighbours import CosineRecommender

from benchmarks.inputs import THREADS, Inputs, Job


def _lists(model: Any, inputs: Inputs, rows: Any, k: int = 10) -> np.ndarray:
    items, _ = model.recommend(inputs.users, rows, N=k, filter_already_liked_items=True)
    return items


def item_knn(inputs: Inputs) -> Job:
    """K counts the item itself, so 101 leaves 100 neighbours."""
    state: dict[str, Any] = {}

    def fit() -> None:
        state["model"] = CosineRecommender(K=101, num_threads=THREADS)
        state["model"].fit(inputs.train, show_progress=False)

    def rank() -> None:
        state["lists"] = _lists(state["model"], inputs, inputs.train)

    return Job({"fit": fit, "rank": rank}, lambda: {"lists": state["lists"]})


def _learner(make: Any, rows: Any, inputs: Inputs) -> Job:
    state: dict[str, Any] = {}

    def fit() -> None:
        state["model"] = make()
        state["model"].fit(rows, show_progress=False)

    return Job({"fit": fit}, lambda: {"lists": _lists(state["model"], inputs, rows)})


def ials(inputs: Inputs) -> Job:
    """Conjugate gradients, the library's default; its loss has one regularisation for all, so it is near ours only."""

    def make() -> Any:
        return AlternatingLeastSquares(
            factors=64, regularization=10.0, alpha=5.0, iterations=15, num_threads=THREADS, random_state=0
        )

    return _learner(make, inputs.ones, inputs)


def bpr(inputs: Inputs, threads: int = THREADS) -> Job:
    """On several threads its results do not repeat."""

    def make() -> Any:
        return BayesianPersonalizedRanking(
            factors=64, learning_rate=0.05, regularization=0.01, iterations=10, num_threads=threads, random_state=0
        )

    return _learner(make, inputs.ones, inputs)


def bpr_one_thread(inputs: Inputs) -> Job:
    """One thread, repeatable."""
    return bpr(inputs, 1)


def top20(inputs: Inputs) -> Job:
    """Its compiled top-k over all users, training items left out."""
    users, items = inputs.factors
    state: dict[str, Any] = {}

    def rank() -> None:
        state["lists"], _ = topk(items, users, 20, filter_query_items=inputs.train, num_threads=THREADS)

    return Job({"rank": rank}, lambda: {"lists": state["lists"]})


JOBS = {"item_knn": item_knn, "ials": ials, "bpr": bpr, "bpr_one_thread": bpr_one_thread, "top20": top20}
