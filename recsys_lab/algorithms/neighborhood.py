"""Neighbourhood models: users like this one, items like those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms.base import RatingPredictor, require
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout, Maybe, Part
from recsys_lab.algorithms.similarity import (
    Similarity,
    Vectors,
    history_parts,
    neighbour_matrix,
    predict_ratings,
    row_sums,
    vectors,
)
from recsys_lab.algorithms.sparse_rows import divided_by_sums, item_scores
from recsys_lab.algorithms.weighting import TermWeights, Weighting, ones_like, term_weights
from recsys_lab.data.interactions import Float32, Int32, Interactions

if TYPE_CHECKING:
    import pandas as pd

NeighborsPer: TypeAlias = Literal["target", "history"]


@dataclass(kw_only=True, eq=False)
class ItemKNN(RatingPredictor):
    """Items like those of the history (Sarwar et al., WWW 2001; Deshpande and Karypis, TOIS 2004).

    Ranking: score(u, j) = sum over i in the history of x_ui s_ij. Rating: mean_j + sum s (r_ui - mean_i) / sum s over
    the n_neighbors items most like j that the user rated. Similarities: ``recsys_lab.algorithms.similarity.vectors``.
    ``neighbors_per="target"`` keeps the best i of each j, a column of the item-item matrix, as the literature on
    reproducibility does (Ferrari Dacrema et al., TOIS 2021); ``"history"`` keeps the best j of each i, as most
    libraries do. With ``subtracts_popularity`` the ranking is sum over ALL items i of s_ij (x_ui - p_i) + p_j, p_i the
    mean of x_ui over the users, missing = 0: for rows of 1 the share of users who have i. Memory:
    n_items × n_neighbors × 8 bytes.
    """

    stored: ClassVar[Layout] = {
        "ratings_": "csr float32 items users",
        "terms_": Part(TermWeights, terms="users"),
        "saturation_": "float64 items",
        "space_": Part(Vectors, n="items", m="users"),
        "item_ids_": "ids items",
        "weights_": "csr float32 items items",
        "offsets_": Maybe("float32 items"),
    }

    serves_new_users: ClassVar[bool] = True

    n_neighbors: int = 100  # similar items kept
    similarity: Similarity = "cosine"  # one of those in ``vectors``
    alpha: float = 0.5  # of asymmetric_cosine and tversky: the part of the item asked about, whose neighbours are kept
    beta: float = 0.5  # of tversky: the part of the neighbour
    shrinkage: float = 0.0  # added to the denominator: trusts small overlaps less
    weighting: Weighting = "none"  # none, tfidf or bm25; items are the documents, users the terms
    neighbors_per: NeighborsPer = "target"  # whose n_neighbors are kept: of the item scored, or of the history's item
    normalizes_rows: bool = False  # True: the similarities kept for each item scored are divided by their sum
    subtracts_popularity: bool = False  # True: history and scores are taken relative to the items' popularity
    uses_ratings: bool = True  # False: every stored rating counts as 1 in the ranking

    def fit(self, train: Interactions) -> Self:
        _check(self)
        self.ratings_ = train.canonical().matrix.T.tocsr()  # (n_items, n_users)
        documents = self.ratings_ if self.uses_ratings else ones_like(self.ratings_)
        self.terms_ = term_weights(documents, self.weighting)
        self.saturation_ = self.terms_.saturation(row_sums(documents, documents.data))  # (n_items,)
        self.space_ = _space(self, self.terms_.apply(documents))
        self.item_ids_ = train.catalogue.item_ids.to_numpy()
        nearest = neighbour_matrix(self.space_, self.n_neighbors)  # row: the item asked about
        by_target = nearest if self.neighbors_per == "target" else nearest.T.tocsr()
        if self.normalizes_rows:
            by_target = divided_by_sums(by_target)
        self.weights_ = by_target.T.tocsr()  # (items of the history, items scored) float32
        self.offsets_: Float32 | None = None  # (n_items,) added to the scores
        if self.subtracts_popularity:
            values = self.terms_.local(documents.data, np.repeat(self.saturation_, np.diff(documents.indptr)))
            means = row_sums(documents, values) / max(1, len(np.unique(documents.indices)))
            self.offsets_ = (means - by_target @ means).astype(np.float32)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Sum of weighted history × similarity, (b, n_items) float32; 0 where no item of the history is similar.

        The weighting of the history leaves out the factor of the user, which changes no order.
        """
        rows = histories if self.uses_ratings else ones_like(histories)
        _, items, ratings = history_parts(rows, self.weights_.shape[0])
        values = None if self.weighting == "none" else self.terms_.local(ratings, self.saturation_[items])
        product = item_scores(rows, self.weights_, values=values)
        return product if self.offsets_ is None else product + self.offsets_

    def predict(self, users: Int32, items: Int32) -> Float32:
        """Ratings (n,) float32; the item's mean where no rated item is similar, NaN for an unknown user or item."""
        return predict_ratings(self.space_, self.ratings_, items, users, self.n_neighbors)

    def neighbors(self, item: int, k: int = 10) -> pd.Series[float]:
        """The k items most like item code ``item``: similarity by external item id, best first."""
        return nearest_of(self.space_, item, k, self.item_ids_, "item_id")


