"""Non-negative matrix factorization of what users took."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require, require_columns
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.compiled import njit, prange
from recsys_lab.data.interactions import Float32, Int32, Interactions

Solver: TypeAlias = Literal["cd", "mu"]
Loss: TypeAlias = Literal["frobenius", "kullback-leibler"]
Start: TypeAlias = Literal["nndsvda", "random"]


@dataclass(kw_only=True, eq=False)
class RankingNMF(Algorithm):
    """X ≈ W H with W, H ≥ 0 and missing = 0 (Lee and Seung, NIPS 2000), by scikit-learn; score = W H.

    Unlike ``NMF``, which fits the ratings that are there, it fits all pairs, and so it ranks. The factors of a user are
    found from the history at scoring time, with H fixed, so new users are served without a refit. At most
    min(n_users, n_items) factors are used; more asked for are not an error.
    """

    stored: ClassVar[Layout] = {"item_factors_": "float32 f items"}

    serves_new_users: ClassVar[bool] = True

    n_factors: int = 32
    n_epochs: int = 50  # rounds over W and H; rounds over W alone at scoring time
    regularization: float = 0.0  # scikit-learn's alpha_W and alpha_H
    l1_ratio: float = 0.0  # share of the absolute values, instead of the squares, in the penalty
    solver: Solver = "cd"  # coordinate descent; "mu": multiplicative steps
    loss: Loss = "frobenius"  # "kullback-leibler" needs "mu"
    initial: Start = "nndsvda"  # from a singular value decomposition; or "random"
    uses_ratings: bool = False  # False: every stored rating counts as 1
    random_state: int = 0

    def fit(self, train: Interactions) -> Self:
        """Learn ``item_factors_`` (n_factors, n_items) float32. ValueError for negative ratings, if they are used."""
        from sklearn.decomposition import NMF
        from sklearn.exceptions import ConvergenceWarning

        require(self.n_factors >= 1, f"n_factors must be at least 1; found {self.n_factors}")
        require(self.n_epochs >= 1, f"n_epochs must be at least 1; found {self.n_epochs}")
        require(self.regularization >= 0, f"regularization must not be negative; found {self.regularization}")
        require(0 <= self.l1_ratio <= 1, f"l1_ratio must lie between 0 and 1; found {self.l1_ratio}")
        for name, choices in (("solver", Solver), ("loss", Loss), ("initial", Start)):
            require_choice(name, getattr(self, name), get_args(choices))
        require(
            self.loss == "frobenius" or self.solver == "mu",
            f"loss={self.loss!r} needs solver='mu'; found solver={self.solver!r}",
        )
        rows = self._rows(train.canonical().matrix)
        model = NMF(
            n_components=min(self.n_factors, *rows.shape),
            init=self.initial,
            max_iter=self.n_epochs,
            random_state=self.random_state,
            **self._loss(),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # n_epochs is a choice, as in every other algorithm
            model.fit(rows)
        require(
            bool(model.components_.any()),
            f"all factors became 0; found regularization={self.regularization}; try a smaller one",
        )
        self.item_factors_ = model.components_.astype(np.float32)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """W H, where W is fitted to the histories."""
        rows = self._rows(histories)
        require_columns(rows, self.item_factors_.shape[1])
        if self.loss == "kullback-leibler":
            penalty = self.regularization * rows.shape[1]
            weights = _fold_in(
                rows.indptr, rows.indices, rows.data, np.ascontiguousarray(self.item_factors_.T), self.n_epochs,
                np.float32(penalty * self.l1_ratio), np.float32(penalty * (1 - self.l1_ratio)),
            )  # fmt: skip
        else:
            weights = self._descend(rows)
        scores: Float32 = weights.astype(np.float32) @ self.item_factors_
        return scores

    def _descend(self, rows: sparse.csr_matrix) -> Float32:
        """W by coordinate descent from 0, always ``n_epochs`` rounds: a user's row does not depend on the batch."""
        from sklearn.decomposition import non_negative_factorization
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            weights: Float32
            weights, _, _ = non_negative_factorization(
                rows, H=self.item_factors_, n_components=len(self.item_factors_), init="custom", update_H=False,
                max_iter=self.n_epochs, **{**self._loss(), "solver": "cd"},
            )  # fmt: skip
        return weights

    def _rows(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        rows = matrix if self.uses_ratings else ones_like(matrix)
        least = rows.data.min(initial=0)
        require(least >= 0, f"ratings must not be negative; found {least}; set uses_ratings=False for such data")
        return rows.astype(np.float32)

    def _loss(self) -> dict[str, object]:
        return {
            "solver": self.solver,
            "beta_loss": self.loss,
            "alpha_W": self.regularization,
            "l1_ratio": self.l1_ratio,
            "tol": 0.0,
        }


@njit(parallel=True)
def _fold_in(indptr, indices, values, factors, n_rounds, l1, l2):  # type: ignore[no-untyped-def]
    """W (b, f) by multiplicative steps for the Kullback-Leibler divergence, each row from the same start.

    ``factors`` (n_items, f). scikit-learn starts from the mean of the batch, so that what a user gets depends on it.
    """
    n_factors = factors.shape[1]
    weights = np.full((indptr.size - 1, n_factors), 0.1, dtype=np.float32)
    sums = factors.sum(axis=0) + l1
    for row in prange(indptr.size - 1):
        mine = weights[row]
        for _ in range(n_rounds):
            pull = np.zeros(n_factors, dtype=np.float32)
            for place in range(indptr[row], indptr[row + 1]):
                item = factors[indices[place]]
                fitted = np.float32(1e-7)
                for f in range(n_factors):
                    fitted += mine[f] * item[f]
                for f in range(n_factors):
                    pull[f] += values[place] / fitted * item[f]
            for f in range(n_factors):
                mine[f] *= pull[f] / max(sums[f] + l2 * mine[f], np.float32(1e-7))
    return weights
