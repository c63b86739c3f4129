"""Stored lists measured again, without a model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from recsys_lab.evaluation import Evaluation, score_lists
from recsys_lab.experiment import Experiment
from recsys_lab.metrics.definitions import METRICS, parse_metric
from recsys_lab.splits import Split

FROM_LISTS = ("ranking", "list", "catalogue")  # kinds of metrics that need nothing but the lists


def stored_metrics(evaluation: Evaluation) -> list[str]:
    """The names in the summary that lists alone give, with their cut-offs."""
    names = [name for name in evaluation.summary if name.partition("@")[0] in METRICS]
    return [name for name in names if parse_metric(name)[0].kind in FROM_LISTS]


def rescore(
    evaluation: Evaluation,
    split: Split,
    experiment: Experiment,
    *,
    metrics: Sequence[str] | None = None,
    cutoffs: Sequence[int] | None = None,
) -> Evaluation:
    """The evaluation of the stored lists by the run's own protocol; equal to the stored one in what both measure.

    ``metrics``: names such as "ndcg" (at every cut-off) or "ndcg@7"; the stored ones if left out. ``cutoffs``: the
    run's if left out. Raises ValueError for ratings, for metrics that need the scores of all items and for cut-offs
    behind the end of the lists.
    """
    lists, protocol = evaluation.lists, evaluation.protocol
    if lists is None:
        raise ValueError("a rating run stores errors and no lists, so there is nothing to rescore; run it again")
    chosen = list(metrics) if metrics else (stored_metrics(evaluation) if cutoffs is None else None)
    at = [int(k) for k in (cutoffs or protocol["cutoffs"])]
    for name in chosen or []:
        metric, k = parse_metric(name)
        if metric.kind not in FROM_LISTS:
            raise ValueError(
                f"{name} needs the scores of all candidates; only the {lists.k} best are stored: run it again"
            )
        at += [k] if k is not None and metrics else []
    if max(at) > lists.k:
        raise ValueError(f"cut-off {max(at)} is behind the end of the stored lists of {lists.k} items; run it again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the run said it already
        return score_lists(
            lists,
            split,
            cutoffs=at if cutoffs is not None else protocol["cutoffs"],
            metrics=chosen,
            candidates=experiment.evaluation.candidates,
            relevance_threshold=protocol["relevance_threshold"],
            exclude_seen=protocol["exclude_seen"],
            tie_seed=protocol["tie_seed"],
            tie_policy=protocol["tie_policy"],
            algorithm=evaluation.algorithm,
        )
