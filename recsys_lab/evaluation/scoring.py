"""From ranked lists to metric values: the one place where lists meet the test part."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys_lab.data.interactions import Bool, Float64
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation.candidates import GivenCandidates, resolve_candidates
from recsys_lab.evaluation.cost import Cost
from recsys_lab.evaluation.inputs import Inputs
from recsys_lab.evaluation.protocol import RankingProtocol, TiePolicy, ranking_protocol
from recsys_lab.evaluation.relevance import Relevant, find_in_rows, relevant_items
from recsys_lab.evaluation.result import Evaluation, mean

if TYPE_CHECKING:
    from recsys_lab.splits import Split

TIES_WORTH_A_WARNING = 0.05  # share of lists whose last place was decided by the tie hash

SAMPLED_NOTE = (
    "sampled metrics rank against drawn candidates and may order models otherwise than the full ranking does; "
    "read the full numbers beside them (Krichene and Rendle, KDD 2020)"
)


def score_lists(
    lists: RankedLists,
    split: Split,
    *,
    cutoffs: Sequence[int] = (5, 10, 20),
    metrics: Sequence[str] | None = None,
    candidates: GivenCandidates = None,
    relevance_threshold: float | None = None,
    exclude_seen: bool = True,
    tie_seed: int = 0,
    tie_policy: TiePolicy = "hash",
    algorithm: str = "lists",
) -> Evaluation:
    """The evaluation of stored or foreign lists, without a model; the arguments are those of ``evaluate``.

    A test user without a list is unserved and scores 0. Raises ValueError for a listed item that is in the user's
    history (unless ``exclude_seen=False``) or is no candidate, and for "auc", which needs scores of all items.
    """
    chosen = resolve_candidates(candidates, split)
    protocol = ranking_protocol(
        split.train.catalogue,
        chosen,
        cutoffs=cutoffs,
        metrics=metrics,
        relevance_threshold=relevance_threshold,
        exclude_seen=exclude_seen,
        tie_seed=tie_seed,
        tie_policy=tie_policy,
    )
    on_scores = [name for name, metric, _ in protocol.columns if metric.kind in ("score", "sampled")]
    if on_scores:
        raise ValueError(f"{on_scores[0]} needs the scores of all candidates; lists have only the best: use evaluate")
    relevant = relevant_items(split.test, protocol.relevance_threshold)
    nothing = Cost(float("nan"), float("nan"), float("nan"))
    result = measure(lists, split, protocol, relevant, {}, cost=nothing, algorithm=algorithm, parameters={})
    for note in result.warnings:
        warnings.warn(note, stacklevel=2)
    return result


def measure(
    lists: RankedLists,
    split: Split,
    protocol: RankingProtocol,
    relevant: Relevant,
    by_score: dict[str, Float64],
    *,
    cost: Cost,
    algorithm: str,
    parameters: dict[str, Any],
) -> Evaluation:
    """Metric values of ``lists``; ``by_score`` holds the per-user values of metrics that were computed from scores."""
    notes: list[str] = []
    lists = _aligned(lists, relevant, protocol.k, notes)
    _check_lists(lists, split, protocol)
    counted = relevant.n_relevant > 0
    if not counted.any():
        notes.append("no test user has a relevant item, so no metric is defined; is the relevance threshold too high?")
    if any(metric.n_sampled for _, metric, _ in protocol.columns):
        notes.append(SAMPLED_NOTE)
    inputs = Inputs(lists, split, relevant, counted)
    summary: dict[str, float] = {}
    per_user: dict[str, Any] = {}
    for name, metric, k in protocol.columns:
        if metric.kind == "catalogue":
            summary[name] = float(metric.function(*inputs.of(metric.inputs, k)))
            continue
        values = np.full(len(lists), np.nan)
        values[counted] = by_score[name][counted] if name in by_score else metric.function(*inputs.of(metric.inputs, k))
        per_user[name] = values
        summary[name] = mean(values)
    history = split.history.user_activity if split.history is not split.train else 0
    per_user["n_relevant"] = relevant.n_relevant
    per_user["list_length"] = lists.lengths
    per_user["is_cold"] = (split.train.user_activity + history)[relevant.users] == 0
    frame = pd.DataFrame(per_user, index=pd.Index(relevant.users, name="user"))
    summary |= _null_counts({name: per_user[name][counted] for name, *_ in protocol.columns if name in per_user})
    summary |= _counts(frame, counted, lists, split, protocol, notes)
    return Evaluation(
        summary,
        frame,
        lists,
        cost,
        protocol.card(),
        split.card.dataset_hash,
        split.card.fingerprint,
        algorithm,
        parameters,
        tuple(notes),
    )


def _aligned(lists: RankedLists, relevant: Relevant, k: int, notes: list[str]) -> RankedLists:
    """One list for every test user, in their order, of length k; an unserved user has an empty one."""
    if lists.k == k and np.array_equal(lists.users, relevant.users):
        return lists
    rows = np.searchsorted(relevant.users, lists.users)
    tested = np.isin(lists.users, relevant.users)
    if not tested.all():
        notes.append(f"{np.count_nonzero(~tested)} lists are of users without test rows; they are not measured")
    n, width = len(relevant.users), min(lists.k, k)
    items = np.full((n, k), -1, dtype=np.int32)
    scores = np.full((n, k), -np.inf, dtype=np.float32)
    items[rows[tested], :width] = lists.items[tested, :width]
    scores[rows[tested], :width] = lists.scores[tested, :width]
    tied = None
    if lists.k > k:
        tied = np.zeros(n, dtype=np.bool_)
        tied[rows[tested]] = _tied(lists, k)[tested]
    elif lists.k == k and lists.tied_at_cutoff is not None:
        tied = np.zeros(n, dtype=np.bool_)
        tied[rows[tested]] = lists.tied_at_cutoff[tested]
    return RankedLists(relevant.users, items, scores, tied)


def _check_lists(lists: RankedLists, split: Split, protocol: RankingProtocol) -> None:
    n_items = split.train.n_items
    if lists.items.size and lists.items.max() >= n_items:
        raise ValueError(f"listed items are codes 0 ... {n_items - 1}; found {lists.items.max()}")
    faults: list[tuple[Any, str]] = []
    if protocol.exclude_seen:
        seen = find_in_rows(lists.items, lists.users, split.history.matrix)
        faults.append((seen, "is in the history already; mask it, or use exclude_seen=False for repeat consumption"))
    strange = ~protocol.candidates.allow(lists.users, lists.items)
    faults.append((strange, "is listed but is no candidate; list candidates only, or give other candidates"))
    for wrong, message in faults:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            catalogue = split.train.catalogue
            user, item = catalogue.user_id(lists.users[row]), catalogue.item_id(lists.items[row, column])
            raise ValueError(f"user {user!r}: item {item!r} at rank {column + 1} {message}")


def _tied(lists: RankedLists, k: int) -> Bool:
    """Whether rank k and rank k + 1 have one score, for k below the length of the lists."""
    return np.asarray((lists.scores[:, k - 1] == lists.scores[:, k]) & (lists.items[:, k] >= 0))


def _null_counts(values: dict[str, Float64]) -> dict[str, float]:
    """How many users have relevant items but no value (a list of one item has no diversity), where there are any."""
    nulls = {name: int(np.isnan(column).sum()) for name, column in values.items()}
    return {f"n_null_{name}": float(n) for name, n in nulls.items() if n}


def _counts(
    frame: pd.DataFrame, counted: Bool, lists: RankedLists, split: Split, protocol: RankingProtocol, notes: list[str]
) -> dict[str, float]:
    users, lengths = lists.users[counted], lists.lengths[counted]
    n_candidates = protocol.candidates.counts(users)
    if len(users) and n_candidates.min() < protocol.k:
        notes.append(f"k = {protocol.k} is more than the {n_candidates.min()} candidates of a user")
    ties = {k: _tied(lists, k)[counted] for k in protocol.cutoffs[:-1]}
    if lists.tied_at_cutoff is not None:
        ties[protocol.k] = lists.tied_at_cutoff[counted]
    shares = {f"tie_at_cutoff_share@{k}": mean(tied.astype(np.float64)) for k, tied in ties.items()}
    largest = max(shares.values(), default=float("nan"))
    if largest > TIES_WORTH_A_WARNING and protocol.tie_policy == "hash":
        notes.append(
            f"{largest:.1%} of the lists are cut between items of equal score; the tie hash decides what is in"
        )
    known = split.train.item_popularity > 0
    return {
        "n_users": float(len(users)),
        "n_users_no_relevant": float(np.count_nonzero(~counted)),
        "n_users_cold": float(frame["is_cold"][counted].sum()),
        "user_coverage": mean((lengths > 0).astype(np.float64)),
        "mean_list_length": mean(lengths.astype(np.float64)),
        "mean_n_candidates": mean(n_candidates.astype(np.float64)),
        "tie_at_cutoff_share": largest,
        **shares,
        "n_test_rows": float(len(split.test)),
        "n_test_rows_unknown_item": float(np.count_nonzero(~known[split.test.items])),
    }
