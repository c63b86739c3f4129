"""Groups of models that cannot be told apart: by tests of all pairs, or by average ranks over data sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys_lab.significance.inputs import Int64


def rank_groups(means: ArrayLike, p_values: ArrayLike, *, higher_is_better: bool = True, level: float = 0.95) -> Int64:
    """The rank group of each model, (n_models,), 1 = best.

    ``p_values`` (n_models, n_models), symmetric, are those of all pairs, corrected for their number. From the best of
    the ``means`` (n_models,) down, a model joins the group of the leader (the best model of the group) when the test
    does not tell the two apart, else it leads the next group.
    """
    x, p = np.asarray(means, dtype=np.float64), np.asarray(p_values, dtype=np.float64)
    if x.ndim != 1 or not x.size or p.shape != (len(x), len(x)):
        raise ValueError(f"rank_groups needs n means and n × n p-values; found shapes {x.shape} and {p.shape}")
    order = np.argsort(-x if higher_is_better else x, kind="stable")
    groups = np.zeros(len(x), dtype=np.int64)
    group, leader = 0, -1
    for model in order:
        if leader < 0 or p[leader, model] < 1 - level:
            group, leader = group + 1, model
        groups[model] = group
    return groups


def rank_cliques(average_ranks: ArrayLike, critical_difference: float) -> list[tuple[int, ...]]:
    """The largest sets of two or more models whose average ranks (n_models,) lie within the critical difference.

    Each set is a tuple of positions, best rank first; sets may overlap, and none lies within another.
    """
    ranks = np.asarray(average_ranks, dtype=np.float64)
    order = np.argsort(ranks, kind="stable")
    found: list[tuple[int, ...]] = []
    reached = 0
    for start in range(len(order)):
        near = ranks[order] - ranks[order[start]] < critical_difference
        end = int(np.flatnonzero(near)[-1]) + 1
        if end - start > 1 and end > reached:
            found.append(tuple(int(model) for model in order[start:end]))
            reached = end
    return found
