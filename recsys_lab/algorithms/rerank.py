"""Rerankers: the best items of another algorithm in another order, for variety, the long tail, or a user's genres."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import require
from recsys_lab.algorithms.hybrid import Composite, require_served, require_share, unit_range
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.top_k import Candidates
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.compiled import njit, prange
from recsys_lab.data.genres import genre_weights, has_genres
from recsys_lab.data.interactions import Float32, Float64, Int32, Interactions
from recsys_lab.data.ranked_lists import RankedLists

Likeness: TypeAlias = Literal["features", "interactions"]
SMOOTHING = 0.01  # alpha of the smoothed divergence (Steck, RecSys 2018, eq. 6)


@dataclass(kw_only=True, eq=False)
class Reranker(Composite):
    """What rerankers share: ``recommend`` takes the best max(k, n_candidates) items of the base and reorders them.

    Relevance is the base's score, stretched for each user to 0 ... 1 over these items. The scores of a reranked list
    are 1 / rank, since what decides depends on the items listed before. ``score`` is the base's own.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("base",)
    reorders: ClassVar[bool] = True

    base: str = "EASE"  # the algorithm whose lists are reordered, by name
    weight: float = 0.5  # 0: the order of the base; 1: the other aim alone
    n_candidates: int = 100  # best items of the base that are looked at
    base_parameters: dict[str, Any] | None = None  # hyper-parameters of the base
    random_state: int = 42  # the seed of the base comes from it

    def check(self) -> None:
        """Raise ValueError for a weight outside 0 ... 1 or no candidates."""
        require_share("weight", self.weight)
        require(self.n_candidates >= 1, f"n_candidates must be at least 1; found {self.n_candidates}")

    def fit(self, train: Interactions) -> Self:
        """Fit the base, and learn what the new order needs."""
        self.fit_parts(train)
        self.learn(train)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The base's own scores, (b, n_items) float32."""
        require_served(self.parts_, users)
        return self.parts_[0].score(users, histories)

    def recommend(
        self,
        users: Int32,
        histories: sparse.csr_matrix,
        k: int,
        candidates: Candidates = None,
        *,
        exclude_seen: bool = True,
        tie_seed: int = 0,
    ) -> RankedLists:
        """The k best items in the new order; the scores are 1 / rank. Arguments as of ``Algorithm.recommend``."""
        n = max(k, min(self.n_candidates, histories.shape[1]))
        pool = self.parts_[0].recommend(users, histories, n, candidates, exclude_seen=exclude_seen, tie_seed=tie_seed)
        listed = pool.items >= 0
        relevance = np.where(listed, unit_range(pool.scores, listed), 0.0).astype(np.float64)
        places = self.reorder(pool.items, relevance, histories, k)
        items = np.where(places >= 0, np.take_along_axis(pool.items, np.maximum(places, 0), axis=1), -1)
        ranks = np.arange(1, k + 1, dtype=np.float32)
        return RankedLists(pool.users, items, np.where(items >= 0, 1.0 / ranks, -np.inf))

    @abstractmethod
    def learn(self, train: Interactions) -> None:
        """What ``reorder`` needs, from the training rows."""

    @abstractmethod
    def reorder(self, items: Int32, relevance: Float64, histories: sparse.csr_matrix, k: int) -> Int32:
        """Places in ``items`` (b, n), -1 = none, of the k listed, best first, -1 where there are fewer."""


@dataclass(kw_only=True, eq=False)
class MMR(Reranker):
    """Maximal marginal relevance: variety within a list (Carbonell and Goldstein, SIGIR 1998).

    Again and again the item with the largest (1 - weight) · relevance - weight · (its highest similarity to an item
    already listed) comes next. Similarity is the cosine of the items' features, or of their columns in the training
    rows, 1 a row (``similarity="interactions"``).
    """

    stored: ClassVar[Layout] = {"parts_": ("algorithm",), "vectors_": "csr float64 items m"}

    similarity: Likeness = "features"  # features: what items are; interactions: who took them

    def learn(self, train: Interactions) -> None:
        """Vectors of length 1 of the items."""
        require_choice("similarity", self.similarity, get_args(Likeness))
        if self.similarity == "interactions":
            vectors = ones_like(train.matrix).T.tocsr()
        elif train.catalogue.item_features is None:
            raise ValueError(
                "MMR compares item features and this catalogue has none; use data with content, "
                "set catalogue.item_features, or use similarity='interactions'"
            )
        else:
            vectors = train.catalogue.item_features.astype(np.float64)
        lengths = np.sqrt(vectors.multiply(vectors).sum(axis=1))
        scale = sparse.diags(1.0 / np.where(np.asarray(lengths).ravel() > 0, np.asarray(lengths).ravel(), 1.0))
        self.vectors_ = sparse.csr_matrix(scale @ vectors)  # (n_items, m) float64, rows of length 1

    def reorder(self, items: Int32, relevance: Float64, histories: sparse.csr_matrix, k: int) -> Int32:
        """Greedy, one list at a time."""
        places = np.full((len(items), k), -1, dtype=np.int32)
        for row in range(len(items)):
            n = int(np.count_nonzero(items[row] >= 0))
            vectors = self.vectors_[items[row, :n]]
            alike = np.asarray((vectors @ vectors.T).toarray(), dtype=np.float64)
            _most_marginal(relevance[row, :n], alike, float(self.weight), places[row])
        return places


