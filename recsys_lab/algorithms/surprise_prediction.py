"""What is left of a Surprise model after its fit: enough to predict pairs and to score the whole catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import require
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.surprise_kernels import neighbour_pairs, neighbour_rankings, slope_pairs
from recsys_lab.algorithms.surprise_rows import Csr, Rows, grouped
from recsys_lab.algorithms.surprise_training import factor_pairs
from recsys_lab.data.interactions import Float32, Float64, Int32, Int64

RUNAWAY = 1e15  # a product of two such numbers is still finite in float32
BLOCK = 1 << 16  # pairs; bounds the memory of a prediction


class State(Protocol):
    """A learnt model; codes are those of the catalogue, -1 is an unknown user."""

    def predict(self, users: Int32, items: Int32) -> Float64:
        """Ratings (n,) of pairs, NaN where Surprise calls the prediction impossible."""
        ...

    def score(self, users: Int32) -> Float32:
        """The same for all items, (b, n_items)."""
        ...


class Learnt:
    """Prediction and ranking from a learnt state; stands before RatingPredictor in the list of bases."""

    state_: State

    def predict(self, users: Int32, items: Int32) -> Float32:
        """Ratings (n,) float32, not clipped to the scale; NaN where Surprise calls the prediction impossible."""
        users, items = np.asarray(users, dtype=np.int32), np.asarray(items, dtype=np.int32)
        return self.state_.predict(users, items).astype(np.float32)

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The predicted rating of every item, (b, n_items); -inf where it is impossible. Histories are not used."""
        scores = self.state_.score(np.asarray(users, dtype=np.int32))
        scores[np.isnan(scores)] = -np.inf
        return scores


@dataclass(frozen=True, eq=False)
class Factors:
    """mean + user bias + item bias + <user factors, item factors>; the last row of each array is for the unknown."""

    stored: ClassVar[Layout] = {
        "mean": "real",
        "user_bias": "float64 users+1 nan",
        "item_bias": "float64 items+1 nan",
        "user_factors": "float32 users+1 f",
        "item_factors": "float32 items+1 f",
        "fallback": "plain",
    }

    mean: float
    user_bias: Float64  # (n_users + 1,), NaN where nothing can be predicted
    item_bias: Float64  # (n_items + 1,)
    user_factors: Float32  # (n_users + 1, n_factors)
    item_factors: Float32  # (n_items + 1, n_factors)
    fallback: float = float("nan")  # instead of a prediction that a NaN makes impossible

    @classmethod
    def of(
        cls,
        rows: Rows,
        mean: float,
        user_bias: Float64,  # (n_inner_users,), as the next three
        item_bias: Float64,
        users: Float64,
        items: Float64,
        *,
        unknown: float,
        fallback: float = float("nan"),
    ) -> Self:
        """From arrays over inner numbers; ``unknown`` is the bias of users and items without training rows.

        Raises ValueError when training ran away: numbers that are not finite, or far too large for float32.
        """
        require(
            all((np.abs(values) < RUNAWAY).all() for values in (user_bias, item_bias, users, items)),
            "training diverged: factors or biases are not finite; try a lower learning_rate or more regularization",
        )
        return cls(
            mean,
            rows.spread_users(user_bias, unknown),
            rows.spread_items(item_bias, unknown),
            rows.spread_users(users.astype(np.float32), 0.0),
            rows.spread_items(items.astype(np.float32), 0.0),
            fallback,
        )

    def predict(self, users: Int32, items: Int32) -> Float64:
        """Ratings (n,) of pairs."""
        out: Float64 = self.mean + self.user_bias[users] + self.item_bias[items]
        out += factor_pairs(self.user_factors, self.item_factors, users, items)
        out[np.isnan(out)] = self.fallback
        return out

    def score(self, users: Int32) -> Float32:
        """Ratings (b, n_items) of all items by one matrix product."""
        user_bias, item_bias = self.mean + self.user_bias[users], self.item_bias[:-1]
        scores: Float32 = self.user_factors[users] @ self.item_factors[:-1].T
        scores += user_bias.astype(np.float32)[:, None]
        scores += item_bias.astype(np.float32)
        scores[np.isnan(user_bias)] = self.fallback
        scores[:, np.isnan(item_bias)] = self.fallback
        return scores


