"""recsys_lab's ranking models, top-k, metrics and evaluation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from benchmarks.inputs import Inputs, Job
from recsys_lab.algorithms.bpr import BPR
from recsys_lab.algorithms.factorization import PureSVD
from recsys_lab.algorithms.ials import IALS
from recsys_lab.algorithms.linear import EASE
from recsys_lab.algorithms.neighborhood import ItemKNN
from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation import evaluate, score_lists
from recsys_lab.splits import Split, split

BLOCK = 1024
NAMES = [f"{name}@{cut}" for name in ("ndcg", "recall", "precision", "map", "mrr") for cut in (5, 10, 20)]


@cache
def cut(name: str) -> Split:
    """The split of all ranking rows: ten test rows a user."""
    return split(load_dataset(name), "random_user", test=10, seed=42)


def ranked(model: Any, inputs: Inputs, k: int) -> np.ndarray:
    """Lists of all users, one block at a time."""
    histories = cut(inputs.settings["ranking"]).train.matrix
    blocks = [inputs.users[first : first + BLOCK] for first in range(0, len(inputs.users), BLOCK)]
    return np.concatenate([model.recommend(users, histories[users], k).items for users in blocks])


def _learner(model: Any, inputs: Inputs, *, ranks: bool = False) -> Job:
    train = cut(inputs.settings["ranking"]).train
    _ = train.matrix, train.canonical_order  # the peers start from a sparse matrix too
    state: dict[str, Any] = {}

    def fit() -> None:
        model.fit(train)

    def rank() -> None:
        state["lists"] = ranked(model, inputs, 10)

    phases = {"fit": fit, "rank": rank} if ranks else {"fit": fit}
    return Job(phases, lambda: {"lists": state["lists"] if ranks else ranked(model, inputs, 10)})


def item_knn(inputs: Inputs) -> Job:
    """Neighbours of the item in the history, as the peers keep them."""
    return _learner(ItemKNN(n_neighbors=100, neighbors_per="history"), inputs, ranks=True)


def ease(inputs: Inputs) -> Job:
    """Ratings as ones."""
    return _learner(EASE(regularization=500.0), inputs)


def ials(inputs: Inputs) -> Job:
    """Three conjugate-gradient steps an epoch."""
    return _learner(
        IALS(n_factors=64, n_epochs=15, unobserved_weight=0.3, regularization=0.01, regularization_exponent=1.0), inputs
    )


def bpr(inputs: Inputs) -> Job:
    """One thread; negatives by popularity, as implicit draws them."""
    return _learner(
        BPR(n_factors=64, n_epochs=10, learning_rate=0.05, regularization=0.01, negatives="popularity"), inputs
    )


def top20(inputs: Inputs) -> Job:
    """A model that has its factors already."""
    model, state = BPR(n_factors=64), {}
    model.user_factors_, model.item_factors_ = inputs.factors

    def rank() -> None:
        state["lists"] = ranked(model, inputs, 20)

    return Job({"rank": rank}, lambda: {"lists": state["lists"]})


def metrics(inputs: Inputs) -> Job:
    """Five metrics at three cut-offs with the values of every user, and the checks and counts that come with them."""
    parts, items = cut(inputs.settings["ranking"]), inputs.lists
    scores = np.where(items >= 0, -np.arange(items.shape[1], dtype=np.float32), -np.inf).astype(np.float32)
    lists = RankedLists(inputs.users, items, scores)
    _ = parts.train.matrix, parts.train.user_activity
    state: dict[str, Any] = {}

    def measure() -> None:
        state["evaluation"] = score_lists(lists, parts, metrics=NAMES)

    def values() -> dict[str, Any]:
        summary = state["evaluation"].summary
        return {"values": np.array([summary[f"{name}@10"] for name in ("recall", "precision", "mrr")])}

    return Job({"measure": measure}, values)


def evaluation(inputs: Inputs) -> Job:
    """Top 20 of all users and the default metrics, from a fitted model."""
    parts = cut(inputs.settings["ranking"])
    model, state = PureSVD(n_factors=64, n_iterations=2).fit(parts.train), {}

    def measure() -> None:
        state["evaluation"] = evaluate(model, parts, fit=False)

    return Job({"measure": measure}, lambda: {"values": np.array([state["evaluation"].summary["ndcg@10"]])})


JOBS = {
    "item_knn": item_knn,
    "ease": ease,
    "ials": ials,
    "bpr": bpr,
    "top20": top20,
    "metrics": metrics,
    "evaluation": evaluation,
}
