"""What every algorithm can do: fit, score all items, recommend the k best; some predict ratings too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self, TypeAlias

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.parameters import Parameters
from recsys_lab.algorithms.top_k import Candidates, top_k
from recsys_lab.data.interactions import Float32, Int32, Interactions
from recsys_lab.data.ranked_lists import RankedLists

# what an algorithm takes from the training rows; its contract asks for what each of these promises
Learns: TypeAlias = Literal[
    "tastes",  # who took what: finds an item of the user's taste
    "order",  # what follows what in time: finds the item that comes next
    "levels",  # how high users and items rate: finds a missing rating that is a user's part + an item's part
    "popularity",  # how many took an item: the same scores for everyone
    "nothing",  # chance: the same lists whatever the training rows
    "truth",  # what generated the data, found by external ids
]


class Algorithm(Parameters, ABC):
    """A recommender. Subclasses are keyword-only dataclasses whose fields are the hyper-parameters.

    Write ``fit`` and ``score``; masking and ranking come from here. The constructor does nothing; ``fit`` checks the
    values, calls nothing but its training rows, and forgets any earlier fit. Learnt attributes end in an underscore.
    """

    serves_new_users: ClassVar[bool] = False  # score() uses the histories, so a user unknown to fit can be served
    learns: ClassVar[Learns] = "tastes"  # what it takes from the training rows
    stored: ClassVar[Layout | None] = None  # what fit learns, as it is stored (``recsys_lab.algorithms.layout``)
    reorders: ClassVar[bool] = False  # recommend() lists items in another order than that of score()

    @abstractmethod
    def fit(self, train: Interactions) -> Self:
        """Learn from the training rows only, and return self."""

    @abstractmethod
    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Scores (b, n_items) float32, higher is better, for ``users`` (b,) with ``histories`` (b, n_items) CSR.

        Every score is finite; -inf says that this item cannot be served to this user.
        """

    def score_to_list(
        self, users: Int32, histories: sparse.csr_matrix, exclude: sparse.csr_matrix | None, candidates: Candidates
    ) -> Float32:
        """The scores that ``recommend`` ranks: other ones than ``score`` where they depend on what may be listed."""
        return self.score(users, histories)

    def recommend(
        self,
        users: Int32,
        histories: sparse.csr_matrix,
        k: int,
        candidates: Candidates = None,
        *,
        exclude_seen: bool = True,
        tie_seed: int = 0,
    ) -> RankedLists:
        """The k best items of each user, best first, -1 where there are fewer; see ``top_k`` for candidates and ties.

        ``exclude_seen=False`` also lists items of the history (repeat consumption). User code -1 is a user unknown to
        ``fit``: ValueError unless the algorithm serves new users.
        """
        users = np.asarray(users, dtype=np.int32)
        if not self.serves_new_users and (users < 0).any():
            raise ValueError(
                f"{type(self).__name__} cannot serve users unknown to fit; found {int((users < 0).sum())} of "
                f"{len(users)} codes below 0. Fit again with their rows, or choose an algorithm that serves new users"
            )
        exclude = histories if exclude_seen else None
        scores = self.score_to_list(users, histories, exclude, candidates)
        if scores.shape != histories.shape:
            raise ValueError(
                f"{type(self).__name__}.score returned shape {scores.shape}; expected {histories.shape}: users × items"
            )
        return top_k(scores, k, users=users, exclude=exclude, candidates=candidates, tie_seed=tie_seed)


class RatingPredictor(Algorithm):
    """An algorithm that also predicts ratings on the scale of the data."""

    @abstractmethod
    def predict(self, users: Int32, items: Int32) -> Float32:
        """Ratings (n,) float32 of the pairs (users[i], items[i]); NaN where the model cannot say (never 0)."""

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """The predicted rating of every item; -inf where the model cannot say."""
        n_users, n_items = histories.shape
        items = np.tile(np.arange(n_items, dtype=np.int32), n_users)
        ratings = self.predict(np.repeat(np.asarray(users, dtype=np.int32), n_items), items)
        return np.where(np.isnan(ratings), -np.inf, ratings).astype(np.float32).reshape(n_users, n_items)


def require(condition: bool, message: str) -> None:
    """Raise ValueError unless the hyper-parameters are sound; the message says what was found and what is right."""
    if not condition:
        raise ValueError(message)


def require_columns(histories: sparse.csr_matrix, n_items: int) -> None:
    """Raise ValueError unless histories have one column for each of the items the model was fitted on."""
    require(
        histories.shape[1] == n_items,
        f"histories have {histories.shape[1]} columns; the model was fitted on {n_items} items",
    )
