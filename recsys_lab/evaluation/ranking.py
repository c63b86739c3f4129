"""Ranks the candidates of the test users with a model, one batch of users at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.top_k import top_k
from recsys_lab.compiled import njit
from recsys_lab.data.interactions import Float32, Float64, Int32
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation.protocol import RankingProtocol
from recsys_lab.evaluation.relevance import Relevant, find
from recsys_lab.evaluation.sampled import relevant_among, sample_others
from recsys_lab.metrics.card import Metric
from recsys_lab.metrics.ranking import auc

if TYPE_CHECKING:
    from recsys_lab.algorithms.base import Algorithm
    from recsys_lab.splits import Split


@dataclass(frozen=True, eq=False)
class Ranked:
    """The lists of all test users, what was computed from the scores on the way, and the seconds it took the model."""

    lists: RankedLists
    by_score: dict[str, Float64]
    seconds: float


def rank_users(
    algorithm: Algorithm, split: Split, protocol: RankingProtocol, relevant: Relevant, batch_size: int
) -> Ranked:
    """Lists of ``protocol.k`` items for every test user."""
    if batch_size < 1:
        raise ValueError(f"batch_size is the number of users scored at once, at least 1; found {batch_size}")
    by_score = [column for column in protocol.columns if column[1].kind in ("score", "sampled")]
    names = [name for name, _, _ in by_score]
    own_scores = bool(names) or protocol.tie_policy == "pessimistic"
    if own_scores and algorithm.reorders:
        raise ValueError(
            f"{type(algorithm).__name__} lists items in another order than that of its scores, so {names or 'ties'} "
            "cannot be measured on the scores; leave out auc and sampled metrics, and use tie_policy='hash'"
        )
    histories = split.history.matrix
    parts: list[RankedLists] = []
    values: dict[str, list[Float64]] = {name: [np.zeros(0)] for name in names}
    seconds = 0.0
    for first in range(0, len(relevant.users), batch_size):
        batch = _Batch(relevant, first, batch_size, histories, protocol)
        start = time.perf_counter()
        if own_scores:
            scores = _scores(algorithm, batch, protocol.exclude_seen)
            part = batch.rank(scores, batch.candidates)
        else:
            part = algorithm.recommend(
                batch.users,
                batch.histories,
                protocol.k,
                batch.candidates,
                exclude_seen=protocol.exclude_seen,
                tie_seed=protocol.tie_seed,
            )
        seconds += time.perf_counter() - start
        if not np.array_equal(part.users, batch.users) or part.k != protocol.k:
            raise ValueError(
                f"{type(algorithm).__name__}.recommend must answer for the {len(batch.users)} users in the order asked "
                f"with lists of {protocol.k}; found {len(part)} users and lists of {part.k}"
            )
        parts.append(part)
        for name, metric, k in by_score:
            values[name].append(batch.sampled(scores, metric, k) if metric.n_sampled else batch.areas(scores))
    by_name = {name: np.concatenate(of_batches) for name, of_batches in values.items()}
    return Ranked(_joined(parts, protocol.k), by_name, seconds)


class _Batch:
    """Some of the test users, with what they have, what may be listed and what is right."""

    def __init__(
        self, relevant: Relevant, first: int, size: int, histories: sparse.csr_matrix, protocol: RankingProtocol
    ) -> None:
        self.users = relevant.users[first : first + size]
        self.histories = histories[self.users]
        self.candidates: Any = protocol.candidates.of(self.users)
        self._relevant = relevant.matrix(first, first + len(self.users), histories.shape[1])
        self._protocol = protocol

    def rank(self, scores: Float32, candidates: Any) -> RankedLists:
        """The k best of the candidates by these scores (b, n_items), under the tie policy."""
        protocol = self._protocol
        pessimistic = protocol.tie_policy == "pessimistic"
        lists = top_k(
            self._worst_case(scores, candidates) if pessimistic else scores,
            protocol.k,
            users=self.users,
            exclude=self.histories if protocol.exclude_seen else None,
            candidates=candidates,
            tie_seed=protocol.tie_seed,
        )
        if not pessimistic:
            return lists
        filled = lists.items >= 0
        own = np.where(filled, np.take_along_axis(scores, np.maximum(lists.items, 0), axis=1), -np.inf)
        return RankedLists(lists.users, lists.items, own, lists.tied_at_cutoff)

    def _worst_case(self, scores: Float32, candidates: Any) -> Float32:
        """Scores in the same order, except that a relevant item stands after all candidates of equal score."""
        if sparse.issparse(candidates):
            starts, listed = candidates.indptr.astype(np.int64), candidates.indices.astype(np.int64)
        else:
            starts, listed = np.zeros(0, dtype=np.int64), candidates.astype(np.int64)
        right = self._relevant
        return np.asarray(_relevant_last(scores, right.indptr.astype(np.int64), right.indices, starts, listed))

    def sampled(self, scores: Float32, metric: Metric, k: int) -> Float64:
        """The metric of each user with the relevant candidates among ``metric.n_sampled`` others."""
        protocol, right = self._protocol, self._relevant
        exclude = self.histories if protocol.exclude_seen else None
        others = sample_others(self.users, right, self.candidates, exclude, metric.n_sampled, protocol.tie_seed)
        lists = self.rank(scores, relevant_among(right, self.candidates) + others)
        hits = find(lists.items[:, :k], right.indptr.astype(np.int64), right.indices.astype(np.int32, copy=False)) >= 0
        return np.asarray(metric.function(hits, np.diff(right.indptr).astype(np.int64)))

    def areas(self, scores: Float32) -> Float64:
        """The auc of each user over the candidates that may be listed; a relevant item outside them is below all."""
        result = np.full(len(self.users), np.nan)
        for row in range(len(self.users)):
            right = np.zeros(scores.shape[1], dtype=np.bool_)
            right[_stored(self._relevant, row)] = True
            allowed = np.zeros(scores.shape[1], dtype=np.bool_)
            allowed[_stored(self.candidates, row) if sparse.issparse(self.candidates) else self.candidates] = True
            if self._protocol.exclude_seen:
                allowed[_stored(self.histories, row)] = False
            positive, negative = scores[row, allowed & right], scores[row, allowed & ~right]
            if len(positive):
                result[row] = auc(positive, negative) * len(positive) / np.count_nonzero(right)
            elif right.any() and len(negative):
                result[row] = 0.0
        return result


def _stored(matrix: sparse.csr_matrix, row: int) -> Int32:
    columns: Int32 = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
    return columns


def _scores(algorithm: Algorithm, batch: _Batch, exclude_seen: bool) -> Float32:
    exclude = batch.histories if exclude_seen else None
    found = algorithm.score_to_list(batch.users, batch.histories, exclude, batch.candidates)
    scores = np.asarray(found, dtype=np.float32)
    if scores.shape != batch.histories.shape:
        raise ValueError(
            f"{type(algorithm).__name__}.score returned shape {scores.shape}; "
            f"expected {batch.histories.shape}: users × items"
        )
    return scores


@njit()
def _relevant_last(scores, starts, relevant, own_starts, candidates):  # type: ignore[no-untyped-def]
    """Places as scores: whole numbers, exact in float32, odd for what is not relevant and so before its equals.

    ``own_starts`` cuts ``candidates`` into rows; if it is empty they are everyone's. Other items, and scores that are
    not finite, stay as they are: -inf masks, NaN and +inf are errors of ``top_k``.
    """
    n_rows, n_items = scores.shape
    ranked = scores.copy()
    for row in range(n_rows):
        right = np.zeros(n_items, dtype=np.bool_)
        for position in range(starts[row], starts[row + 1]):
            right[relevant[position]] = True
        place = 0
        listed = candidates[own_starts[row] : own_starts[row + 1]] if own_starts.size else candidates
        order = listed[np.argsort(scores[row][listed])]
        for step in range(len(order)):
            item = order[step]
            if step and scores[row, item] != scores[row, order[step - 1]]:
                place += 2
            if np.isfinite(scores[row, item]):
                ranked[row, item] = place + (0 if right[item] else 1)
    return ranked


def _joined(parts: list[RankedLists], k: int) -> RankedLists:
    if not parts:
        empty = np.zeros(0, dtype=np.int32)
        return RankedLists(empty, np.zeros((0, k), np.int32), np.zeros((0, k), np.float32), np.zeros(0, np.bool_))
    if len(parts) == 1:
        return parts[0]
    flags = [part.tied_at_cutoff for part in parts if part.tied_at_cutoff is not None]
    return RankedLists(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate(flags) if len(flags) == len(parts) else None,
    )
