"""The best score that anyone could reach on generated data, whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.algorithms.base import RatingPredictor, require
from recsys_lab.data.interactions import Float32, Float64, Int32, Interactions
from recsys_lab.data.synthetic import Truth, truth_of


@dataclass(kw_only=True)
class Oracle(RatingPredictor):
    """Ranks by the true probability of being the user's next hit and predicts the true mean rating.

    No model can do better on average with what is known at the user's last training row; what it misses is chance.
    Works on generated data (``synthetic-*``), filtered or not: users and items are found by their ids. Of the training
    rows it takes only ids and times. Raises ValueError in ``fit`` for data without a known truth.
    """

    relevance_threshold: float | None = (
        None  # of the evaluation: None ranks by P(chosen), a number by P(chosen, rated so)
    )
    moment: str = "last"  # tastes at each user's "last" training row (for time splits) or at the "mean" (random splits)

    def fit(self, train: Interactions) -> Self:
        require(self.moment in ("last", "mean"), f"moment must be 'last' or 'mean'; found {self.moment!r}")
        require(
            self.relevance_threshold is None or bool(np.isfinite(self.relevance_threshold)),
            f"relevance_threshold must be None or a rating; found {self.relevance_threshold}",
        )
        truth = truth_of(train.catalogue.info)
        self.truth_: Truth = truth
        self.user_codes_ = _codes(train.catalogue.user_ids, truth.config.n_users, "user")
        self.item_codes_ = _codes(train.catalogue.item_ids, truth.config.n_items, "item")
        self.moments_ = self._moments(train)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Log probabilities (b, n_items) up to a constant of the user."""
        codes, when = self.user_codes_[users], self.moments_[users]
        scores = self.truth_.log_weights(codes, when)
        if self.relevance_threshold is not None:
            liked = self.truth_.rating_at_least(codes, self.relevance_threshold, when)
            scores += np.log(np.maximum(liked, np.float32(1e-30)))
        return scores[:, self.item_codes_]

    def predict(self, users: Int32, items: Int32) -> Float32:
        """The mean of the ratings that the user could give to the item, each with its true probability."""
        return self.truth_.expected_rating(self.user_codes_[users], self.item_codes_[items], self.moments_[users])

    def _moments(self, train: Interactions) -> Float64:
        """When to look at each user, (n_users,), as a share of the time span; the middle of the stay without times."""
        moments = self.truth_.visits.middle[self.user_codes_]
        if train.timestamps is None:
            return moments
        times = self.truth_.moment(train.timestamps)
        present = train.user_activity > 0
        if self.moment == "last":
            found = np.full(train.n_users, -np.inf)
            np.maximum.at(found, train.users, times)
        else:
            found = np.bincount(train.users, times, train.n_users) / np.maximum(train.user_activity, 1)
        return np.where(present, found, moments)


def _codes(ids: pd.Index[Any], n: int, kind: str) -> Int32:
    """Codes of the truth for external ids 1 ... n."""
    codes = pd.to_numeric(pd.Series(ids), errors="coerce").to_numpy(dtype=np.float64) - 1
    wrong = ~((codes >= 0) & (codes < n) & (codes == np.floor(codes)))
    if wrong.any():
        raise ValueError(f"{kind} id {ids[int(np.argmax(wrong))]!r} is not of this data set; its ids are 1 to {n}")
    return codes.astype(np.int32)
