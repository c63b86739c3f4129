"""irspack, in the peer's own environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from irspack import CosineKNNRecommender, DenseSLIMRecommender, IALSRecommender
from irspack.utils.id_mapping import retrieve_recommend_from_score

from benchmarks.inputs import THREADS, Inputs, Job

BLOCK = 1024  # users scored at once


def _lists(model: Any, inputs: Inputs, k: int = 10) -> np.ndarray:
    """Its scores without the training items, then its own selection."""
    lists = np.full((len(inputs.users), k), -1, dtype=np.int64)
    for first in range(0, len(inputs.users), BLOCK):
        scores = model.get_score_remove_seen(inputs.users[first : first + BLOCK].astype(np.int64))
        chosen = retrieve_recommend_from_score(scores, [], k, THREADS)
        for row, found in enumerate(chosen, start=first):
            lists[row, : len(found)] = [item for item, _ in found]
    return lists


def _learner(make: Any, inputs: Inputs, *, ranks: bool = False) -> Job:
    state: dict[str, Any] = {}

    def fit() -> None:
        state["model"] = make()
        state["model"].learn()

    def rank() -> None:
        state["lists"] = _lists(state["model"], inputs)

    phases = {"fit": fit, "rank": rank} if ranks else {"fit": fit}
    return Job(phases, lambda: {"lists": state["lists"] if ranks else _lists(state["model"], inputs)})


def item_knn(inputs: Inputs) -> Job:
    """Cosine, no shrinkage."""

    def make() -> Any:
        return CosineKNNRecommender(
            inputs.train.astype(np.float64), shrinkage=0.0, top_k=100, feature_weighting="NONE", n_threads=THREADS
        )

    return _learner(make, inputs, ranks=True)


def ease(inputs: Inputs) -> Job:
    """EASE goes by the name of dense SLIM."""
    return _learner(lambda: DenseSLIMRecommender(inputs.ones, reg=500.0), inputs)


def ials(inputs: Inputs) -> Job:
    """Three conjugate-gradient steps; the loss and the weights of ``ours.ials``."""

    def make() -> Any:
        return IALSRecommender(
            inputs.ones, n_components=64, alpha0=0.3, reg=0.01, nu=1.0, train_epochs=15, solver_type="CG",
            max_cg_steps=3, loss_type="IALSPP", n_threads=THREADS,
        )  # fmt: skip

    return _learner(make, inputs)


JOBS = {"item_knn": item_knn, "ease": ease, "ials": ials}
