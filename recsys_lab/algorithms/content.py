"""Content-based models: what an item is, not who took it. New users and items without ratings are served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms import kernels
from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.neighborhood import NeighborsPer, nearest_of
from recsys_lab.algorithms.similarity import history_parts, neighbour_matrix, parts, row_means, row_sums, vectors
from recsys_lab.algorithms.weighting import Weighting, ones_like, term_weights
from recsys_lab.data.interactions import Catalogue, Float32, Int32, Interactions

Centering: TypeAlias = Literal["none", "user"]


@dataclass(kw_only=True, eq=False)
class ContentKNN(Algorithm):
    """Items whose attributes are like those of the history (Lops et al., Recommender Systems Handbook, 2011).

    sim(i, j) = sum_k w_ik w_jk / (sqrt(sum w_ik²) sqrt(sum w_jk²)), w_ik the weight of item i's k-th feature;
    score(u, j) = sum over the history of rating × sim(i, j), over the n_neighbors items kept. Needs item features.
    """

    serves_new_users: ClassVar[bool] = True

    n_neighbors: int = 100  # similar items kept
    weighting: Weighting = "tfidf"  # none, tfidf or bm25 of the features; items are the documents
    neighbors_per: NeighborsPer = "target"  # whose n_neighbors are kept: of the item scored, or of the history's item
    uses_ratings: bool = True  # False: every stored rating counts as 1

    def fit(self, train: Interactions) -> Self:
        """Compare the items' features; of the training rows nothing is used. ValueError without item features."""
        require(self.n_neighbors >= 1, f"n_neighbors must be at least 1; found {self.n_neighbors}")
        require_choice("weighting", self.weighting, get_args(Weighting))
        require_choice("neighbors_per", self.neighbors_per, get_args(NeighborsPer))
        self.catalogue_ = train.catalogue
        features = weighted_features(train.catalogue, self.weighting, "ContentKNN")
        self.space_ = vectors(features, "cosine", epsilon=0.0)
        nearest = neighbour_matrix(self.space_, self.n_neighbors)
        # (items of the history, items scored) float32
        self.weights_ = nearest.T.tocsr() if self.neighbors_per == "target" else nearest
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Rating-weighted sum of the similarities to the history, (b, n_items) float32; 0 where nothing is alike."""
        rows = histories if self.uses_ratings else ones_like(histories)
        product: Float32 = kernels.sparse_product(
            *history_parts(rows, self.weights_.shape[0]), *parts(self.weights_), self.weights_.shape[1]
        )
        return product

    def neighbors(self, item: int, k: int = 10) -> pd.Series[float]:
        """The k items most like item code ``item``: similarity by external item id, best first."""
        return nearest_of(self.space_, item, k, self.catalogue_.item_ids)

    def profile(self, history: sparse.csr_matrix) -> pd.Series[float]:
        """What a history (1, n_items) says of its user: weight by feature name, heaviest first."""
        rows = history if self.uses_ratings else ones_like(history)
        return named_profile(rows, self.space_.values, self.space_.norms, self.catalogue_.feature_names)


@dataclass(kw_only=True, eq=False)
class UserProfile(Algorithm):
    """One vector of liked features a user; items by their cosine to it (Pazzani and Billsus, The Adaptive Web, 2007).

    profile = sum over the history of rating × features of length 1; score = cosine(profile, features of the item).
    With ``centering="user"`` a rating counts less the mean of the history, so disliked features count against an
    item; a user whose ratings are all equal keeps them as they are. Needs item features.
    """

    serves_new_users: ClassVar[bool] = True

    weighting: Weighting = "tfidf"  # none, tfidf or bm25 of the features; items are the documents
    centering: Centering = "none"  # none, or user: ratings less the mean of the user's history
    uses_ratings: bool = True  # False: every stored rating counts as 1

    def fit(self, train: Interactions) -> Self:
        """Weigh the items' features; of the training rows nothing is used. ValueError without item features."""
        require_choice("weighting", self.weighting, get_args(Weighting))
        require_choice("centering", self.centering, get_args(Centering))
        self.features_ = unit_rows(weighted_features(train.catalogue, self.weighting, "UserProfile"))
        self.feature_names_ = list(train.catalogue.feature_names)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Cosine of each user's profile and each item, (b, n_items) float32 in -1 ... 1; 0 without a profile."""
        profiles = unit_rows(sparse.csr_matrix(self._taste(histories) @ self.features_))
        features = self.features_.T.tocsr()
        product: Float32 = kernels.sparse_product(*parts(profiles), *parts(features), features.shape[1])
        return product

    def profile(self, history: sparse.csr_matrix) -> pd.Series[float]:
        """What a history (1, n_items) says of its user: weight by feature name, heaviest first, of length 1."""
        lengths = np.ones(self.features_.shape[0])
        weights = named_profile(self._taste(history), self.features_, lengths, self.feature_names_)
        length = float(np.sqrt((weights**2).sum()))
        return weights / length if length else weights

    def _taste(self, histories: sparse.csr_matrix) -> sparse.csr_matrix:
        """The weight of each item of each history."""
        rows = histories if self.uses_ratings else ones_like(histories)
        if self.centering == "none":
            return rows
        data = rows.data.astype(np.float64)
        counts = np.diff(rows.indptr)
        centred = data - np.repeat(row_means(rows), counts)
        constant = np.repeat(row_sums(rows, centred**2) == 0, counts)
        values = np.where(constant, data, centred)
        return sparse.csr_matrix((values.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape)


def weighted_features(catalogue: Catalogue, weighting: Weighting, name: str) -> sparse.csr_matrix:
    """Item features (n_items, n_features) float32, weighted; ValueError naming the algorithm where there are none."""
    features = catalogue.item_features
    if features is None:
        raise ValueError(
            f"{name} needs item features and the catalogue of {catalogue.info.get('name', 'these data')!r} has none; "
            "use data with content (genres, tags, words) or set catalogue.item_features"
        )
    return term_weights(features, weighting).apply(features)


def unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows of length 1, float32; an empty or zero row stays as it is."""
    lengths = np.sqrt(row_sums(matrix, matrix.data.astype(np.float64) ** 2))
    data: NDArray[Any] = matrix.data / np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(matrix.indptr))
    return sparse.csr_matrix((data.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)


def named_profile(
    history: sparse.csr_matrix, features: sparse.csr_matrix, lengths: NDArray[Any], names: Any
) -> pd.Series[float]:
    """Sum of weight × features / length over a history (1, n_items), by feature name, heaviest first."""
    require(history.shape[0] == 1, f"a profile is made of one history (1, n_items); found shape {history.shape}")
    scale = np.where(lengths > 0, lengths, 1.0)
    scaled = history.toarray().ravel() / scale
    weights = np.asarray(features.T @ scaled, dtype=np.float64)
    found = np.flatnonzero(weights)
    order = found[np.argsort(-weights[found], kind="stable")]
    return pd.Series(weights[order], index=pd.Index([names[code] for code in order], name="feature"), name="weight")