@dataclass(kw_only=True, eq=False)
class PopularityDebiased(Reranker):
    """Less of what everybody has: (1 - weight) · relevance - weight · log(1 + users of the item) / log(1 + most users).

    The penalty on the logarithm of popularity is that of Steck (RecSys 2011), here as an order of the best items.
    """

    stored: ClassVar[Layout] = {"parts_": ("algorithm",), "popularity_": "float64 items"}

    def learn(self, train: Interactions) -> None:
        """The popularity of the items on a scale of 0 to 1."""
        counts = np.log1p(np.bincount(train.matrix.indices, minlength=train.n_items))
        self.popularity_ = counts / max(float(counts.max(initial=0.0)), 1e-12)  # (n_items,) float64

    def reorder(self, items: Int32, relevance: Float64, histories: sparse.csr_matrix, k: int) -> Int32:
        """By the value above; equal values keep the order of the base."""
        value = (1.0 - self.weight) * relevance - self.weight * self.popularity_[items]
        order = np.argsort(np.where(items >= 0, -value, np.inf), axis=1, kind="stable")[:, :k].astype(np.int32)
        return np.where(np.take_along_axis(items, order, axis=1) >= 0, order, np.int32(-1))


@dataclass(kw_only=True, eq=False)
class Calibrated(Reranker):
    """Lists whose genres are those of the history (Steck, RecSys 2018, eq. 7).

    Again and again the item comes next that makes (1 - weight) · (sum of relevance) - weight · KL(p || q~) largest: p
    the shares of genres in the history, q those of the list with the item, q~ = .99 q + .01 p; an item's weight of 1 is
    split evenly over its genres. A history without genres keeps the order of the base. Needs the column "genres".
    """

    stored: ClassVar[Layout] = {"parts_": ("algorithm",), "genres_": "float64 items genres"}

    def learn(self, train: Interactions) -> None:
        """The genres of the items."""
        if not has_genres(train.catalogue):
            raise ValueError("Calibrated compares genres; the catalogue's items have no column 'genres'")
        self.genres_ = genre_weights(train.catalogue)  # (n_items, n_genres) float64

    def reorder(self, items: Int32, relevance: Float64, histories: sparse.csr_matrix, k: int) -> Int32:
        """Greedy, as in the paper; equal values keep the order of the base."""
        wanted = np.asarray(ones_like(histories).astype(np.float64) @ self.genres_)
        total = wanted.sum(axis=1, keepdims=True)
        shares = wanted / np.where(total > 0, total, 1.0)
        places = np.full((len(items), k), -1, dtype=np.int32)
        _calibrate(items, relevance, self.genres_, shares, float(self.weight), places)
        return places


@njit()
def _most_marginal(relevance, alike, weight, places):  # type: ignore[no-untyped-def]
    """Fill ``places`` (k,) with places in ``relevance`` (n,); ``alike`` (n, n) are the similarities."""
    n = relevance.size
    nearest = np.zeros(n)  # highest similarity to what is listed; nothing is listed yet
    taken = np.zeros(n, dtype=np.bool_)
    for rank in range(min(places.size, n)):
        chosen, best = -1, -np.inf
        for item in range(n):
            value = (1.0 - weight) * relevance[item] - weight * nearest[item]
            if not taken[item] and value > best:
                chosen, best = item, value
        places[rank] = chosen
        taken[chosen] = True
        for item in range(n):
            nearest[item] = max(nearest[item], alike[chosen, item]) if rank else alike[chosen, item]


@njit()
def _divergence(wanted, listed, total):  # type: ignore[no-untyped-def]
    """KL(wanted || .99 · listed / total + .01 · wanted); ``wanted`` (g,) sums to 1."""
    divergence = 0.0
    for genre in range(wanted.size):
        if wanted[genre] > 0.0:
            share = listed[genre] / total if total > 0.0 else 0.0
            divergence += wanted[genre] * np.log(
                wanted[genre] / ((1.0 - SMOOTHING) * share + SMOOTHING * wanted[genre])
            )
    return divergence


@njit(parallel=True)
def _calibrate(items, relevance, genres, wanted, weight, places):  # type: ignore[no-untyped-def]
    """Fill ``places`` (b, k) row by row; ``wanted`` (b, g) are shares of genres, all 0 for a history without any."""
    n_rows, n = items.shape
    n_genres = genres.shape[1]
    for row in prange(n_rows):
        size = 0
        while size < n and items[row, size] >= 0:
            size += 1
        taken = np.zeros(n, dtype=np.bool_)
        listed, trial = np.zeros(n_genres), np.zeros(n_genres)
        for rank in range(min(places.shape[1], size)):
            chosen, best = -1, -np.inf
            for place in range(size):
                if taken[place]:
                    continue
                trial[:] = listed + genres[items[row, place]]
                value = (1.0 - weight) * relevance[row, place] - weight * _divergence(wanted[row], trial, trial.sum())
                if value > best:
                    chosen, best = place, value
            places[row, rank] = chosen
            taken[chosen] = True
            listed += genres[items[row, chosen]]
