"""Stored lists measured as another library would: the same lists, its definitions, its mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys_lab.data.interactions import Bool, Float64
from recsys_lab.evaluation.inputs import Inputs
from recsys_lab.evaluation.relevance import relevant_items
from recsys_lab.evaluation.result import Evaluation, mean
from recsys_lab.metrics.conventions import Theirs, convention
from recsys_lab.metrics.definitions import METRICS

if TYPE_CHECKING:
    from recsys_lab.splits import Split


def by_convention(
    evaluation: Evaluation, split: Split, conventions: str, *, cutoffs: Sequence[int] | None = None
) -> pd.DataFrame:
    """The stored lists of ``evaluation`` under the definitions of another library, one row a metric.

    ``conventions``: a key of ``metrics.conventions.CONVENTIONS`` ("recbole", "trec_eval", ...). ``cutoffs``: those of
    the evaluation if left out. Indexed by the library's name of the metric ("ndcg@10", "P_10"): ``value``, ``n_users``
    (users in its mean), ``equals`` (our metric that gives the same value for each user; "" for none), ``like`` (our
    metric that a reader would take it for) and ``ours`` (its mean; NaN for auc, which lists do not give).

    Raises ValueError for ratings, for another split than that of the evaluation and for cut-offs behind the lists' end.
    """
    inputs = _inputs(evaluation, split)
    listed = inputs.items[:, 0] >= 0
    rows: dict[str, tuple[Any, ...]] = {}
    for name, theirs, k, values in _measured(evaluation, inputs, conventions, cutoffs):
        chosen = values if isinstance(values, float) else _in_the_mean(theirs, values, listed)
        value, n_users = _mean(chosen, len(listed))
        equals = _name(theirs.equals, k) if theirs.equals else ""
        rows[name] = (value, n_users, equals, _name(theirs.like, k), _ours(theirs.like, inputs, k))
    columns = ["value", "n_users", "equals", "like", "ours"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("metric")


def per_user_by_convention(
    evaluation: Evaluation, split: Split, conventions: str, *, cutoffs: Sequence[int] | None = None
) -> pd.DataFrame:
    """As ``by_convention``, the values behind the means: users with relevant items × metrics, NaN = no value there.

    Where a user without a value counts as 0 in the mean, the value is 0. What a library computes for all users
    together has no column.
    """
    inputs = _inputs(evaluation, split)
    values = {
        name: np.nan_to_num(values) if theirs.mean == "users" else values
        for name, theirs, _, values in _measured(evaluation, inputs, conventions, cutoffs)
        if not isinstance(values, float)
    }
    return pd.DataFrame(values, index=pd.Index(inputs.users, name="user"))


def _measured(
    evaluation: Evaluation, inputs: Inputs, conventions: str, cutoffs: Sequence[int] | None
) -> Iterator[tuple[str, Theirs, int, Float64 | float]]:
    """Each metric of a library at each cut-off, with its values."""
    chosen = [int(k) for k in (cutoffs if cutoffs is not None else evaluation.protocol["cutoffs"])]
    longest = inputs.items.shape[1]
    if not chosen or min(chosen) < 1 or max(chosen) > longest:
        raise ValueError(f"cut-offs lie in 1 ... {longest}, the length of the stored lists; found {chosen}")
    for theirs in convention(conventions).metrics:
        if "item_features" in theirs.inputs and inputs.item_features is None:
            continue
        for k in chosen if theirs.needs_cutoff else [longest]:
            yield theirs.name.format(k=k), theirs, k, theirs.function(*inputs.of(theirs.inputs, k))


def _inputs(evaluation: Evaluation, split: Split) -> Inputs:
    lists = evaluation.lists
    if lists is None:
        raise ValueError("other libraries' definitions are of ranked lists; this evaluation is of ratings")
    if evaluation.split_hash != split.card.fingerprint:
        raise ValueError(
            f"the lists were measured on the split {evaluation.split_hash[:12]}; "
            f"found {split.card.fingerprint[:12]}: give the split of the evaluation"
        )
    relevant = relevant_items(split.test, evaluation.protocol["relevance_threshold"])
    if not np.array_equal(lists.users, relevant.users):
        raise ValueError(
            f"the evaluation has lists of {len(lists)} users, the test part {len(relevant.users)} others: "
            "give the split of the evaluation"
        )
    return Inputs(lists, split, relevant, relevant.n_relevant > 0)


def _in_the_mean(theirs: Theirs, values: Float64, listed: Bool) -> Float64:
    if theirs.mean == "users":
        return np.nan_to_num(values)
    return values[listed] if theirs.mean == "listed" else values


def _mean(values: Float64 | float, n_users: int) -> tuple[float, int]:
    """The library's number and how many users are in it."""
    if isinstance(values, float):
        return values, n_users
    return mean(values), int(np.count_nonzero(~np.isnan(values)))


def _ours(like: str, inputs: Inputs, k: int) -> float:
    card = METRICS[like]
    if card.kind == "score" or ("item_features" in card.inputs and inputs.item_features is None):
        return float("nan")
    values = card.function(*inputs.of(card.inputs, k))
    return values if isinstance(values, float) else mean(values)


def _name(metric: str, k: int) -> str:
    return f"{metric}@{k}" if METRICS[metric].needs_cutoff else metric
