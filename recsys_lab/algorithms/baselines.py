"""The floor every comparison stands on: Random, Popularity, RecentPopularity, Bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, Learns, RatingPredictor, require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.data.interactions import Float32, Float64, Int32, Interactions
from recsys_lab.seeds import child_seed

SECONDS_A_DAY = 86_400


@dataclass(kw_only=True, eq=False)
class Random(Algorithm):
    """A uniform number in [0, 1) for each user and item: the level of chance.

    The number is a hash of (random_state, user, item) (splitmix64; Steele, Lea and Flood, OOPSLA 2014): it depends
    neither on the batch nor on what was scored before. All users of code -1 share one list.
    """

    stored: ClassVar[Layout] = {"seed_": "uint64"}

    learns: ClassVar[Learns] = "nothing"
    serves_new_users: ClassVar[bool] = True

    random_state: int = 42  # seed of the hash

    def fit(self, train: Interactions) -> Self:
        self.seed_ = np.uint64(child_seed(self.random_state, "fit/Random"))
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        items = np.arange(histories.shape[1], dtype=np.uint64)
        rows = np.asarray(users, dtype=np.int64).astype(np.uint64)  # -1 wraps to the last number
        keys = _mix(_mix(rows + self.seed_)[:, None] + items)
        return (keys >> np.uint64(40)).astype(np.float32) / np.float32(2**24)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


@dataclass(kw_only=True, eq=False)
class Popularity(Algorithm):
    """The number of training users of each item, the same list for everyone."""

    stored: ClassVar[Layout] = {"item_scores_": "float32 items"}

    learns: ClassVar[Learns] = "popularity"
    serves_new_users: ClassVar[bool] = True

    def fit(self, train: Interactions) -> Self:
        matrix = train.matrix
        self.item_scores_ = np.bincount(matrix.indices, minlength=train.n_items).astype(np.float32)  # (n_items,)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        return np.repeat(self.item_scores_[None, :], histories.shape[0], axis=0)


@dataclass(kw_only=True, eq=False)
class RecentPopularity(Algorithm):
    """Popularity now: each training row counts 0.5 ** (age / half_life_days), ages from the last training row.

    Recent popularity is a stronger baseline than popularity of all time (Ji et al., SIGIR 2020). Needs timestamps.
    """

    stored: ClassVar[Layout] = {"item_scores_": "float32 items"}

    learns: ClassVar[Learns] = "popularity"
    serves_new_users: ClassVar[bool] = True

    half_life_days: float = 30.0  # days after which a row counts half; inf: no decay
    window_days: float = float("inf")  # only rows of the last so many days count; inf: all

    def fit(self, train: Interactions) -> Self:
        for name in ("half_life_days", "window_days"):
            require(getattr(self, name) > 0, f"{name} must be above 0; found {getattr(self, name)}")
        if train.timestamps is None:
            raise ValueError("RecentPopularity needs timestamps and these data have none; use Popularity")
        rows = train.canonical()
        times = rows.timestamps
        assert times is not None
        ages = ((times.max() if times.size else 0) - times) / SECONDS_A_DAY
        weights = np.where(ages <= self.window_days, 0.5 ** (ages / self.half_life_days), 0.0)
        sums = np.bincount(rows.items, weights=weights, minlength=train.n_items)
        self.item_scores_ = sums.astype(np.float32)  # (n_items,)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        return np.repeat(self.item_scores_[None, :], histories.shape[0], axis=0)


@dataclass(kw_only=True, eq=False)
class Bias(RatingPredictor):
    """mean + b_u + b_i, the biases shrunk towards 0 and fitted in turn, items first (Koren, TKDD 2010, section 2.1).

    b_i = sum over the item's rows of (r - mean - b_u) / (item_regularization + n_i), and b_u in the same way.
    A regularization of inf leaves those biases out: item_regularization=inf, user_regularization=0 is the user's mean.
    Unknown users (code -1 too) and items have bias 0.
    """

    stored: ClassVar[Layout] = {"mean_": "number", "user_biases_": "float64 users", "item_biases_": "float64 items"}

    learns: ClassVar[Learns] = "levels"
    serves_new_users: ClassVar[bool] = True

    user_regularization: float = 15.0  # added to the number of ratings of a user
    item_regularization: float = 10.0  # added to the number of ratings of an item
    n_epochs: int = 10  # rounds over item and user biases

    def fit(self, train: Interactions) -> Self:
        for name in ("user_regularization", "item_regularization"):
            require(getattr(self, name) >= 0, f"{name} must be 0 or more; found {getattr(self, name)}")
        require(self.n_epochs >= 1, f"n_epochs must be at least 1; found {self.n_epochs}")
        rows = train.canonical()
        self.mean_ = float(rows.ratings.mean(dtype=np.float64)) if len(rows) else 0.0
        residuals = rows.ratings.astype(np.float64) - self.mean_
        self.user_biases_: Float64 = np.zeros(train.n_users)
        self.item_biases_: Float64 = np.zeros(train.n_items)
        for _ in range(self.n_epochs):
            left = residuals - self.user_biases_[rows.users]
            self.item_biases_ = _shrunk_means(rows.items, left, train.n_items, self.item_regularization)
            left = residuals - self.item_biases_[rows.items]
            self.user_biases_ = _shrunk_means(rows.users, left, train.n_users, self.user_regularization)
        return self

    def predict(self, users: Int32, items: Int32) -> Float32:
        """mean + b_u + b_i, (n,) float32; never NaN."""
        user_biases = np.where(users >= 0, self.user_biases_[users], 0.0)
        item_biases = np.where(items >= 0, self.item_biases_[items], 0.0)
        return (self.mean_ + user_biases + item_biases).astype(np.float32)

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The predicted rating of every item, (b, n_items) float32."""
        user_biases = np.where(users >= 0, self.user_biases_[users], 0.0)
        return (self.mean_ + user_biases[:, None] + self.item_biases_).astype(np.float32)


def _shrunk_means(codes: Int32, values: Float64, n: int, regularization: float) -> Float64:
    counts = np.bincount(codes, minlength=n)
    sums = np.bincount(codes, weights=values, minlength=n)
    means: Float64 = sums / np.maximum(counts + regularization, 1e-300)  # 0 / 1e-300 = 0 where there is nothing
    return means
