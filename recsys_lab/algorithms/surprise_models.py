"""The models of Surprise (Hug, JOSS 2020), with prediction in blocks and ranking over the whole catalogue.

Defaults and estimates are Surprise's, to 1e-6. NMF and co-clustering are trained by Surprise itself; what makes
Surprise slow (a Python call for each pair, similarities, deviations, gradient steps) is done by compiled loops of this
project, whose tests compare them with Surprise. ``predict`` gives NaN where Surprise calls a prediction impossible;
Surprise then takes the mean of all training ratings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import surprise

from recsys_lab.algorithms.base import Learns, RatingPredictor, require
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.surprise_factors import SVD, BaselineOnly, SVDpp
from recsys_lab.algorithms.surprise_neighbours import KNNBaseline, KNNBasic, KNNWithMeans, KNNWithZScore, SlopeOne
from recsys_lab.algorithms.surprise_prediction import Factors, Learnt, Normal
from recsys_lab.algorithms.surprise_rows import Rows
from recsys_lab.data.interactions import Float64, Interactions
from recsys_lab.seeds import child_seed

__all__ = [
    "NMF",
    "SVD",
    "BaselineOnly",
    "CoClustering",
    "KNNBaseline",
    "KNNBasic",
    "KNNWithMeans",
    "KNNWithZScore",
    "NormalPredictor",
    "SVDpp",
    "SlopeOne",
]
WHOLE = (1, 2, 3, 4, 5, 10, 20, 50, 100, 1000)  # multiples tried to make ratings whole numbers


@dataclass(kw_only=True, eq=False)
class NMF(Learnt, RatingPredictor):
    """Non-negative matrix factorization with multiplicative steps (Luo et al., IEEE TII 2014, eq. 8)."""

    stored: ClassVar[Layout] = {"state_": Part(Factors, users="users", items="items")}

    n_factors: int = 15  # length of the user and item vectors
    n_epochs: int = 50  # passes over the ratings
    biased: bool = False  # with global mean and biases; more exact, and prone to overfitting
    regularization: float = 0.06  # of the vectors
    bias_regularization: float = 0.02  # of the biases, when biased
    learning_rate: float = 0.005  # of the biases, when biased
    initial_low: float = 0.0  # the factors start from a uniform distribution between this
    initial_high: float = 1.0  # and this
    random_state: int = 0  # seed of the first factors

    def fit(self, train: Interactions) -> Self:
        """Learn factors and biases by Surprise. ValueError for negative ratings."""
        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(self.n_epochs >= 1, f"n_epochs must be at least 1; found {self.n_epochs}")
        require(
            0 <= self.initial_low < self.initial_high,
            f"initial_low and initial_high must satisfy 0 <= low < high; found {self.initial_low}, {self.initial_high}",
        )
        rows = Rows.of(train)
        require(bool((rows.ratings >= 0).all()), f"NMF needs ratings of 0 or more; found {rows.ratings.min()}")
        model = surprise.NMF(
            n_factors=self.n_factors,
            n_epochs=self.n_epochs,
            biased=self.biased,
            reg_pu=self.regularization,
            reg_qi=self.regularization,
            reg_bu=self.bias_regularization,
            reg_bi=self.bias_regularization,
            lr_bu=self.learning_rate,
            lr_bi=self.learning_rate,
            init_low=self.initial_low,
            init_high=self.initial_high,
            random_state=self.random_state,
        ).fit(_trainset(rows))
        mean, unknown = (rows.mean, 0.0) if self.biased else (0.0, np.nan)
        self.state_ = Factors.of(rows, mean, model.bu, model.bi, model.pu, model.qi, unknown=unknown)
        return self


@dataclass(kw_only=True, eq=False)
class CoClustering(Learnt, RatingPredictor):
    """Means of user and item clusters and of their crossings (George and Merugu, ICDM 2005, eq. 6).

    Surprise cuts ratings to whole numbers; here fractions are kept, to a thousandth, by fitting multiples of them.
    """

    stored: ClassVar[Layout] = {"state_": Part(Factors, users="users", items="items")}

    n_user_clusters: int = 3
    n_item_clusters: int = 3
    n_epochs: int = 20  # passes over users and items
    random_state: int = 0  # seed of the first clusters

    def fit(self, train: Interactions) -> Self:
        """Learn the clusters by Surprise. An unknown user or item gets the global mean, as in Surprise."""
        for name in ("n_user_clusters", "n_item_clusters", "n_epochs"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1; found {getattr(self, name)}")
        rows = Rows.of(train)
        scale = _whole(rows.ratings)
        model = surprise.CoClustering(
            n_cltr_u=self.n_user_clusters,
            n_cltr_i=self.n_item_clusters,
            n_epochs=self.n_epochs,
            random_state=self.random_state,
        ).fit(_trainset(rows, scale))
        user_bias = (model.user_mean - model.avg_cltr_u[model.cltr_u]) / scale
        item_bias = (model.item_mean - model.avg_cltr_i[model.cltr_i]) / scale
        users = model.avg_cocltr[model.cltr_u] / scale  # (n_users, n_item_clusters): the user's row of crossings
        items = np.eye(self.n_item_clusters)[model.cltr_i]  # picks the item's one
        self.state_ = Factors.of(rows, 0.0, user_bias, item_bias, users, items, unknown=np.nan, fallback=rows.mean)
        return self


@dataclass(kw_only=True, eq=False)
class NormalPredictor(Learnt, RatingPredictor):
    """A rating drawn from the normal distribution of the training ratings, the same at each call for the same pair."""

    stored: ClassVar[Layout] = {"state_": Part(Normal)}

    learns: ClassVar[Learns] = "nothing"

    random_state: int = 0  # seed of the draws

    def fit(self, train: Interactions) -> Self:
        """Estimate mean and standard deviation (divided by n)."""
        rows = Rows.of(train)
        seed = child_seed(self.random_state, "normal")
        self.state_ = Normal(rows.mean, float(np.std(rows.ratings)), seed, train.n_items)
        return self


def _trainset(rows: Rows, scale: int = 1) -> surprise.Trainset:
    """Surprise's own train set over inner numbers, ratings times ``scale``."""
    by_user, by_item = (
        {
            owner: list(zip(codes.tolist(), values.tolist(), strict=True))
            for owner, (codes, values) in enumerate(
                zip(
                    np.split(entries.codes, entries.pointers[1:-1]),
                    np.split(_scaled(entries.values, scale), entries.pointers[1:-1]),
                    strict=True,
                )
            )
        }
        for entries in (rows.by_user, rows.by_item)
    )
    limits = float(rows.ratings.min()), float(rows.ratings.max())
    return surprise.Trainset(by_user, by_item, rows.n_users, rows.n_items, len(rows.ratings), limits, {}, {})


def _scaled(ratings: Float64, scale: int) -> Float64:
    return ratings if scale == 1 else np.rint(ratings * scale)


def _whole(ratings: Float64) -> int:
    """The least multiple of the ratings that is whole, as half stars have 2; 1000 when there is none."""
    limit = max(1.0, float(np.abs(ratings).max()))
    fitting = [
        scale for scale in WHOLE if np.abs(ratings * scale - np.rint(ratings * scale)).max() < 1e-6 * limit * scale
    ]
    return fitting[0] if fitting else WHOLE[-1]
