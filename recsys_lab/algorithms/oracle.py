"""The best score that anyone could reach on generated data, whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.algorithms.base import Learns, RatingPredictor, require
from recsys_lab.data.interactions import Float32, Float64, Int32, Interactions
from recsys_lab.data.synthetic import Truth, truth_of


@dataclass(kw_only=True, eq=False)
class Oracle(RatingPredictor):
    """Ranks by the true probability of being the user's next hit, and predicts the true mean rating.

    What it misses is chance: no ranking has the next row more often on top, and no prediction of a rating has a lower
    expected squared error, given the moment. Works on generated data (``synthetic-*``), filtered or not: users and
    items are found by their ids. Of the training rows it takes ids and times alone. A ``minimum_rating`` filter counts
    as a relevance threshold, since it decides which rows there are; ``predict`` does not take it into account.
    Raises ValueError in ``fit`` for data without a known truth.
    """

    learns: ClassVar[Learns] = "truth"

    relevance_threshold: float | None = (
        None  # of the evaluation; None: by P(chosen), else by P(chosen and rated so high)
    )
    moment: str = "last"  # tastes at each user's "last" training row, at their "mean" time, or at the "end" of training

    def fit(self, train: Interactions) -> Self:
        known = ("last", "mean", "end")
        require(self.moment in known, f"moment must be one of {', '.join(known)}; found {self.moment!r}")
        asked = self.relevance_threshold
        require(asked is None or bool(np.isfinite(asked)), f"relevance_threshold must be None or finite; found {asked}")
        catalogue = train.catalogue
        self.truth_: Truth = truth_of(catalogue.info)
        self.user_codes_ = _codes(catalogue.user_ids, self.truth_.config.n_users, "user")
        self.item_codes_ = _codes(catalogue.item_ids, self.truth_.config.n_items, "item")
        self.moments_ = self._moments(train)
        thresholds = [] if asked is None else [asked]
        for report in catalogue.info.get("filters", ()):
            if report["name"] == "minimum_rating":
                thresholds.append(report["parameters"]["minimum"])
        self.threshold_ = max(thresholds, default=None)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Log probabilities (b, n_items) up to a constant of the user."""
        codes, when = self.user_codes_[users], self.moments_[users]
        scores = self.truth_.log_weights(codes, when)
        if self.threshold_ is not None:
            liked = self.truth_.rating_at_least(codes, self.threshold_, when)
            scores += np.log(np.maximum(liked, np.float32(1e-30)))
        return scores[:, self.item_codes_]

    def predict(self, users: Int32, items: Int32) -> Float32:
        """The mean of the ratings 1 ... 5 that the user could give to the item, if they chose it."""
        return self.truth_.expected_rating(self.user_codes_[users], self.item_codes_[items], self.moments_[users])

    def _moments(self, train: Interactions) -> Float64:
        """When to look at each user, (n_users,), as a share of the time span; the middle of the stay without times."""
        middle = self.truth_.visits.middle[self.user_codes_]
        if train.timestamps is None or not len(train):
            return middle
        times = self.truth_.moment(train.timestamps)
        found = np.full(train.n_users, times.max())
        if self.moment == "end":
            return found
        if self.moment == "last":
            found[:] = -np.inf
            np.maximum.at(found, train.users, times)
        else:
            found = np.bincount(train.users, times, train.n_users) / np.maximum(train.user_activity, 1)
        return np.where(train.user_activity > 0, found, middle)


def _codes(ids: pd.Index[Any], n: int, kind: str) -> Int32:
    """Codes of the truth for external ids 1 ... n."""
    codes = pd.to_numeric(pd.Series(ids), errors="coerce").to_numpy(dtype=np.float64) - 1
    wrong = ~((codes >= 0) & (codes < n) & (codes == np.floor(codes)))
    if wrong.any():
        raise ValueError(f"{kind} id {str(ids[int(np.argmax(wrong))])!r} is not of this data set; its ids are 1 to {n}")
    return codes.astype(np.int32)
