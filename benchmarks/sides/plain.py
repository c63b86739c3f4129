"""Plain NumPy and SciPy forms, in the project's own environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

from benchmarks.inputs import Inputs, Job

BLOCK = 1024


def _best(scores: np.ndarray, seen: Any, k: int) -> np.ndarray:
    """argpartition, then a sort of the k kept; ``seen`` is a CSR of the rows' training items."""
    rows = np.repeat(np.arange(len(scores)), np.diff(seen.indptr))
    scores[rows, seen.indices] = -np.inf
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
    return np.take_along_axis(best, order, axis=1)


def ease(inputs: Inputs) -> Job:
    """SciPy's sparse Gram matrix, Cholesky and a solve in float32."""
    rows, state = inputs.ones, {}

    def fit() -> None:
        gram = (rows.T @ rows).toarray()
        gram[np.diag_indices_from(gram)] += np.float32(500)
        inverse = linalg.cho_solve(linalg.cho_factor(gram), np.eye(len(gram), dtype=np.float32))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        state["weights"] = weights

    def lists() -> dict[str, Any]:
        starts = range(0, rows.shape[0], BLOCK)
        parts = [_best(rows[s : s + BLOCK] @ state["weights"], rows[s : s + BLOCK], 10) for s in starts]
        return {"lists": np.concatenate(parts)}

    return Job({"fit": fit}, lists)


def top20(inputs: Inputs) -> Job:
    """One product and one argpartition a block of users."""
    users, items = inputs.factors
    state: dict[str, Any] = {}

    def rank() -> None:
        starts = range(0, len(users), BLOCK)
        parts = [_best(users[s : s + BLOCK] @ items.T, inputs.train[s : s + BLOCK], 20) for s in starts]
        state["lists"] = np.concatenate(parts)

    return Job({"rank": rank}, lambda: {"lists": state["lists"]})


def metrics(inputs: Inputs) -> Job:
    """A Python loop over users and places."""
    lists, test = inputs.lists, inputs.test
    state: dict[str, Any] = {}

    def measure() -> None:
        rows = []
        for user in range(len(lists)):
            relevant = set(test.indices[test.indptr[user] : test.indptr[user + 1]].tolist())
            if relevant:
                rows.append(_of_user([item in relevant for item in lists[user].tolist()], len(relevant)))
        state["values"] = np.array(rows)

    return Job({"measure": measure}, lambda: {"values": state["values"].mean(axis=0)[[6, 7, 9]]})


def _of_user(hits: list[bool], n_relevant: int) -> list[float]:
    """ndcg, recall, precision, map, mrr at 5, then 10, then 20."""
    values = []
    for cut in (5, 10, 20):
        found, gain, precisions, first = 0, 0.0, 0.0, 0.0
        for place in range(cut):
            if hits[place]:
                found += 1
                gain += 1 / np.log2(place + 2)
                precisions += found / (place + 1)
                first = first or 1 / (place + 1)
        ideal = sum(1 / np.log2(place + 2) for place in range(min(cut, n_relevant)))
        values += [gain / ideal, found / n_relevant, found / cut, precisions / n_relevant, first]
    return [values[5 * c + m] for c in range(3) for m in range(5)]


JOBS = {"ease": ease, "top20": top20, "metrics": metrics}