@dataclass(kw_only=True, eq=False)
class UserKNN(RatingPredictor):
    """What users like this one took (Resnick et al., CSCW 1994; Herlocker et al., SIGIR 1999).

    Ranking: score(u, i) = sum over the neighbours v of u of s_uv x_vi. Rating: mean_u + sum s (r_vi - mean_v) / sum s
    over the n_neighbors users most like u that rated i. Similarities are those of
    ``recsys_lab.algorithms.similarity.vectors`` and are computed when scoring, from the history given: new users and
    grown histories are served as they are. ``neighbors_per="target"``: the user served has n_neighbors;
    ``"history"``: each training user v lends its history to the n_neighbors users most like v (a column of the
    user-user matrix, as in Ferrari Dacrema et al., TOIS 2021), equal similarities included.
    """

    stored: ClassVar[Layout] = {
        "ratings_": "csr float32 users items",
        "terms_": Part(TermWeights, terms="items"),
        "weighted_": "csr float32 users items",
        "space_": Part(Vectors, n="users", m="items"),
        "user_ids_": "ids users",
        "floor_": Maybe("float32 users"),
    }

    serves_new_users: ClassVar[bool] = True

    n_neighbors: int = 100  # similar users kept
    similarity: Similarity = "cosine"  # one of those in ``vectors``
    alpha: float = 0.5  # of asymmetric_cosine and tversky: the part of the user asked about, whose neighbours are kept
    beta: float = 0.5  # of tversky: the part of the neighbour
    shrinkage: float = 0.0  # added to the denominator: trusts small overlaps less
    weighting: Weighting = "none"  # none, tfidf or bm25; users are the documents, items the terms
    neighbors_per: NeighborsPer = "target"  # whose n_neighbors are kept: of the user served, or of the training user
    uses_ratings: bool = True  # False: every stored rating counts as 1 in the ranking

    def fit(self, train: Interactions) -> Self:
        _check(self)
        self.ratings_ = train.canonical().matrix  # (n_users, n_items)
        documents = self.ratings_ if self.uses_ratings else ones_like(self.ratings_)
        self.terms_ = term_weights(documents, self.weighting)
        self.weighted_ = self.terms_.apply(documents)
        self.space_ = _space(self, self.weighted_)
        self.user_ids_ = train.catalogue.user_ids.to_numpy()
        self.floor_: Float32 | None = None  # (n_users,) the least similarity at which a user lends its history
        if self.neighbors_per == "history":
            nearest = neighbour_matrix(self.space_.reversed, self.n_neighbors)
            counts = np.diff(nearest.indptr)
            full = counts == self.n_neighbors
            self.floor_ = np.zeros(len(self.space_), dtype=np.float32)
            self.floor_[full] = nearest.data[np.repeat(full, counts)].reshape(-1, self.n_neighbors).min(axis=1)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Sum of similarity × weighted rating over the neighbours, (b, n_items) float32; 0 where none has the item."""
        documents = self.terms_.apply(histories if self.uses_ratings else ones_like(histories))
        k = self.n_neighbors if self.floor_ is None else len(self.space_)
        own = np.asarray(users, dtype=np.int32)
        nearest = neighbour_matrix(self.space_, k, queries=documents, own=own, floor=self.floor_)
        return item_scores(nearest, self.weighted_)

    def predict(self, users: Int32, items: Int32) -> Float32:
        """Ratings (n,) float32; the user's mean where no such user is similar, NaN for an unknown user or item."""
        return predict_ratings(self.space_, self.ratings_, users, items, self.n_neighbors)

    def neighbors(self, user: int, k: int = 10) -> pd.Series[float]:
        """The k users most like user code ``user`` in training: similarity by external user id, best first."""
        return nearest_of(self.space_, user, k, self.user_ids_, "user_id")


def _check(model: ItemKNN | UserKNN) -> None:
    require(model.n_neighbors >= 1, f"n_neighbors must be at least 1; found {model.n_neighbors}")
    for name in ("shrinkage", "alpha", "beta"):
        require(getattr(model, name) >= 0, f"{name} must be 0 or more; found {getattr(model, name)}")
    for name, kind in (("similarity", Similarity), ("weighting", Weighting), ("neighbors_per", NeighborsPer)):
        require_choice(name, getattr(model, name), get_args(kind))


def _space(model: ItemKNN | UserKNN, rows: sparse.csr_matrix) -> Vectors:
    """The rows to compare, ready for the model's similarity."""
    return vectors(rows, model.similarity, shrinkage=model.shrinkage, alpha=model.alpha, beta=model.beta)


def nearest_of(space: Vectors, code: int, k: int, ids: NDArray[Any], name: str) -> pd.Series[float]:
    """The k rows most like row ``code``: similarity by external id, best first. ``name`` of the ids."""
    import pandas as pd  # here: a replica needs none to serve

    if not 0 <= code < len(space):
        raise ValueError(f"codes are 0 ... {len(space) - 1}; found {code}")
    row = neighbour_matrix(space, k, rows=np.array([code], dtype=np.int32))
    order = np.argsort(-row.data, kind="stable")
    return pd.Series(row.data[order], index=pd.Index(ids[row.indices[order]], name=name), name="similarity")
