"""Did all contenders do the same work?"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.table import Bench

CLOSE = 1e-3  # two numbers within this are the same


def recall(lists: np.ndarray, test: sparse.csr_matrix) -> float:
    """Mean share of each user's test items that are listed; users with no test item do not count."""
    rows = np.repeat(np.arange(len(lists)), lists.shape[1])
    listed = lists.ravel()
    kept = listed >= 0
    chosen = sparse.csr_matrix((np.ones(kept.sum()), (rows[kept], listed[kept])), shape=test.shape)
    relevant = np.diff(test.indptr)
    right = test.copy()
    right.data = np.ones_like(right.data)
    hits = np.asarray(chosen.multiply(right).sum(axis=1)).ravel()
    return float((hits[relevant > 0] / relevant[relevant > 0]).mean())


def other_share(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of the items of ``theirs`` (n, k) that ``ours`` does not list for the same user; order does not count."""
    common = sum(len(np.intersect1d(a[a >= 0], b[b >= 0])) for a, b in zip(ours, theirs))
    return 1 - common / max(1, int((theirs >= 0).sum()))


def check(bench: Bench, results: dict[str, dict[str, Any]], test: sparse.csr_matrix) -> dict[str, Any]:
    """{"passed": bool or None, "kind": ..., "found": number of each contender}; the first of ``results`` is ours."""
    labels = list(results)
    if bench.check == "none" or len(labels) < 2:
        return {"kind": bench.check, "passed": None, "found": {}}
    ours = results[labels[0]]
    if bench.check == "recall":
        found = {label: recall(results[label]["lists"], test) for label in labels}
        passed = found[labels[0]] >= (1 - bench.tolerance) * max(found[label] for label in labels[1:])
    elif bench.check == "lists":
        found = {label: other_share(ours["lists"], results[label]["lists"]) for label in labels[1:]}
        passed = max(found.values()) <= bench.tolerance
    else:
        found = {label: _far_share(ours["values"], results[label]["values"]) for label in labels[1:]}
        passed = max(found.values()) <= bench.tolerance
    return {"kind": bench.check, "passed": bool(passed), "found": found}


def _far_share(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of the numbers that differ; 1 when there are not equally many."""
    if ours.shape != theirs.shape:
        return 1.0
    return float((~(np.abs(ours - theirs) <= CLOSE)).mean())
