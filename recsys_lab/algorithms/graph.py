"""Random walks on the graph of users and items: P3alpha, RP3beta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.similarity import Vectors, neighbour_matrix
from recsys_lab.algorithms.sparse_rows import divided_by_sums, item_scores, largest_of_columns
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.data.interactions import Float32, Float64, Int32, Interactions


@dataclass(kw_only=True, eq=False)
class P3alpha(Algorithm):
    """Walks of three steps, user to item to user to item (Cooper et al., WWW 2014 companion, eq. 1 and 3).

    score = history × W with W = (Xᵀ with rows that sum to 1)^alpha × (X with rows that sum to 1)^alpha, powers entry by
    entry. As in the literature on reproducibility (Ferrari Dacrema et al., TOIS 2021) the diagonal of W is 0, the
    n_neighbors largest entries of each row are kept, the rows then sum to 1 if asked, and of that the n_neighbors
    largest of each column. Memory: n_items × n_neighbors × 8 bytes, and blocks; W is never dense.
    """

    stored: ClassVar[Layout] = {"weights_": "csr float32 items items"}

    serves_new_users: ClassVar[bool] = True

    n_neighbors: int = 100  # entries kept in each row, then in each column, of the item-item matrix
    alpha: float = 1.0  # power of the transition probabilities: below 1 flatter, above 1 steeper
    normalizes_rows: bool = True  # what is kept of a row is divided by its sum
    uses_ratings: bool = False  # False: every stored rating counts as 1

    def fit(self, train: Interactions) -> Self:
        require(self.n_neighbors >= 1, f"n_neighbors must be at least 1; found {self.n_neighbors}")
        require(np.isfinite(self.alpha) and self.alpha >= 0, f"alpha must be 0 or more; found {self.alpha}")
        beta = self._popularity_power()
        matrix = train.canonical().matrix
        rows = matrix if self.uses_ratings else ones_like(matrix)
        lowest = rows.data.min() if rows.nnz else 0.0
        require(lowest >= 0, f"ratings weigh steps and must be 0 or more; found {lowest}; set uses_ratings=False")
        from_user, from_item = (_steps(side, self.alpha) for side in (rows, rows.T.tocsr()))
        popularity = np.bincount(rows.indices, minlength=train.n_items).astype(np.float64)
        walks = _between_items(from_item, from_user, popularity**beta, self.n_neighbors)
        if self.normalizes_rows:
            walks = divided_by_sums(walks)
        self.weights_ = largest_of_columns(walks, self.n_neighbors)  # (items of the history, items scored) float32
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """history × W, (b, n_items) float32; 0 where no walk arrives."""
        return item_scores(histories, self.weights_, uses_ratings=self.uses_ratings)

    def _popularity_power(self) -> float:
        return 0.0


@dataclass(kw_only=True, eq=False)
class RP3beta(P3alpha):
    """P3alpha with W[i, j] divided by popularity_j ** beta, before anything is dropped (Paudel et al., TiiS 2016).

    The popularity of an item is its number of training users. beta = 0 is P3alpha.
    """

    beta: float = 0.6  # how much popular items are held back

    def _popularity_power(self) -> float:
        require(np.isfinite(self.beta) and self.beta >= 0, f"beta must be 0 or more; found {self.beta}")
        return self.beta


def _steps(rows: sparse.csr_matrix, alpha: float) -> sparse.csr_matrix:
    """Probabilities of a step from each row to its columns, to the power of alpha; a step of probability 0 stays 0."""
    steps = divided_by_sums(rows)
    steps.data = np.where(steps.data > 0, steps.data**alpha, 0).astype(np.float32)
    return steps


def _between_items(
    from_item: sparse.csr_matrix, from_user: sparse.csr_matrix, divisors: Float64, k: int
) -> sparse.csr_matrix:
    """The k largest entries of each row of from_item × from_user / divisors (n_items,), without the diagonal.

    A dot product over |i| |j| with |i| = 1 and |j| = the divisor: the kernel of the cosine does the work.
    """
    ones = np.ones(from_item.shape[0])
    return neighbour_matrix(Vectors("cosine", 0.0, 0.0, from_item, from_user, ones, divisors), k)
