"""Late blends: the scores of two algorithms, brought to one scale and averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.hybrid import Composite, require_served, require_share, unit_range
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.top_k import Candidates, listable
from recsys_lab.compiled import njit, prange
from recsys_lab.data.interactions import Float32, Int32, Interactions

Normalisation: TypeAlias = Literal["minmax", "zscore", "rank", "reciprocal_rank"]
RANK_OFFSET = 60.0  # of reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR 2009)


@dataclass(kw_only=True, eq=False)
class Blend(Composite):
    """weight · first + (1 - weight) · second, each on one scale (weighted hybrid; Burke, UMUAI 2002).

    The scores of each part are brought to one scale for each user, over the items that may be listed: the candidates
    outside the history (for ``score``, which knows of no candidates, all items outside the history):

    minmax           the lowest is 0 and the highest 1
    zscore           less their mean, divided by their standard deviation; 0 where all are equal
    rank             the share of items with a lower score, of equal ones half (a Borda count)
    reciprocal_rank  1 / (60 + rank), equal scores share their mean rank (Cormack et al., SIGIR 2009)

    An item that one part cannot serve has the lowest place in it; an item that neither can serve is not listed.
    Users unknown to fit are served if both parts can. A blend of three is a blend whose part is a ``Blend``.
    """

    stored: ClassVar[Layout] = {"parts_": ("algorithm", "algorithm")}

    PARTS: ClassVar[tuple[str, ...]] = ("first", "second")

    first: str = "EASE"  # an algorithm by name
    second: str = "ItemKNN"  # another one
    weight: float = 0.5  # of the first, 0 to 1; the second has the rest
    normalisation: Normalisation = "zscore"  # minmax, zscore, rank or reciprocal_rank
    first_parameters: dict[str, Any] | None = None  # hyper-parameters of the first
    second_parameters: dict[str, Any] | None = None  # hyper-parameters of the second
    random_state: int = 42  # seeds of the parts come from it

    def check(self) -> None:
        """Raise ValueError for a weight outside 0 ... 1 or an unknown normalisation."""
        require_share("weight", self.weight)
        require_choice("normalisation", self.normalisation, get_args(Normalisation))

    def fit(self, train: Interactions) -> Self:
        """Fit both parts on the training rows."""
        self.fit_parts(train)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The weighted mean of both parts' scores on one scale, (b, n_items) float32."""
        return self.score_to_list(users, histories, histories, None)

    def score_to_list(
        self, users: Int32, histories: sparse.csr_matrix, exclude: sparse.csr_matrix | None, candidates: Candidates
    ) -> Float32:
        """The same, the scale set by the items that may be listed."""
        require_served(self.parts_, users)
        counted = listable(histories.shape, exclude, candidates)
        counted[~counted.any(axis=1)] = True  # who has seen everything is measured by everything
        blended = np.zeros(histories.shape, dtype=np.float32)
        impossible = np.ones(histories.shape, dtype=np.bool_)
        for part, weight in zip(self.parts_, (self.weight, 1.0 - self.weight), strict=True):
            scores = part.score(users, histories)
            impossible &= scores == -np.inf
            blended += np.float32(weight) * normalised(scores, counted, self.normalisation)
        blended[impossible] = -np.inf
        return blended


def normalised(scores: Float32, counted: Any, normalisation: Normalisation) -> Float32:
    """Scores (b, n) float32 on one scale for each row, as ``Blend`` says; ``counted`` (b, n) bool sets the scale.

    A score of -inf becomes the lowest value counted in its row.
    """
    if normalisation in ("rank", "reciprocal_rank"):
        return np.asarray(_ranked(scores, counted, normalisation == "reciprocal_rank"), dtype=np.float32)
    if normalisation == "minmax":
        scaled = unit_range(scores, counted)
    else:
        finite = np.asarray(counted & np.isfinite(scores))
        count = np.maximum(finite.sum(axis=1, keepdims=True), 1)
        mean = np.where(finite, scores, 0.0).sum(axis=1, keepdims=True, dtype=np.float64) / count
        spread = np.sqrt(((np.where(finite, scores, mean) - mean) ** 2).sum(axis=1, keepdims=True) / count)
        equal = spread <= 1e-6 * np.abs(mean)  # what float32 leaves of a spread of 0
        spread = np.where(equal | (spread == 0), np.inf, spread)
        possible = np.isfinite(scores)
        scaled = np.where(possible, (np.where(possible, scores, mean) - mean) / spread, -np.inf).astype(np.float32)
    lowest = np.where(counted & np.isfinite(scaled), scaled, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    lowest = np.where(np.isfinite(lowest), lowest, 0.0)
    return np.where(np.isfinite(scaled), scaled, lowest).astype(np.float32)


@njit(parallel=True)
def _ranked(scores, counted, reciprocal):  # type: ignore[no-untyped-def]
    """Places among the counted scores of each row: share of them below (half of the equal ones), or 1 / (60 + rank)."""
    n_rows, n = scores.shape
    places = np.zeros((n_rows, n), dtype=np.float32)
    for row in prange(n_rows):
        ordered = np.sort(scores[row][counted[row]])
        size = ordered.size
        for column in range(n):
            below = np.searchsorted(ordered, scores[row, column], side="left")
            to = np.searchsorted(ordered, scores[row, column], side="right")
            if reciprocal:  # equal scores have the mean of their ranks; rank 1 is the best
                places[row, column] = 1.0 / (RANK_OFFSET + size - (below + to - 1) / 2.0)
            else:
                places[row, column] = (below + to) / 2.0 / size
    return places
