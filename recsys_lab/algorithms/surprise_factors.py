"""Surprise's models of biases and factors, trained by compiled loops that take Surprise's steps in Surprise's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recsys_lab.algorithms import surprise_training
from recsys_lab.algorithms.base import Learns, RatingPredictor, require
from recsys_lab.algorithms.kernels import in_lines
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.surprise_prediction import Factors, Learnt
from recsys_lab.algorithms.surprise_rows import Rows
from recsys_lab.data.interactions import Float64, Interactions


@dataclass(kw_only=True, eq=False)
class SVD(Learnt, RatingPredictor):
    """Biased matrix factorization by stochastic gradient descent (Koren, Bell and Volinsky, Computer 2009, eq. 4)."""

    stored: ClassVar[Layout] = {"state_": Part(Factors, users="users", items="items")}

    n_factors: int = 100  # length of the user and item vectors
    n_epochs: int = 20  # passes over the ratings
    biased: bool = True  # with global mean and biases; without them it is probabilistic matrix factorization
    initial_mean: float = 0.0  # of the normal distribution the factors start from
    initial_deviation: float = 0.1  # its standard deviation
    learning_rate: float = 0.005  # step of all parameters
    regularization: float = 0.02  # weight of the squared parameters
    random_state: int = 0  # seed of the first factors

    def fit(self, train: Interactions) -> Self:
        """Learn factors and biases from the rows in their canonical order (or the file's)."""
        _check(self)
        rows = Rows.of(train)
        mean = rows.mean if self.biased else 0.0
        users, items = (in_lines(part) for part in _normal_factors(self, (rows.n_users, rows.n_items)))
        user_bias, item_bias = surprise_training.svd(
            *rows.by_user,
            mean,
            self.biased,
            users,
            items,
            self.n_epochs,
            self.learning_rate,
            self.regularization,
        )
        users, items = users[:, : self.n_factors], items[:, : self.n_factors]
        self.state_ = Factors.of(rows, mean, user_bias, item_bias, users, items, unknown=0.0 if self.biased else np.nan)
        return self


@dataclass(kw_only=True, eq=False)
class SVDpp(Learnt, RatingPredictor):
    """SVD++: SVD whose user vectors also sum implicit vectors of the items rated (Koren, KDD 2008, eq. 15)."""

    stored: ClassVar[Layout] = {"state_": Part(Factors, users="users", items="items")}

    n_factors: int = 20  # length of the user and item vectors
    n_epochs: int = 20  # passes over the ratings
    initial_mean: float = 0.0  # of the normal distribution the factors start from
    initial_deviation: float = 0.1  # its standard deviation
    learning_rate: float = 0.007  # step of all parameters
    regularization: float = 0.02  # weight of the squared parameters
    random_state: int = 0  # seed of the first factors

    def fit(self, train: Interactions) -> Self:
        """Learn factors and biases; the implicit vectors are then part of the user vectors."""
        _check(self)
        rows = Rows.of(train)
        users, items, implicit = _normal_factors(self, (rows.n_users, rows.n_items, rows.n_items))
        rated = rows.by_user
        user_bias, item_bias = surprise_training.svd_pp(
            *rated,
            rows.mean,
            users,
            items,
            implicit,
            self.n_epochs,
            self.learning_rate,
            self.regularization,
        )
        counts = np.diff(rated.pointers)
        users = users + np.add.reduceat(implicit[rated.codes], rated.pointers[:-1]) / np.sqrt(counts)[:, None]
        self.state_ = Factors.of(rows, rows.mean, user_bias, item_bias, users, items, unknown=0.0)
        return self


@dataclass(kw_only=True, eq=False)
class BaselineOnly(Learnt, RatingPredictor):
    """Global mean + user bias + item bias (Koren, TKDD 2010, section 2.1), by ``als`` or ``sgd``."""

    stored: ClassVar[Layout] = {"state_": Part(Factors, users="users", items="items")}

    learns: ClassVar[Learns] = "levels"

    method: str = "als"  # alternating least squares, or sgd: stochastic gradient descent
    n_epochs: int | None = None  # passes over the ratings; None: 10 for als, 20 for sgd
    user_regularization: float = 15.0  # als: added to the user's number of ratings
    item_regularization: float = 10.0  # als: added to the item's number of ratings
    learning_rate: float = 0.005  # sgd: step
    regularization: float = 0.02  # sgd: weight of the squared biases

    def fit(self, train: Interactions) -> Self:
        """Learn the biases."""
        require(self.method in {"als", "sgd"}, f"method must be 'als' or 'sgd'; found {self.method!r}")
        n_epochs = self.n_epochs if self.n_epochs is not None else {"als": 10, "sgd": 20}[self.method]
        require(n_epochs >= 1, f"n_epochs must be at least 1; found {n_epochs}")
        rows = Rows.of(train)
        if self.method == "als":
            user_bias, item_bias = als_baselines(rows, n_epochs, self.user_regularization, self.item_regularization)
        else:
            user_bias, item_bias = surprise_training.sgd_baselines(
                *rows.by_user, rows.n_items, rows.mean, n_epochs, self.learning_rate, self.regularization
            )
        none = np.zeros((rows.n_users, 0)), np.zeros((rows.n_items, 0))
        self.state_ = Factors.of(rows, rows.mean, user_bias, item_bias, *none, unknown=0.0)
        return self


def als_baselines(
    rows: Rows, n_epochs: int = 10, user_regularization: float = 15.0, item_regularization: float = 10.0
) -> tuple[Float64, Float64]:
    """User biases (n_users,) and item biases (n_items,) by alternating least squares."""
    regularizations = {"user_regularization": user_regularization, "item_regularization": item_regularization}
    for name, value in regularizations.items():
        require(value >= 0, f"{name} must not be negative; found {value}")
    return surprise_training.als_baselines(  # type: ignore[no-any-return]
        *rows.by_user, *rows.by_item, rows.mean, n_epochs, user_regularization, item_regularization
    )


def _check(model: SVD | SVDpp) -> None:
    for name, least in (("n_factors", 1), ("n_epochs", 1), ("learning_rate", 0), ("regularization", 0)):
        value = getattr(model, name)
        require(value >= least, f"{name} must be at least {least}; found {value}")
    require(model.initial_deviation >= 0, f"initial_deviation must not be negative; found {model.initial_deviation}")


def _normal_factors(model: SVD | SVDpp, sizes: tuple[int, ...]) -> list[Float64]:
    """Starting vectors (size, n_factors), drawn as Surprise draws them: its published table depends on the stream."""
    random = np.random.RandomState(model.random_state)
    return [random.normal(model.initial_mean, model.initial_deviation, (size, model.n_factors)) for size in sizes]
