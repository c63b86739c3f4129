"""Collaborative models that also see what items are: features beside, or below, the interactions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self, get_args

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.content import neighbors_apart, unit_rows, weighted_features
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.linear import EASE
from recsys_lab.algorithms.neighborhood import NeighborsPer, nearest_of
from recsys_lab.algorithms.similarity import Vectors, neighbour_matrix, vectors
from recsys_lab.algorithms.sparse_rows import item_scores
from recsys_lab.algorithms.weighting import Weighting, ones_like, term_weights
from recsys_lab.data.interactions import Float32, Int32, Interactions

if TYPE_CHECKING:
    import pandas as pd


@dataclass(kw_only=True, eq=False)
class ItemKNNWithFeatures(Algorithm):
    """Items alike by their users and their features together (CFCBF; Ferrari Dacrema et al., TOIS 2021).

    The vector of an item is [its ratings, feature_weight · its features]; similarity is the cosine of these,
    score(u, j) = sum over the history of rating × similarity. Items without ratings are compared by features.
    """

    stored: ClassVar[Layout] = {
        "space_": Part(Vectors, n="items"),
        "item_ids_": "ids items",
        "weights_": "csr float32 items items",
    }

    serves_new_users: ClassVar[bool] = True

    n_neighbors: int = 100  # similar items kept
    feature_weight: float = 0.3  # the features are multiplied by it; 0: ItemKNN
    shrinkage: float = 0.0  # added to the denominator of the cosine
    weighting: Weighting = "none"  # of the interactions: none, tfidf or bm25; items are the documents
    feature_weighting: Weighting = "tfidf"  # of the features: none, tfidf or bm25
    kinds: tuple[str, ...] | None = None  # use the features named "kind:..." of these kinds only; None: all
    equal_lengths: bool = True  # both parts of a vector get length 1 first; False: as they are, as CFCBF was published
    neighbors_per: NeighborsPer = "target"  # whose n_neighbors are kept: of the item scored, or of the history's item
    uses_ratings: bool = True  # False: every stored rating counts as 1

    def fit(self, train: Interactions) -> Self:
        """Compare the items. ValueError without item features."""
        require(self.n_neighbors >= 1, f"n_neighbors must be at least 1; found {self.n_neighbors}")
        _require_weight(self.feature_weight)
        require(self.shrinkage >= 0, f"shrinkage must be 0 or more; found {self.shrinkage}")
        for name, kind in (("weighting", Weighting), ("feature_weighting", Weighting), ("neighbors_per", NeighborsPer)):
            require_choice(name, getattr(self, name), get_args(kind))
        ratings = train.canonical().matrix.T.tocsr()
        documents = ratings if self.uses_ratings else ones_like(ratings)
        interactions = term_weights(documents, self.weighting).apply(documents)
        features = weighted_features(train.catalogue, self.feature_weighting, "ItemKNNWithFeatures", self.kinds)
        if self.equal_lengths:
            interactions, features = unit_rows(interactions), unit_rows(features)
        both = sparse.hstack([interactions, features * np.float32(self.feature_weight)], format="csr")
        self.space_ = vectors(both, "cosine", shrinkage=self.shrinkage, epsilon=0.0)
        self.item_ids_ = train.catalogue.item_ids.to_numpy()
        # (items of the history, items scored) float32
        self.weights_ = (
            neighbors_apart(self.space_, train.item_popularity > 0, self.n_neighbors)
            if self.neighbors_per == "target"
            else neighbour_matrix(self.space_, self.n_neighbors)
        )
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Rating-weighted sum of the similarities to the history, (b, n_items) float32; 0 where nothing is alike."""
        return item_scores(histories, self.weights_, uses_ratings=self.uses_ratings)

    def neighbors(self, item: int, k: int = 10) -> pd.Series[float]:
        """The k items most like item code ``item``: similarity by external item id, best first."""
        return nearest_of(self.space_, item, k, self.item_ids_, "item_id")


@dataclass(kw_only=True, eq=False)
class EASEWithFeatures(Algorithm):
    """EASE on interactions and features (collective EASE; Jeunen, Van Balen and Goethals, RecSys 2020).

    Each feature is one more training row below those of the users: G = XᵀX + feature_weight · FᵀF for features
    F (n_features, n_items), B = -P / diag(P), diag(B) = 0, P = (G + λI)⁻¹; score = history × B. Items without ratings
    are reached through their features. Needs n_items² × 4 bytes, once.
    """

    stored: ClassVar[Layout] = {"model_": "algorithm"}

    serves_new_users: ClassVar[bool] = True

    regularization: float = 500.0  # λ, added to the diagonal of the Gram matrix
    feature_weight: float = 10.0  # weight of the squared error on the features; 0: EASE
    feature_weighting: Weighting = "none"  # of the features: none, tfidf or bm25; items are the documents
    kinds: tuple[str, ...] | None = None  # use the features named "kind:..." of these kinds only; None: all
    uses_ratings: bool = False  # False: every stored rating counts as 1
    max_memory_gb: float = 4.0  # fit refuses to start when the item-item matrix needs more

    def fit(self, train: Interactions) -> Self:
        """Solve in closed form. ValueError without item features, MemoryError as of EASE."""
        _require_weight(self.feature_weight)
        require_choice("feature_weighting", self.feature_weighting, get_args(Weighting))
        features = weighted_features(train.catalogue, self.feature_weighting, "EASEWithFeatures", self.kinds)
        model = EASE(regularization=self.regularization, uses_ratings=True, max_memory_gb=self.max_memory_gb)
        self.model_ = model.fit(self._stacked(train, features))
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """history × B, (b, n_items) float32."""
        return self.model_.score(users, histories if self.uses_ratings else ones_like(histories))

    def _stacked(self, train: Interactions, features: sparse.csr_matrix) -> Interactions:
        """The training rows, and below them one row a feature, whose ratings are its weights in the items."""
        import pandas as pd

        rows = train.canonical().matrix
        rows = (rows if self.uses_ratings else ones_like(rows)).tocoo()
        more = (features * np.float32(np.sqrt(self.feature_weight))).tocoo()
        return Interactions(
            np.concatenate([rows.row, more.col + train.n_users]),
            np.concatenate([rows.col, more.row]),
            np.concatenate([rows.data, more.data]),
            None,
            replace(train.catalogue, user_ids=pd.RangeIndex(train.n_users + features.shape[1]), users=None),
        )


def _require_weight(weight: float) -> None:
    require(bool(np.isfinite(weight)) and weight >= 0, f"feature_weight must be 0 or more; found {weight}")
