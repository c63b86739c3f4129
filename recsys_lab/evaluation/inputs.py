"""The arguments of the metrics, made from lists and split when a metric first asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_lab.data.genres import genre_weights
from recsys_lab.data.interactions import Bool, Float64, Int64
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation.relevance import Relevant, find
from recsys_lab.metrics.ratios import ratio

if TYPE_CHECKING:
    from recsys_lab.splits import Split

BY_RANK = frozenset({"items", "hits", "gains", "ideal_gains"})  # one column a rank, cut at k


class Inputs:
    """What metrics are computed from, for the users with relevant items (``counted``, (n,) bool)."""

    def __init__(self, lists: RankedLists, split: Split, relevant: Relevant, counted: Bool) -> None:
        every = bool(counted.all())
        self._counted = slice(None) if every else counted
        self._relevant = relevant
        self._train, self._history = split.train, split.history
        self.users = relevant.users[self._counted]
        self.positions = find(lists.items, relevant.starts, relevant.items)[self._counted]
        self.items = lists.items[self._counted]
        self.hits = self.positions >= 0
        self.n_relevant = relevant.n_relevant[self._counted]

    def of(self, names: Sequence[str], k: int) -> list[Any]:
        """The named arguments, those with one column a rank cut at k."""
        return [getattr(self, name)[:, :k] if name in BY_RANK else getattr(self, name) for name in names]

    @cached_property
    def gains(self) -> Float64:
        grades = np.append(np.maximum(self._relevant.grades, 0.0), 0.0)  # the last entry answers for -1
        return np.asarray(grades[self.positions])

    @cached_property
    def ideal_gains(self) -> Float64:
        return self._relevant.ideal_gains(self.items.shape[1])[self._counted]

    @cached_property
    def all_gains(self) -> Float64:
        """The ideal gains not cut at any k: as many columns as the user with most relevant items needs."""
        return self._relevant.ideal_gains(int(self._relevant.n_relevant.max(initial=1)))[self._counted]

    @cached_property
    def item_popularity(self) -> Int64:
        """Users of train with each item; a user who has it twice counts once."""
        return np.bincount(self._train.matrix.indices, minlength=self._train.n_items).astype(np.int64)

    @cached_property
    def n_users_train(self) -> int:
        return int(np.count_nonzero(self._train.user_activity))

    @cached_property
    def item_features(self) -> Any:
        return self._train.catalogue.item_features

    @cached_property
    def genre_weights(self) -> Float64:
        return genre_weights(self._train.catalogue)

    @cached_property
    def profile_genres(self) -> Float64:
        return np.asarray(self._profiles @ self.genre_weights)

    @cached_property
    def profile_popularity(self) -> Float64:
        return ratio(self._profiles @ self.item_popularity, np.diff(self._profiles.indptr))

    @cached_property
    def _profiles(self) -> Any:
        """The histories as ones (n, n_items)."""
        rows = self._history.matrix[self.users].astype(np.float64)
        rows.data[:] = 1.0
        return rows
