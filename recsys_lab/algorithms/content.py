"""Content-based models: what an item is, not who took it. New users and items without ratings are served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout, Part, Several
from recsys_lab.algorithms.neighborhood import NeighborsPer, nearest_of
from recsys_lab.algorithms.similarity import Vectors, neighbour_matrix, row_means, row_sums, vectors
from recsys_lab.algorithms.sparse_rows import item_scores
from recsys_lab.algorithms.weighting import Weighting, ones_like, term_weights
from recsys_lab.data.interactions import Bool, Catalogue, Float32, Int32, Interactions

if TYPE_CHECKING:
    import pandas as pd

Centering: TypeAlias = Literal["none", "user"]


@dataclass(kw_only=True, eq=False)
class ContentKNN(Algorithm):
    """Items whose attributes are like those of the history (Lops et al., Recommender Systems Handbook, 2011).

    sim(i, j) = sum_k w_ik w_jk / (sqrt(sum w_ik²) sqrt(sum w_jk²)), w_ik the weight of item i's k-th feature;
    score(u, j) = sum over the history of rating × sim(i, j), over the n_neighbors items kept. Needs item features.
    """

    stored: ClassVar[Layout] = {
        "item_ids_": "ids items",
        "space_": Part(Vectors, n="items"),
        "feature_names_": Several("text"),
        "weights_": "csr float32 items items",
    }

    serves_new_users: ClassVar[bool] = True

    n_neighbors: int = 100  # similar items kept
    weighting: Weighting = "tfidf"  # none, tfidf or bm25 of the features; items are the documents
    neighbors_per: NeighborsPer = "target"  # whose n_neighbors are kept: of the item scored, or of the history's item
    kinds: tuple[str, ...] | None = None  # use the features named "kind:..." of these kinds only; None: all
    uses_ratings: bool = True  # False: every stored rating counts as 1

    def fit(self, train: Interactions) -> Self:
        """Compare the items' features; of the training rows only which items have some. ValueError without features."""
        require(self.n_neighbors >= 1, f"n_neighbors must be at least 1; found {self.n_neighbors}")
        require_choice("weighting", self.weighting, get_args(Weighting))
        require_choice("neighbors_per", self.neighbors_per, get_args(NeighborsPer))
        self.item_ids_ = train.catalogue.item_ids.to_numpy()
        features = weighted_features(train.catalogue, self.weighting, "ContentKNN", self.kinds)
        self.space_ = vectors(features, "cosine", epsilon=0.0)
        self.feature_names_ = feature_names(train.catalogue, self.kinds)
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

    def profile(self, history: sparse.csr_matrix) -> pd.Series[float]:
        """What a history (1, n_items) says of its user: weight by feature name, heaviest first."""
        rows = history if self.uses_ratings else ones_like(history)
        return named_profile(rows, self.space_.values, self.space_.norms, self.feature_names_)


@dataclass(kw_only=True, eq=False)
class UserProfile(Algorithm):
    """One vector of liked features a user; items by their cosine to it (Pazzani and Billsus, The Adaptive Web, 2007).

    profile = sum over the history of rating × features of length 1; score = cosine(profile, features of the item).
    With ``centering="user"`` a rating counts less the mean of the history, so disliked features count against an
    item; a user whose ratings are all equal keeps them as they are. Needs item features.
    """

    stored: ClassVar[Layout] = {
        "features_": "csr float32 items features",
        "feature_names_": Several("text", n="features"),
    }

    serves_new_users: ClassVar[bool] = True

    weighting: Weighting = "tfidf"  # none, tfidf or bm25 of the features; items are the documents
    centering: Centering = "none"  # none, or user: ratings less the mean of the user's history
    kinds: tuple[str, ...] | None = None  # use the features named "kind:..." of these kinds only; None: all
    uses_ratings: bool = True  # False: every stored rating counts as 1

    def fit(self, train: Interactions) -> Self:
        """Weigh the items' features; of the training rows nothing is used. ValueError without item features."""
        require_choice("weighting", self.weighting, get_args(Weighting))
        require_choice("centering", self.centering, get_args(Centering))
        self.features_ = unit_rows(weighted_features(train.catalogue, self.weighting, "UserProfile", self.kinds))
        self.feature_names_ = feature_names(train.catalogue, self.kinds)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Cosine of each user's profile and each item, (b, n_items) float32 in -1 ... 1; 0 without a profile."""
        profiles = unit_rows(sparse.csr_matrix(self._taste(histories) @ self.features_))
        return item_scores(profiles, self.features_.T.tocsr())

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


