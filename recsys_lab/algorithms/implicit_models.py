"""The models of the library implicit (extra "implicit"), as a reference to compare with; its only importer.

A fresh model is made in each fit. BPR and LMF run on one thread, for on several their results do not repeat.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.lmf import LogisticMatrixFactorization
from implicit.recommender_base import ModelFitError
from numba import get_num_threads
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsys_lab.algorithms.base import Algorithm, require_columns
from recsys_lab.algorithms.bpr import require_positive
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.pair_kernels import require_sound
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.data.interactions import Float32, Int32, Interactions


class _Product(Algorithm):
    """Scores are the products of learnt user and item factors."""

    stored: ClassVar[Layout] = {"user_factors_": "float32 users f", "item_factors_": "float32 items f"}

    user_factors_: Float32  # (n_users, f)
    item_factors_: Float32  # (n_items, f)

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """User factors times item factors, (b, n_items); the histories are not used."""
        scores: Float32 = self.user_factors_[users] @ self.item_factors_.T
        return scores

    def _learn(self, model: Any, rows: sparse.csr_matrix) -> Self:
        """Fit implicit's model to a copy of the rows and keep its factors."""
        _fit(model, rows)
        self.user_factors_, self.item_factors_ = model.user_factors, model.item_factors
        return self


@dataclass(kw_only=True, eq=False)
class ImplicitALS(Algorithm):
    """implicit's alternating least squares (Hu, Koren and Volinsky, ICDM 2008; Takács et al., RecSys 2011).

    ``score`` solves the user exactly from the history, as implicit's recalculate_user, so new users are served.
    """

    stored: ClassVar[Layout] = {"item_factors_": "float32 items f"}

    serves_new_users: ClassVar[bool] = True

    n_factors: int = 64
    n_epochs: int = 15
    regularization: float = 0.01
    alpha: float = 1.0  # weight of an observed pair (times its rating, when used); 1 for all others
    uses_cg: bool = True  # three conjugate-gradient steps; False: exact
    uses_ratings: bool = False
    random_state: int = 0

    def fit(self, train: Interactions) -> Self:
        """Learn ``item_factors_`` (n_items, n_factors) float32 by implicit."""
        require_positive(self, "n_factors", "n_epochs", "regularization", "alpha")
        model = self._model()
        _fit(model, self._rows(train.canonical().matrix))
        self.item_factors_ = model.item_factors
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The products of the item factors and the users' factors solved from their histories."""
        require_columns(histories, len(self.item_factors_))
        model = self._model()
        model.item_factors = self.item_factors_
        with threadpool_limits(1, user_api="blas"):
            factors = model.recalculate_user(np.arange(histories.shape[0]), _copy(self._rows(histories)))
        scores: Float32 = factors @ self.item_factors_.T
        return scores

    def _model(self) -> Any:
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            return AlternatingLeastSquares(
                factors=self.n_factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.n_epochs,
                use_cg=self.uses_cg,
                num_threads=get_num_threads(),
                random_state=self.random_state,
            )

    def _rows(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        return matrix if self.uses_ratings else ones_like(matrix)


@dataclass(kw_only=True, eq=False)
class ImplicitBPR(_Product):
    """implicit's Bayesian personalised ranking (Rendle et al., UAI 2009); negatives in proportion to popularity."""

    n_factors: int = 64
    n_epochs: int = 50
    learning_rate: float = 0.05
    regularization: float = 0.01
    random_state: int = 0

    def fit(self, train: Interactions) -> Self:
        """Learn factors by implicit; the last one belongs to the item bias."""
        require_positive(self, "n_factors", "n_epochs", "learning_rate")
        model = BayesianPersonalizedRanking(
            factors=self.n_factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=self.n_epochs,
            num_threads=1,
            random_state=self.random_state,
        )
        return self._learn(model, ones_like(train.canonical().matrix))


@dataclass(kw_only=True, eq=False)
class ImplicitLMF(_Product):
    """implicit's logistic matrix factorization (Johnson, NIPS 2014 workshop)."""

    n_factors: int = 30
    n_epochs: int = 30
    learning_rate: float = 1.0
    regularization: float = 0.6
    n_negatives: int = 30  # drawn for each interaction
    random_state: int = 0

    def fit(self, train: Interactions) -> Self:
        """Learn factors by implicit; the last two belong to the biases."""
        require_positive(self, "n_factors", "n_epochs", "learning_rate", "n_negatives")
        model = LogisticMatrixFactorization(
            factors=self.n_factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=self.n_epochs,
            neg_prop=self.n_negatives,
            num_threads=1,
            random_state=self.random_state,
        )
        return self._learn(model, ones_like(train.canonical().matrix))


def _fit(model: Any, rows: sparse.csr_matrix) -> None:
    """Fit implicit's model to a copy of the rows; ValueError when training runs away."""
    try:
        with threadpool_limits(1, user_api="blas"):  # implicit brings its own threads
            model.fit(_copy(rows), show_progress=False)
    except ModelFitError as error:
        raise ValueError(
            "training diverged: factors are not finite; try a lower learning_rate or more regularization"
        ) from error
    require_sound(model.user_factors, model.item_factors)


def _copy(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """A float32 copy with int32 indices, as implicit's loops want them."""
    shape = rows.shape
    data, indices, indptr = rows.data.astype(np.float32), rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
    return sparse.csr_matrix((data, indices, indptr), shape=shape)
