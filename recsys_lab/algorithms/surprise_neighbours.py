"""Surprise's neighbour models and Slope One: similarities, deviations and predictions by compiled loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numba import get_num_threads

from recsys_lab.algorithms import surprise_kernels
from recsys_lab.algorithms.base import Learns, RatingPredictor, require
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.surprise_factors import als_baselines
from recsys_lab.algorithms.surprise_prediction import Learnt, Neighbours, Slopes
from recsys_lab.algorithms.surprise_rows import Csr, Rows, deviations, means
from recsys_lab.data.interactions import Float64, Interactions

SIMILARITIES = {
    "cosine": surprise_kernels.COSINE,
    "msd": surprise_kernels.MSD,
    "pearson": surprise_kernels.PEARSON,
    "pearson_baseline": surprise_kernels.COSINE,  # of what the baselines leave
}
MAX_NEIGHBOURHOOD = 20_000  # users or items: their dense similarities then take 3.2 GB


@dataclass(kw_only=True, eq=False)
class _NearestRaters(Learnt):
    """Hyper-parameters of all neighbour models, and what they do alike."""

    stored: ClassVar[Layout | None] = {"state_": Part(Neighbours, users="users", items="items")}

    n_neighbors: int = 40  # at most so many raters of positive similarity count (Surprise's k)
    min_neighbors: int = 1  # with fewer the prediction goes without neighbours (Surprise's min_k)
    similarity: str = "msd"  # cosine, msd, pearson or pearson_baseline, over common ratings only
    user_based: bool = True  # similar users who rated the item; False: similar items that the user rated
    min_support: int = 1  # common ratings below which a similarity is 0
    shrinkage: float = 100.0  # of pearson_baseline towards 0 where there are few common ratings

    def _rows(self, train: Interactions) -> Rows:
        for name, least in (("n_neighbors", 1), ("min_neighbors", 1), ("min_support", 0), ("shrinkage", 0)):
            require(getattr(self, name) >= least, f"{name} must be at least {least}; found {getattr(self, name)}")
        known = ", ".join(SIMILARITIES)
        require(self.similarity in SIMILARITIES, f"similarity must be one of {known}; found {self.similarity!r}")
        rows = Rows.of(train)
        size, side = (rows.n_users, "users") if self.user_based else (rows.n_items, "items")
        require(
            size <= MAX_NEIGHBOURHOOD,
            f"{type(self).__name__} keeps all similarities of {size} {side}, and {MAX_NEIGHBOURHOOD} are the limit; "
            f"try user_based={not self.user_based}, or ItemKNN and UserKNN, which keep the nearest only",
        )
        return rows

    def _sides(self, rows: Rows) -> tuple[Csr, Csr]:
        """Ratings by x, whose similarities count, and by y, the other side."""
        return (rows.by_user, rows.by_item) if self.user_based else (rows.by_item, rows.by_user)

    def _learn(
        self,
        rows: Rows,
        values: Float64,
        x_base: Float64,
        *,
        mean: float = 0.0,
        y_base: Float64 | None = None,
        spread: Float64 | None = None,
        unknown: float = np.nan,
        needed: bool = False,
        biases: tuple[Float64, Float64] | None = None,
    ) -> Self:
        """Similarities and state. ``values`` stand for the ratings by y; bases and spread are over inner numbers."""
        by_x, by_y = self._sides(rows)
        n_x, n_y = len(by_x.pointers) - 1, len(by_y.pointers) - 1
        self.state_ = Neighbours(
            mean,
            _similarities(self, rows, by_y, n_x, biases),
            by_y._replace(values=values),
            np.append(x_base, unknown),
            np.append(np.zeros(n_y) if y_base is None else y_base, unknown),
            np.append(np.ones(n_x) if spread is None else spread, 1.0),
            self.n_neighbors,
            self.min_neighbors,
            needed,
            self.user_based,
            rows.inner_users,
            rows.inner_items,
        )
        return self


@dataclass(kw_only=True, eq=False)
class KNNBasic(_NearestRaters, RatingPredictor):
    """Mean rating of the nearest raters, weighted by similarity; impossible without them."""

    def fit(self, train: Interactions) -> Self:
        """Compute all similarities of users (or of items)."""
        rows = self._rows(train)
        by_x, by_y = self._sides(rows)
        return self._learn(rows, by_y.values, np.zeros(len(by_x.pointers) - 1), needed=True)


@dataclass(kw_only=True, eq=False)
class KNNWithMeans(_NearestRaters, RatingPredictor):
    """Mean of the user (or item) + the nearest raters' weighted mean distance from their own means."""

    def fit(self, train: Interactions) -> Self:
        """Compute all similarities of users (or of items), and their means."""
        rows = self._rows(train)
        by_x, by_y = self._sides(rows)
        centres = means(by_x)
        return self._learn(rows, by_y.values - centres[by_y.codes], centres)


