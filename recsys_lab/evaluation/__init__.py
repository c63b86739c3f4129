"""From an algorithm and a split to numbers: ``evaluate``, and ``score_lists`` for lists that are there already."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from recsys_lab.data.interactions import Int32
from recsys_lab.evaluation.candidates import GivenCandidates, resolve_candidates
from recsys_lab.evaluation.conventions import by_convention
from recsys_lab.evaluation.cost import Cost, PeakMemory
from recsys_lab.evaluation.protocol import Fallback, RankingProtocol, TiePolicy, ranking_protocol, rating_protocol
from recsys_lab.evaluation.ranking import rank_users
from recsys_lab.evaluation.rating import measure_ratings, predict_test
from recsys_lab.evaluation.relevance import relevant_items
from recsys_lab.evaluation.result import Evaluation
from recsys_lab.evaluation.scoring import measure, score_lists
from recsys_lab.evaluation.segments import segment_report

if TYPE_CHECKING:
    from recsys_lab.algorithms.base import Algorithm
    from recsys_lab.splits import Split

__all__ = ["Cost", "Evaluation", "by_convention", "evaluate", "plain_parameters", "score_lists", "segment_report"]


def evaluate(
    algorithm: Algorithm,
    split: Split,
    *,
    cutoffs: Sequence[int] = (5, 10, 20),
    metrics: Sequence[str] | None = None,
    candidates: GivenCandidates = None,
    batch_size: int = 1024,
    task: Literal["ranking", "rating"] = "ranking",
    relevance_threshold: float | None = None,
    exclude_seen: bool = True,
    tie_seed: int = 0,
    tie_policy: TiePolicy = "hash",
    rating_fallback: Fallback = None,
    fit: bool = True,
) -> Evaluation:
    """Fit ``algorithm`` in place on train (``fit=False``: it is fitted) and measure it on the test part.

    Every user with a test row gets a list, cold users too. Relevant are the test items with a rating of at least
    ``relevance_threshold`` (None: all); the others count as misses. Masked is what ``split.history`` holds,
    whatever its rating. Test items unknown to train stay relevant. Means are over the users with relevant items.

    metrics: names of the metric table, "ndcg" at every cut-off or "ndcg@7"; "default" stands for the default ones.
    candidates: None (``split.candidates``, else "known": items in train or history), "catalogue", external item ids,
        an int32 array of codes, or a CSR (n_users, n_items) with each user's own.
    tie_policy: "hash" orders equal scores by a seeded hash; "pessimistic" puts relevant items after all their equals.
    rating_fallback: what stands in for a rating that cannot be predicted: "global_mean" of train, or "drop" the pair.

    Memory beyond the model, the histories and the results: batch_size × n_items × 4 bytes for the scores of a batch
    (twice that with "pessimistic"). Raises ValueError as the parts do: scores NaN or +inf, unknown metrics, ids, ...
    """
    _check_arguments(algorithm, split, cutoffs)
    if task == "ranking":
        given: dict[str, Any] = {"cutoffs": cutoffs, "metrics": metrics, "relevance_threshold": relevance_threshold}
        given |= {"exclude_seen": exclude_seen, "tie_seed": tie_seed, "tie_policy": tie_policy}
        protocol = ranking_protocol(split.train.catalogue, resolve_candidates(candidates, split), **given)
        with _told_if_not_fitted(algorithm, fit):
            result = _evaluate_ranking(algorithm, split, protocol, batch_size, fit)
    elif task != "rating":
        raise ValueError(f"task is 'ranking' or 'rating'; found {task!r}")
    elif metrics is not None:
        raise ValueError(f"metrics are chosen for rankings only, ratings have all of their own; found {metrics}")
    else:
        with _told_if_not_fitted(algorithm, fit):
            result = _evaluate_ratings(algorithm, split, rating_fallback, fit)
    for note in result.warnings:
        warnings.warn(note, stacklevel=2)
    return result


def _check_arguments(algorithm: Any, split: Any, cutoffs: Any) -> None:
    """TypeError for the slips of a quick try: a name, a class, data that are not split, one cut-off."""
    if isinstance(algorithm, str | type):
        name = algorithm if isinstance(algorithm, str) else algorithm.__name__
        raise TypeError(f"evaluate needs an algorithm; found {algorithm!r}, write make_algorithm({name!r})")
    if not (hasattr(split, "train") and hasattr(split, "test")):
        raise TypeError(f"evaluate needs a Split; found {type(split).__name__}, write split(data, strategy)")
    if not isinstance(cutoffs, Sequence | np.ndarray):
        raise TypeError(f"cutoffs is a list of numbers; found {cutoffs!r}, write [{cutoffs!r}]")


@contextmanager
def _told_if_not_fitted(algorithm: Algorithm, fit: bool) -> Iterator[None]:
    try:
        yield
    except AttributeError as error:
        if fit or error.obj is not algorithm or not str(error.name).endswith("_"):
            raise
        raise ValueError(
            f"{type(algorithm).__name__} is not fitted (it has no {error.name}); fit it, or leave out fit=False"
        ) from error


def _evaluate_ranking(
    algorithm: Algorithm, split: Split, protocol: RankingProtocol, batch_size: int, fit: bool
) -> Evaluation:
    relevant = relevant_items(split.test, protocol.relevance_threshold)
    with PeakMemory() as memory:
        fit_s = _fit(algorithm, split) if fit else math.nan
        ranked = rank_users(algorithm, split, protocol, relevant, batch_size)
    cost = Cost(fit_s, 1000 * ranked.seconds / max(len(relevant.users), 1), memory.rise_mb)
    found = measure(
        ranked.lists,
        split,
        protocol,
        relevant,
        ranked.by_score,
        cost=cost,
        algorithm=type(algorithm).__name__,
        parameters=plain_parameters(algorithm),
    )
    return replace(found, warnings=(*found.warnings, *_unused_histories(algorithm, split, relevant.users)))


def _unused_histories(algorithm: Algorithm, split: Split, users: Int32) -> list[str]:
    """What to know of a model that cannot fold in, where people without training rows are served by their history."""
    if algorithm.serves_new_users or algorithm.learns == "truth":
        return []
    given = (split.train.user_activity[users] == 0) & (split.history.user_activity[users] > 0)
    if not given.any():
        return []
    return [
        f"{type(algorithm).__name__} cannot fold in: {int(given.sum()):,} of {len(users):,} test users have no "
        "training row, and their history is not used for them; right would be a model that serves new users "
        "(recsys-lab algorithms), or a split that trains on every user"
    ]


def _evaluate_ratings(algorithm: Algorithm, split: Split, fallback: Fallback, fit: bool) -> Evaluation:
    test = split.test.canonical()
    with PeakMemory() as memory:
        fit_s = _fit(algorithm, split) if fit else math.nan
        predictions, seconds = predict_test(algorithm, test)
    summary, per_user, notes = measure_ratings(predictions, test, split, fallback)
    return Evaluation(
        summary,
        per_user,
        None,
        Cost(fit_s, 1000 * seconds / max(len(per_user), 1), memory.rise_mb),
        rating_protocol(fallback),
        split.card.dataset_hash,
        split.card.fingerprint,
        type(algorithm).__name__,
        plain_parameters(algorithm),
        tuple(notes),
    )


def _fit(algorithm: Algorithm, split: Split) -> float:
    start = time.perf_counter()
    algorithm.fit(split.train)
    return time.perf_counter() - start


def plain_parameters(algorithm: Algorithm) -> dict[str, Any]:
    """The hyper-parameters as JSON values, so that a saved evaluation is equal to the one in memory."""
    text = json.dumps(algorithm.get_params(deep=False), default=repr)
    values: dict[str, Any] = json.loads(text, parse_constant=str)  # an infinite window is "Infinity"
    return values