@dataclass(frozen=True, eq=False)
class Neighbours:
    """mean + bases of x and y + spread of x times the weighted mean over the nearest raters of y.

    x is the side whose similarities count (users when ``user_based``), y the other one. Arrays over x and y have one
    more entry, for the unknown; a base of NaN makes a prediction impossible.
    """

    @staticmethod
    def stored(plain: Mapping[str, Any]) -> Layout:
        """x are the users or the items, by ``user_based``."""
        x, y = ("u", "j") if plain.get("user_based") else ("j", "u")
        return {
            "user_based": "flag",
            "mean": "real",
            "similarity": f"float64 {x} {x}",
            "raters": Part(Csr, owners=y, others=x),
            "x_base": f"float64 {x}+1 nan",
            "y_base": f"float64 {y}+1 nan",
            "spread": f"float64 {x}+1",
            "n_neighbors": "count",
            "min_neighbors": "count",
            "needed": "flag",
            "inner_users": "codes u users+1",
            "inner_items": "codes j items+1",
        }

    mean: float
    similarity: Float64  # (n_x, n_x)
    raters: Csr  # by y: who rated it, and the value that is averaged
    x_base: Float64  # (n_x + 1,)
    y_base: Float64  # (n_y + 1,)
    spread: Float64  # (n_x + 1,)
    n_neighbors: int
    min_neighbors: int
    needed: bool  # without enough neighbours the prediction is impossible
    user_based: bool
    inner_users: Int32  # (n_users + 1,) inner number of a code, -1 unknown
    inner_items: Int32  # (n_items + 1,)

    def predict(self, users: Int32, items: Int32) -> Float64:
        """Ratings (n,) of pairs."""
        xs, ys = self.inner_users[users], self.inner_items[items]
        if not self.user_based:
            xs, ys = ys, xs
        raters = self.raters
        return neighbour_pairs(  # type: ignore[no-any-return]
            self.similarity,
            raters.pointers,
            raters.codes,
            raters.values,
            xs,
            ys,
            self.mean + self.x_base[xs] + self.y_base[ys],
            self.spread,
            self.n_neighbors,
            self.min_neighbors,
            self.needed,
        )

    def score(self, users: Int32) -> Float32:
        """Ratings (b, n_items) of all items."""
        if self._walk is None:
            return _score_in_blocks(self, users, len(self.inner_items) - 1)
        return neighbour_rankings(  # type: ignore[no-any-return]
            self.similarity, *self._walk, self.inner_users[users], self.inner_items[:-1], self.mean, self.x_base,
            self.y_base, self.spread, self.n_neighbors, self.min_neighbors, self.needed,
        )  # fmt: skip

    @cached_property
    def _walk(self) -> tuple[Int64, Int32, Float64, Int32] | None:
        """Ratings by user and the users by code; None where the rows of an item do not come in one order of users.

        Of equally similar raters those count that come first in the rows: one order of users must say so for all items.
        """
        pointers, codes, values = self.raters
        order = self.inner_users[:-1][self.inner_users[:-1] >= 0]
        if not self.user_based:
            return None
        items = np.repeat(np.arange(len(pointers) - 1, dtype=np.int32), np.diff(pointers))
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        if (np.diff(items * np.int64(len(order)) + places[codes]) < 0).any():
            return None
        by_user = grouped(codes, items, values, len(order))
        return by_user.pointers, by_user.codes, by_user.values, order

    def __getstate__(self) -> dict[str, object]:
        """The fields alone: what is made for a ranking is made again."""
        return {name: value for name, value in self.__dict__.items() if name != "_walk"}


@dataclass(frozen=True, eq=False)
class Slopes:
    """The user's mean + the mean deviation of the item from the user's items that share a user with it."""

    stored: ClassVar[Layout] = {
        "deviation": "float32 j j nan",
        "rated": Part(Csr, owners="u", others="j"),
        "user_means": "float64 u",
        "inner_users": "codes u users+1",
        "inner_items": "codes j items+1",
    }

    deviation: Float32  # (n_inner_items, n_inner_items), NaN where no user has both
    rated: Csr  # by user
    user_means: Float64  # (n_inner_users,)
    inner_users: Int32  # (n_users + 1,)
    inner_items: Int32  # (n_items + 1,)

    def predict(self, users: Int32, items: Int32) -> Float64:
        """Ratings (n,) of pairs."""
        xs, ys = self.inner_users[users], self.inner_items[items]
        rated = self.rated
        return slope_pairs(  # type: ignore[no-any-return]
            self.deviation, rated.pointers, rated.codes, self.user_means, xs, ys
        )

    def score(self, users: Int32) -> Float32:
        """Ratings (b, n_items) of all items."""
        return _score_in_blocks(self, users, len(self.inner_items) - 1)


@dataclass(frozen=True, eq=False)
class Normal:
    """A draw from a normal distribution for each pair, fixed by the seed and the two codes."""

    stored: ClassVar[Layout] = {"mean": "real", "deviation": "real", "seed": "number", "n_items": "size items"}

    mean: float
    deviation: float
    seed: int
    n_items: int

    def predict(self, users: Int32, items: Int32) -> Float64:
        """Ratings (n,) of pairs; the same pair gets the same draw whatever else is asked."""
        pairs = users.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + items.astype(np.uint64) + np.uint64(1)
        first = _mix(_mix(pairs) + np.uint64(self.seed))
        second = _mix(first + np.uint64(0x9E3779B97F4A7C15))
        radius = np.sqrt(-2.0 * np.log((first >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54))
        angle = 2.0 * np.pi * (second >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return self.mean + self.deviation * radius * np.cos(angle)

    def score(self, users: Int32) -> Float32:
        """Ratings (b, n_items) of all items."""
        return _score_in_blocks(self, users, self.n_items)


def _mix(x: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _score_in_blocks(state: State, users: Int32, n_items: int) -> Float32:
    scores = np.empty((len(users), n_items), dtype=np.float32)
    items = np.arange(n_items, dtype=np.int32)
    step = max(1, 4 * BLOCK // max(n_items, 1))
    for start in range(0, len(users), step):
        block = users[start : start + step]
        ratings = state.predict(np.repeat(block, n_items), np.tile(items, len(block)))
        scores[start : start + step] = ratings.reshape(len(block), n_items)
    return scores
