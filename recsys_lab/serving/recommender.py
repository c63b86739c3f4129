"""Answers from a bundle, by external ids: lists, folded-in lists, similar items, reasons. No HTTP, no MLflow.

Every list comes from ``Algorithm.recommend``, so it is the list that the offline evaluation measured.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.top_k import top_k
from recsys_lab.data.interactions import Float32, Int32
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.serving.bundle import Bundle
from recsys_lab.serving.reasons import because, similar_scores

Source: TypeAlias = Literal["model", "fold_in", "popularity"]
NEW_USER = np.array([-1], dtype=np.int32)


@dataclass(slots=True)  # not frozen: that makes ten of them four times slower to build
class Listed:
    """One recommended item. ``because``: ids of items the user has that speak for it, the strongest first."""

    item_id: Any
    title: str
    genres: list[str]
    score: float
    rank: int
    because: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """A list and where it comes from. ``exhausted``: fewer items than asked for were left."""

    source: Source
    items: list[Listed]
    exhausted: bool = False
    ignored_items: list[Any] = field(default_factory=list)  # given ids that the catalogue does not know


class Recommender:
    """Lists for users and items of one bundle. Ids are compared as text, so 7 and "7" are one user."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._nothing = sparse.csr_matrix((1, bundle.n_items), dtype=np.float32)
        self.user_codes = {str(user): code for code, user in enumerate(bundle.user_ids)}
        self.item_codes = {str(item): code for code, item in enumerate(bundle.item_ids)}

    def recommend(
        self,
        user_id: Any,
        k: int,
        *,
        exclude: Collection[Any] = (),
        genre: str | None = None,
        exclude_seen: bool = True,
        explain: bool = False,
    ) -> Answer | None:
        """The k best items for a known user; popular ones where the model cannot serve the user; None if unknown."""
        code = self.user_codes.get(str(user_id))
        if code is None:
            return None
        history = self.history(code)
        lists = self.bundle.algorithm.recommend(
            np.array([code], dtype=np.int32),
            history,
            k,
            self._candidates(exclude, genre),
            exclude_seen=exclude_seen,
            tie_seed=self.bundle.tie_seed,
        )
        if lists.items[0, 0] < 0:  # nothing to say about this user, or nothing left
            return self.popular(k, exclude=exclude, genre=genre, history=history if exclude_seen else None)
        return self._answer("model", lists, history if explain else None)

    def fold_in(
        self,
        ratings: Mapping[Any, float | None],
        k: int,
        *,
        exclude: Collection[Any] = (),
        genre: str | None = None,
        exclude_seen: bool = True,
        explain: bool = False,
        user_id: Any = None,
    ) -> Answer:
        """The k best items for somebody who has these items (id -> rating); popular ones where that cannot be said.

        A rating of None stands for a usual one. A known ``user_id`` has the items of training too; where the model
        cannot fold in, such a user gets their own list without the given items.
        """
        known = {
            self.item_codes[str(item)]: self._usual_rating if value is None else value
            for item, value in ratings.items()
            if str(item) in self.item_codes
        }
        ignored = [item for item in ratings if str(item) not in self.item_codes]
        code = self.user_codes.get(str(user_id)) if user_id is not None else None
        if not self.bundle.algorithm.serves_new_users and code is not None:
            answer = self.recommend(user_id, k, exclude=[*exclude, *ratings], genre=genre, explain=explain)
            return replace(answer, ignored_items=ignored) if answer else self.popular(k, ignored=ignored)
        if code is not None:
            row = self.history(code)
            known = {**dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)), **known}
        history = self._row(known)
        if not known or not self.bundle.algorithm.serves_new_users:
            return self.popular(k, exclude=exclude, genre=genre, history=history, ignored=ignored)
        lists = self.bundle.algorithm.recommend(
            NEW_USER,
            history,
            k,
            self._candidates(exclude, genre),
            exclude_seen=exclude_seen,
            tie_seed=self.bundle.tie_seed,
        )
        return self._answer("fold_in", lists, history if explain else None, ignored)

    def popular(
        self,
        k: int,
        *,
        exclude: Collection[Any] = (),
        genre: str | None = None,
        history: sparse.csr_matrix | None = None,
        ignored: Iterable[Any] = (),
    ) -> Answer:
        """The k most popular items that are not in ``history`` (1, n_items)."""
        scores = self.bundle.popularity.astype(np.float32)[None]
        lists = top_k(
            scores,
            k,
            users=NEW_USER,
            exclude=history,
            candidates=self._candidates(exclude, genre),
            tie_seed=self.bundle.tie_seed,
        )
        return self._answer("popularity", lists, None, ignored)

    def title_of(self, item_id: Any) -> str:
        """The title of an item; the id of one that the model does not know."""
        code = self.item_codes.get(str(item_id))
        return str(item_id) if code is None else self.bundle.titles[code]

    def new_to(self, user_id: Any, items: Iterable[Any]) -> list[Any]:
        """Those of ``items`` that the model knows, and does not know that the user has."""
        code = self.user_codes.get(str(user_id))
        held = set() if code is None else set(self.history(code).indices.tolist())
        return [item for item in items if self.item_codes.get(str(item), -1) not in held | {-1}]

    def history(self, code: int) -> sparse.csr_matrix:
        """What a user has, (1, n_items): a view of the row, without SciPy's slower indexing and checks."""
        whole = self.bundle.histories
        first, last = whole.indptr[code], whole.indptr[code + 1]
        row = copy(self._nothing)
        row.data, row.indices = whole.data[first:last], whole.indices[first:last]
        row.indptr = np.array([0, last - first], dtype=np.int32)
        return row

    @cached_property
    def _usual_rating(self) -> float:
        data = self.bundle.histories.data
        return float(np.median(data)) if len(data) else 1.0

    def similar(self, item_id: Any, k: int) -> Answer | None:
        """The k items most like an item; None for an unknown one. What "like" means: ``reasons.similar_scores``."""
        code = self.item_codes.get(str(item_id))
        if code is None:
            return None
        scores = similar_scores(self.bundle, np.array([code], dtype=np.int32))
        lists = top_k(
            scores,
            k,
            users=NEW_USER,
            exclude=self._row({code: 1.0}),
            candidates=self.bundle.candidates,
            tie_seed=self.bundle.tie_seed,
        )
        return self._answer("model", lists, None)

    @cached_property
    def popular_first(self) -> list[int]:
        """All items, the most popular first."""
        order: list[int] = np.argsort(-self.bundle.popularity, kind="stable").tolist()
        return order

    @cached_property
    def searched(self) -> list[str]:
        """What searches look at, by item code: title and id in lower case."""
        pairs = zip(self.bundle.titles, self.bundle.item_ids, strict=True)
        return [f"{title}\n{item}".casefold() for title, item in pairs]

    @cached_property
    def genres(self) -> list[str]:
        """Names of the genres, sorted."""
        return sorted({name for names in self.bundle.genres for name in names})

    @cached_property
    def _by_genre(self) -> dict[str, Int32]:
        """Candidates of each genre, its name in lower case."""
        allowed = set(self.bundle.candidates.tolist())
        found: dict[str, list[int]] = {}
        for code, names in enumerate(self.bundle.genres):
            for name in names if code in allowed else ():
                found.setdefault(name.lower(), []).append(code)
        return {name: np.array(codes, dtype=np.int32) for name, codes in found.items()}

    def _candidates(self, exclude: Collection[Any], genre: str | None) -> Int32:
        codes = self.bundle.candidates
        if genre is not None:
            codes = self._by_genre.get(genre.lower(), np.zeros(0, dtype=np.int32))
        out = [self.item_codes[str(item)] for item in exclude if str(item) in self.item_codes]
        return np.setdiff1d(codes, np.array(out, dtype=np.int32)) if out else codes

    def _row(self, values: Mapping[int, float]) -> sparse.csr_matrix:
        codes = np.array(sorted(values), dtype=np.int32)
        data = np.array([values[code] for code in codes.tolist()], dtype=np.float32)
        return sparse.csr_matrix((data, codes, np.array([0, len(codes)])), shape=(1, self.bundle.n_items))

    def _answer(
        self, source: Source, lists: RankedLists, history: sparse.csr_matrix | None, ignored: Iterable[Any] = ()
    ) -> Answer:
        codes = lists.items[0][lists.items[0] >= 0]
        scores: Float32 = lists.scores[0][: len(codes)]
        reasons = because(self.bundle, history, codes) if history is not None and len(codes) else [[] for _ in codes]
        items = [
            Listed(
                self.bundle.item_ids[code],
                self.bundle.titles[code],
                self.bundle.genres[code],
                score,
                rank,
                [self.bundle.item_ids[other] for other in reason],
            )
            for rank, (code, score, reason) in enumerate(zip(codes.tolist(), scores.tolist(), reasons, strict=True), 1)
        ]
        return Answer(source, items, len(items) < lists.k, list(ignored))


def prepare(served: Recommender) -> None:
    """Make what the first requests would wait for."""
    _ = (served._usual_rating, served._by_genre, served.genres, served.popular_first, served.searched)
