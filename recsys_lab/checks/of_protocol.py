"""Checks of a split under a protocol, the same for all models: items of the future (L04), chance in its band (L11)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.baselines import Popularity, Random
from recsys_lab.checks.check import Check
from recsys_lab.data.interactions import Float32, Int32, Int64, Interactions
from recsys_lab.evaluation import evaluate
from recsys_lab.evaluation.candidates import Candidates, resolve_candidates
from recsys_lab.evaluation.relevance import Relevant, relevant_items, sorted_rows

if TYPE_CHECKING:
    from recsys_lab.evaluation import Evaluation
    from recsys_lab.splits import Split

MOST_USERS = 1000  # test users that L11 looks at; more say nothing new
BAND = 4.0  # standard errors; chance alone leaves it once in 16,000
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class ProtocolFloor:
    """What holds for every model under one protocol, measured once a split."""

    checks: tuple[Check, ...]  # L04 and L11
    popularity: Evaluation | None  # of at most 1000 test users; None for ratings


def protocol_floor(split: Split, protocol: Mapping[str, Any]) -> ProtocolFloor:
    """L04 and L11 of a split, and how Popularity fares; ``protocol`` holds the arguments of ``evaluate``."""
    if protocol.get("task", "ranking") != "ranking":
        return ProtocolFloor((), None)
    checks = (future_items_check(split, protocol.get("candidates")), chance_check(split, protocol))
    return ProtocolFloor(checks, _evaluated(Popularity(), _sample(split), protocol))


def future_items_check(split: Split, candidates: Any = None) -> Check:
    """L04: no candidate has its first event, in any part, after the test event it competes with.

    The value is the share of the pairs (test row, candidate) where it has. Items without any event do not count.
    """
    parts = [part for part in (split.train, split.validation, split.history, split.test) if part is not None]
    if split.test.timestamps is None or any(part.timestamps is None for part in parts) or not len(split.test):
        return Check("L04", "W", True, None, "without times it is not known which candidates were there yet")
    first: Int64 = np.full(split.test.n_items, NEVER)
    for part in parts:
        assert part.timestamps is not None
        np.minimum.at(first, part.items, part.timestamps)
    chosen = resolve_candidates(candidates, split)
    later, total = _later(chosen, first, split.test)
    share = later / total if total else 0.0
    if not later:
        return Check("L04", "W", True, 0.0, "every candidate had an event before each test row")
    message = f"in {share:.1%} of the pairs of a test row and a candidate, the candidate's first event came later: "
    message += "models cannot know it, or know it from the future; a temporal_global split has none"
    return Check("L04", "W", False, share, message)


def _later(chosen: Candidates, first: Int64, test: Interactions) -> tuple[int, int]:
    """Pairs (test row, candidate) whose candidate comes later, and all pairs of candidates with an event."""
    assert test.timestamps is not None
    if chosen.codes is not None:
        times = np.sort(first[chosen.codes])
        times = times[times < NEVER]
        there = np.searchsorted(times, test.timestamps, side="right")
        return int(len(times) * len(test) - there.sum()), len(times) * len(test)
    known = np.unique(np.concatenate([first[first < NEVER], test.timestamps]))
    starts, items = sorted_rows(chosen.per_user, test.users)  # the candidates of each test row
    rows = np.repeat(np.arange(len(test)), np.diff(starts))
    exists = first[items] < NEVER
    ranks = np.searchsorted(known, first[items])
    later = exists & (ranks > np.searchsorted(known, test.timestamps)[rows])
    return int(later.sum()), int(exists.sum())


@dataclass(kw_only=True, eq=False)
class _Constant(Algorithm):
    """The same score for everything: its lists are made by the tie-break alone."""

    serves_new_users: ClassVar[bool] = True

    def fit(self, train: Interactions) -> Self:
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        return np.zeros(histories.shape, dtype=np.float32)


def chance_check(split: Split, protocol: Mapping[str, Any]) -> Check:
    """L11: precision and recall of a random and of a constant scorer are what chance gives, within 4 standard errors.

    Of n candidates of a user, m of them relevant, the k places of a list hold m·k/n hits on average and, drawn
    without replacement, with the variance of the hypergeometric distribution. The value is the largest distance in
    standard errors. With pessimistic ties a constant scorer may only be below. At most 1000 test users are looked at.
    """
    sample = _sample(split)
    expected = _expected(sample, protocol)
    if expected is None:
        return Check("L11", "E", True, None, "no test user has a relevant item among several candidates")
    worst, found = 0.0, []
    for name, scorer in (("Random", Random(random_state=11)), ("a constant scorer", _Constant())):
        summary = _evaluated(scorer, sample, protocol).summary
        for metric, (mean, error) in expected.items():
            distance = (summary[metric] - mean) / error
            one_sided = name != "Random" and protocol.get("tie_policy") == "pessimistic"
            off = max(distance, 0.0) if one_sided else abs(distance)
            worst = max(worst, off)
            if off > BAND:
                found.append(f"{metric} of {name} is {summary[metric]:.4f}, chance gives {mean:.4f} ± {error:.4f}")
    if found:
        message = "; ".join(found) + ": ties, masks or candidates favour some items; mend them before any comparison"
        return Check("L11", "E", False, worst, message)
    return Check("L11", "E", True, worst, f"random and constant scorers are at most {worst:.1f} standard errors off")


def _evaluated(algorithm: Algorithm, split: Split, protocol: Mapping[str, Any]) -> Evaluation:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what evaluate warns of is told once, by the trials
        return evaluate(algorithm, split, **{**protocol, "metrics": ("precision", "recall", "ndcg")})


def _sample(split: Split) -> Split:
    """The split with the test rows of at most 1000 users, evenly chosen."""
    users = np.flatnonzero(split.test.user_activity > 0)
    if len(users) <= MOST_USERS:
        return split
    chosen = users[np.linspace(0, len(users) - 1, MOST_USERS).astype(np.int64)]
    return replace(split, test=split.test.select(np.isin(split.test.users, chosen)))


def _expected(split: Split, protocol: Mapping[str, Any]) -> dict[str, tuple[float, float]] | None:
    """Mean and standard error of precision@k and recall@k under chance, at the largest cut-off."""
    relevant = relevant_items(split.test, protocol.get("relevance_threshold"))
    n, m = _allowed(split, relevant, protocol)
    asked = relevant.n_relevant > 0
    n, m, n_relevant = n[asked], m[asked], relevant.n_relevant[asked]
    k = int(max(protocol.get("cutoffs", (5, 10, 20))))
    drawn = np.minimum(k, n)
    share = m / np.maximum(n, 1)
    variance = drawn * share * (1 - share) * (n - drawn) / np.maximum(n - 1, 1)
    if not variance.sum() > 0:
        return None
    means = {"precision": drawn * share / k, "recall": drawn * share / n_relevant}
    errors = {"precision": variance / k**2, "recall": variance / n_relevant**2}
    return {
        f"{name}@{k}": (float(means[name].mean()), float(np.sqrt(errors[name].sum())) / len(n_relevant))
        for name in means
    }


def _allowed(split: Split, relevant: Relevant, protocol: Mapping[str, Any]) -> tuple[Int64, Int64]:
    """Items that may be listed for each test user, and how many of them are relevant; both (n,)."""
    users, n_items = relevant.users, split.train.n_items
    chosen = resolve_candidates(protocol.get("candidates"), split)
    right = relevant.matrix(0, len(users), n_items)
    seen = split.history.matrix[users]
    seen.data = np.ones_like(seen.data)
    if not protocol.get("exclude_seen", True):
        seen = sparse.csr_matrix(seen.shape, dtype=np.float32)
    if chosen.codes is not None:
        listed = np.zeros(n_items, dtype=np.float32)
        listed[chosen.codes] = 1
        keep = sparse.diags(listed)
        right, seen = (right @ keep).tocsr(), (seen @ keep).tocsr()
    else:
        assert chosen.per_user is not None
        allowed = sparse.csr_matrix(chosen.per_user[users], dtype=np.float32)
        allowed.data = np.ones_like(allowed.data)
        right, seen = right.multiply(allowed).tocsr(), seen.multiply(allowed).tocsr()
    n = chosen.counts(users) - np.asarray(seen.sum(axis=1)).ravel()
    m = np.asarray(right.sum(axis=1)).ravel() - np.asarray(right.multiply(seen).sum(axis=1)).ravel()
    return n.astype(np.int64), m.astype(np.int64)