@dataclass(kw_only=True, eq=False)
class ContentRidge(Algorithm):
    """What a user takes, regressed on what items are: one ridge regression a user (Hoerl and Kennard, 1970).

    w_u minimises |x_u - F w|² + λ |w|² over all items, F (n_items, n_features + 1) the features and a constant, x_u the
    history with 0 where nothing is known; score(u, j) = F_j w_u. All users share one factorisation of FᵀF + λI. Beside
    a cosine it knows that features come together and how rare they are. Needs item features, n_features² × 8 bytes.
    """

    stored: ClassVar[Layout] = {"features_": "csr float64 items f", "factor_": "float64 f f"}

    serves_new_users: ClassVar[bool] = True

    regularization: float = 100.0  # λ, added to the diagonal of the Gram matrix of the features
    weighting: Weighting = "none"  # none, tfidf or bm25 of the features; items are the documents
    uses_ratings: bool = True  # False: every stored rating counts as 1
    kinds: tuple[str, ...] | None = None  # use the features named "kind:..." of these kinds only; None: all
    max_memory_gb: float = 4.0  # fit refuses to start when the feature-feature matrix needs more

    def fit(self, train: Interactions) -> Self:
        """Factorise the features' Gram matrix; of the training rows nothing is used. ValueError without features."""
        require(
            bool(np.isfinite(self.regularization)) and self.regularization > 0,
            f"regularization must be a finite number above 0; found {self.regularization}",
        )
        require_choice("weighting", self.weighting, get_args(Weighting))
        features = weighted_features(train.catalogue, self.weighting, "ContentRidge", self.kinds)
        n_items, n_features = features.shape
        needed = (n_features + 1) ** 2 * 8 / 2**30
        if needed > self.max_memory_gb:
            raise MemoryError(
                f"ContentRidge keeps a feature-feature matrix: {n_features} features need {needed:.1f} GB and "
                f"max_memory_gb is {self.max_memory_gb}; raise it, keep fewer features, or use UserProfile"
            )
        constant = np.ones((n_items, 1))
        self.features_ = sparse.csr_matrix(sparse.hstack([features, constant]), dtype=np.float64)
        gram = (self.features_.T @ self.features_).toarray()
        gram[np.diag_indices_from(gram)] += self.regularization
        self.factor_ = linalg.cholesky(gram, lower=True, overwrite_a=True)  # (n_features + 1)² float64
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The regression's value for every item, (b, n_items) float32."""
        rows = (histories if self.uses_ratings else ones_like(histories)).astype(np.float64)
        weights = linalg.cho_solve((self.factor_, True), (rows @ self.features_).toarray().T)  # (n_features + 1, b)
        return np.ascontiguousarray((self.features_ @ weights).T, dtype=np.float32)


def weighted_features(
    catalogue: Catalogue, weighting: Weighting, name: str, kinds: Sequence[str] | None = None
) -> sparse.csr_matrix:
    """Item features (n_items, n_features) float32, weighted; ValueError naming the algorithm where there are none.

    ``kinds``: only the features named "kind:..." of these kinds; None: all.
    """
    features = catalogue.item_features
    if features is None:
        raise ValueError(
            f"{name} needs item features and the catalogue of {catalogue.info.get('name', 'these data')!r} has none; "
            "use data with content (genres, tags, words), or give a table of the items (items: in an experiment)"
        )
    if kinds is not None:
        features = sparse.csr_matrix(features[:, _columns(catalogue, kinds)])
    return term_weights(features, weighting).apply(features)


def feature_names(catalogue: Catalogue, kinds: Sequence[str] | None) -> list[str]:
    """Names of the features that ``weighted_features`` keeps."""
    names = list(catalogue.feature_names)
    return names if kinds is None else [names[column] for column in _columns(catalogue, kinds)]


def _columns(catalogue: Catalogue, kinds: Sequence[str]) -> list[int]:
    """Columns of the features of these kinds; ValueError for a kind that no feature has."""
    if isinstance(kinds, str):
        raise ValueError(f"kinds is a list of kinds of features; found the text {kinds!r}, write [{kinds!r}]")
    of_column = [str(name).partition(":")[0] for name in catalogue.feature_names]
    for kind in kinds:
        if kind not in of_column:
            raise ValueError(f"no feature is of kind {kind!r}; there are: {', '.join(sorted(set(of_column)))}")
    require(len(kinds) > 0, "kinds is empty; name at least one kind of features, or leave it out for all")
    return [column for column, kind in enumerate(of_column) if kind in set(kinds)]


def neighbors_apart(space: Vectors, known: Bool, k: int) -> sparse.csr_matrix:
    """For each item scored its k neighbours among the ``known`` items (n_items,) and k among the others.

    (items of the history, items scored) CSR float32. In one list the new items, alike in all that they have, would
    take the places of those that stand in histories.
    """
    blocks, order = [], []
    for items in (np.flatnonzero(known), np.flatnonzero(~known)):
        if items.size:
            own = np.full(len(known), -1, dtype=np.int32)
            own[items] = np.arange(items.size)
            among = vectors(space.values[items], "cosine", shrinkage=space.shrinkage, epsilon=space.epsilon)
            blocks.append(neighbour_matrix(among, k, queries=space.values, own=own).T.tocsr())
            order.append(items)
    return sparse.vstack(blocks, format="csr")[np.argsort(np.concatenate(order))]


def unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows of length 1, float32; an empty or zero row stays as it is."""
    lengths = np.sqrt(row_sums(matrix, matrix.data.astype(np.float64) ** 2))
    data: NDArray[Any] = matrix.data / np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(matrix.indptr))
    return sparse.csr_matrix((data.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)


def named_profile(
    history: sparse.csr_matrix, features: sparse.csr_matrix, lengths: NDArray[Any], names: Any
) -> pd.Series[float]:
    """Sum of weight × features / length over a history (1, n_items), by feature name, heaviest first."""
    import pandas as pd

    require(history.shape[0] == 1, f"a profile is made of one history (1, n_items); found shape {history.shape}")
    scale = np.where(lengths > 0, lengths, 1.0)
    scaled = history.toarray().ravel() / scale
    weights = np.asarray(features.T @ scaled, dtype=np.float64)
    found = np.flatnonzero(weights)
    order = found[np.argsort(-weights[found], kind="stable")]
    return pd.Series(weights[order], index=pd.Index([names[code] for code in order], name="feature"), name="weight")
