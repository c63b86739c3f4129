"""Checks of a fitted algorithm: canary rows in test (L05), the order of candidates (L09), shuffled users (L12)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from recsys_lab.algorithms.base import Algorithm, RatingPredictor
from recsys_lab.algorithms.baselines import Popularity
from recsys_lab.algorithms.top_k import top_k
from recsys_lab.checks.canary import planted
from recsys_lab.checks.check import Check
from recsys_lab.data.interactions import Float32, Int32, Interactions
from recsys_lab.evaluation import evaluate
from recsys_lab.evaluation.candidates import resolve_candidates
from recsys_lab.significance import mean_interval

if TYPE_CHECKING:
    from recsys_lab.splits import Split

N_SCORED = 100  # test users whose scores the canary compares
N_LISTED = 16  # test users whose lists are asked for twice
K = 20  # lists that are compared where scores differ in their last bits


def canary_check(algorithm: Algorithm, split: Split, others: Sequence[Interactions] = ()) -> Check:
    """L05: rows that are added to the test part alone change no score of the fitted ``algorithm``.

    A copy is fitted on the same training rows while canary rows stand in the test part, in ``others`` (the whole data
    set) and in all rows that its code can reach; scores (and predicted ratings) must be the same bit by bit. Where two
    plain fits differ in bits already, their lists are compared; where those differ too, nothing is decided: give the
    algorithm a random_state. The value is the number of users whose scores changed. Costs one fit, and a second one
    where scores differ. Not seen: what the code reads from files, or copied into arrays of its own at import.
    """
    asked = _Asked(split)
    plain = asked.of(algorithm)
    with planted(algorithm, split, others) as n_rows:
        with_canary = asked.of(clone(algorithm).fit(split.train))
    changed = plain.unequal(with_canary)
    sound = f"{n_rows} canary rows in the test part changed no score"
    if not changed:
        return Check("L05", "E", True, 0.0, sound)
    again = asked.of(clone(algorithm).fit(split.train))
    if plain.unequal(again):
        if plain.other_lists(again):
            message = "not decided: two fits on the same rows give other lists; give the algorithm a random_state"
            return Check("L05", "E", True, None, message)
        changed = plain.other_lists(with_canary)
        if not changed:
            return Check("L05", "E", True, 0.0, sound.replace("score", "list"))
    message = (
        f"{n_rows} canary rows in the test part changed the scores of {changed} of {len(asked.users)} users: the "
        "algorithm reads more than its training rows; let fit use nothing but train"
    )
    return Check("L05", "E", False, float(changed), message)


class _Asked:
    """What is asked of every fit: scores of some test users and the ratings of their test rows."""

    def __init__(self, split: Split) -> None:
        self.users = _some_users(split, N_SCORED)
        self.histories = split.history.matrix[self.users]
        rows = np.isin(split.test.users, self.users)
        self.pairs = split.test.users[rows], split.test.items[rows]

    def of(self, algorithm: Algorithm) -> _Answers:
        scores = np.array(algorithm.score(self.users, self.histories), dtype=np.float32)
        rated = algorithm.predict(*self.pairs) if isinstance(algorithm, RatingPredictor) else None
        return _Answers(self, scores, None if rated is None else np.array(rated))


class _Answers:
    def __init__(self, asked: _Asked, scores: Float32, ratings: Float32 | None) -> None:
        self.asked, self.scores, self.ratings = asked, scores, ratings

    def unequal(self, other: _Answers) -> int:
        """Users with another score or predicted rating somewhere, bit by bit."""
        changed = (self.scores.view(np.uint32) != other.scores.view(np.uint32)).any(axis=1)
        if self.ratings is not None and other.ratings is not None:
            rows = ~((self.ratings == other.ratings) | (np.isnan(self.ratings) & np.isnan(other.ratings)))
            changed |= np.isin(self.asked.users, self.asked.pairs[0][rows])
        return int(changed.sum())

    def other_lists(self, other: _Answers) -> int:
        """Users whose 20 best items are others, or stand in another order."""
        lists = [
            top_k(one.scores, K, users=self.asked.users, exclude=self.asked.histories).items for one in (self, other)
        ]
        return int((lists[0] != lists[1]).any(axis=1).sum())


def candidate_order_check(algorithm: Algorithm, split: Split, protocol: Mapping[str, Any]) -> Check:
    """L09: the lists of a fitted ``algorithm`` are the same in whatever order the candidates come.

    The lists of 16 test users are asked for twice, the second time with the candidates shuffled. The value is the
    number of users whose lists differ.
    """
    if protocol.get("task", "ranking") != "ranking":
        return Check("L09", "E", True, None, "ratings are predicted pair by pair")
    users = _some_users(split, N_LISTED)
    histories = split.history.matrix[users]
    k = int(max(protocol.get("cutoffs", (5, 10, 20))))
    candidates = resolve_candidates(protocol.get("candidates"), split).of(users)
    options = {"exclude_seen": protocol.get("exclude_seen", True), "tie_seed": protocol.get("tie_seed", 0)}

    def listed(order: Any) -> Int32:
        return algorithm.recommend(users, histories, k, order, **options).items

    first, other = listed(candidates), listed(_shuffled(candidates))
    differ = int((first != other).any(axis=1).sum())
    if not differ:
        return Check("L09", "E", True, 0.0, f"the lists of {len(users)} users do not depend on the order of candidates")
    message = f"the lists of {differ} of {len(users)} users differ when the candidates come in another order"
    if (first != listed(candidates)).any():
        message = f"the lists of {differ} of {len(users)} users differ each time that they are asked for"
    message += "; let score() give the same numbers each time, and leave ranking and ties to Algorithm.recommend"
    return Check("L09", "E", False, float(differ), message)


def _shuffled(candidates: Any) -> Any:
    rng = np.random.default_rng(9)
    if not sparse.issparse(candidates):
        return rng.permutation(candidates)
    rows = np.repeat(np.arange(candidates.shape[0]), np.diff(candidates.indptr))
    order = np.lexsort((rng.random(len(rows)), rows))
    return sparse.csr_matrix(
        (candidates.data[order], candidates.indices[order], candidates.indptr), shape=candidates.shape
    )


def permuted_users_check(algorithm: Algorithm, split: Split, protocol: Mapping[str, Any]) -> Check:
    """L12: fitted on rows whose users were shuffled, ``algorithm`` is not clearly better than Popularity.

    Train, and the histories with it, keep every user's number of rows and every item's, but nobody's taste: what is
    left above Popularity came from the test part. Better is: by more than 10 %, and the 99.99 % interval of the mean
    difference is above 0. The value is the difference in ndcg at the largest cut-off. Costs a fit and an evaluation.
    """
    if protocol.get("task", "ranking") != "ranking":
        return Check("L12", "W", True, None, "for rankings only")
    shuffled = _without_taste(split)
    k = int(max(protocol.get("cutoffs", (5, 10, 20))))
    given = {**protocol, "metrics": [f"ndcg@{k}"], "cutoffs": [k]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own, floor = (
            evaluate(one, shuffled, **given).per_user[f"ndcg@{k}"] for one in (clone(algorithm), Popularity())
        )
    differences = (own - floor).dropna().to_numpy()
    mean = float(differences.mean()) if len(differences) else 0.0
    words = f"on rows with shuffled users ndcg@{k} is {own.mean():.4f}, that of Popularity {floor.mean():.4f}"
    better = len(differences) > 1 and mean > 0.1 * floor.mean() and mean_interval(differences, 0.9999).low > 0
    if better:
        words += ": what is above Popularity cannot come from tastes; look for what the model knows of the test part"
    return Check("L12", "W", not better, mean, words)


def _without_taste(split: Split) -> Split:
    train = split.history
    users = np.random.default_rng(12).permutation(train.users)
    pairs = users.astype(np.int64) * max(train.n_items, 1) + train.items
    rows = np.unique(pairs, return_index=True)[1]
    shuffled = replace(train, users=users).select(rows)
    return replace(split, train=shuffled, validation=None, history=shuffled)


def _some_users(split: Split, n: int) -> Int32:
    users = np.flatnonzero(split.test.user_activity > 0)
    return users[np.linspace(0, len(users) - 1, min(n, len(users))).astype(np.int64)].astype(np.int32)