@dataclass(kw_only=True, eq=False)
class KNNWithZScore(_NearestRaters, RatingPredictor):
    """As KNNWithMeans, with distances in units of each one's standard deviation."""

    def fit(self, train: Interactions) -> Self:
        """Compute all similarities of users (or of items), means and deviations.

        A deviation of 0 is replaced by that of all ratings, as in Surprise, and by 1 when all ratings are equal.
        """
        rows = self._rows(train)
        by_x, by_y = self._sides(rows)
        centres = means(by_x)
        spread = deviations(by_x, centres)
        spread[spread == 0.0] = np.std(rows.ratings) or 1.0
        values = (by_y.values - centres[by_y.codes]) / spread[by_y.codes]
        return self._learn(rows, values, centres, spread=spread)


@dataclass(kw_only=True, eq=False)
class KNNBaseline(_NearestRaters, RatingPredictor):
    """Baseline of the pair + the nearest raters' weighted mean distance from theirs (Koren, TKDD 2010, eq. 3)."""

    n_epochs: int = 10  # passes of alternating least squares for the baselines
    user_regularization: float = 15.0  # added to the user's number of ratings
    item_regularization: float = 10.0  # added to the item's number of ratings

    def fit(self, train: Interactions) -> Self:
        """Learn the baselines and compute all similarities of users (or of items)."""
        require(self.n_epochs >= 1, f"n_epochs must be at least 1; found {self.n_epochs}")
        rows = self._rows(train)
        _, by_y = self._sides(rows)
        biases = als_baselines(rows, self.n_epochs, self.user_regularization, self.item_regularization)
        x_bias, y_bias = biases if self.user_based else biases[::-1]
        baselines = rows.mean + x_bias[by_y.codes] + np.repeat(y_bias, np.diff(by_y.pointers))
        values = by_y.values - baselines
        return self._learn(rows, values, x_bias, mean=rows.mean, y_base=y_bias, unknown=0.0, biases=biases)


@dataclass(kw_only=True, eq=False)
class SlopeOne(Learnt, RatingPredictor):
    """The user's mean + the mean deviation of the item from the user's items (Lemire and Maclachlan, SDM 2005).

    Surprise cuts ratings to whole numbers; here fractions are kept.
    """

    stored: ClassVar[Layout] = {"state_": Part(Slopes, users="users", items="items")}

    learns: ClassVar[Learns] = "levels"

    def fit(self, train: Interactions) -> Self:
        """Compute the deviations of all pairs of items, (n, n) float32."""
        rows = Rows.of(train)
        require(
            rows.n_items <= MAX_NEIGHBOURHOOD,
            f"SlopeOne keeps the deviations of all pairs of items: at most {MAX_NEIGHBOURHOOD}; found {rows.n_items}",
        )
        matrix = surprise_kernels.slope_deviations(*rows.by_user, *rows.by_item, get_num_threads())
        self.state_ = Slopes(matrix, rows.by_user, means(rows.by_user), rows.inner_users, rows.inner_items)
        return self


def _similarities(
    model: _NearestRaters, rows: Rows, by_y: Csr, n_x: int, biases: tuple[Float64, Float64] | None
) -> Float64:
    """All similarities (n_x, n_x) float64, symmetric."""
    owners = np.repeat(np.arange(len(by_y.pointers) - 1), np.diff(by_y.pointers))
    values, min_support, shrinkage = by_y.values, model.min_support, -1.0
    if model.similarity == "pearson_baseline":
        user_bias, item_bias = biases or als_baselines(rows)
        x_bias, y_bias = (user_bias, item_bias) if model.user_based else (item_bias, user_bias)
        values = values - (rows.mean + y_bias[owners] + x_bias[by_y.codes])
        min_support, shrinkage = max(2, min_support), model.shrinkage
    order = np.lexsort((by_y.codes, owners))  # by x within y
    return surprise_kernels.similarities(  # type: ignore[no-any-return]
        by_y.pointers,
        by_y.codes[order],
        values[order],
        n_x,
        SIMILARITIES[model.similarity],
        max(1, min_support),
        shrinkage,
        get_num_threads(),
    )
