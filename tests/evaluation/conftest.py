"""Small splits written down as pairs, and lists written down as ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys_lab.algorithms.base import RatingPredictor
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.ranked_lists import RankedLists

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """The hand-checked cases by id."""
    return {case["id"]: case for case in GOLDEN["cases"]}


@pytest.fixture(scope="session")
def make_split() -> Callable[..., Any]:
    """make_split(train rows, test rows, items=ids, users=ids): rows are (user, item) or (user, item, rating)."""

    def make(train: Sequence[Any], test: Sequence[Any], *, items: Any = None, **parts: Any) -> Any:
        rows = [(*row, 1.0)[:3] for row in [*train, *test]]
        frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating"])
        table = None if items is None else items if isinstance(items, pd.DataFrame) else pd.DataFrame(index=list(items))
        data = Interactions.from_frame(frame, timestamp=None, items=table)
        numbers = np.arange(len(rows))
        known = data.select(numbers[: len(train)])
        card = SimpleNamespace(dataset_hash="data", fingerprint="split")
        parts = {"train": known, "validation": None, "history": known, "card": card, "candidates": None, **parts}
        return SimpleNamespace(test=data.select(numbers[len(train) :]), **parts)

    return make


@pytest.fixture(scope="session")
def make_lists() -> Callable[..., RankedLists]:
    """make_lists(split, {user: [items, best first]}): ranked lists with scores that fall by 1 a rank."""

    def make(split: Any, recommended: Mapping[Any, Sequence[Any]], k: int | None = None) -> RankedLists:
        catalogue = split.train.catalogue
        width = max([len(items) for items in recommended.values()] + [k or 1])
        codes = np.full((len(recommended), width), -1, dtype=np.int32)
        for row, items in enumerate(recommended.values()):
            codes[row, : len(items)] = catalogue.item_ids.get_indexer(pd.Index(items, dtype=catalogue.item_ids.dtype))
        scores = np.where(codes >= 0, -np.arange(width, dtype=np.float32), -np.inf).astype(np.float32)
        return RankedLists(catalogue.user_ids.get_indexer(list(recommended)).astype(np.int32), codes, scores)

    return make


class Fixed(RatingPredictor):
    """Answers with the scores it was given, (n_users, n_items)."""

    def __init__(self, scores: Any = None) -> None:
        self.scores = scores

    def fit(self, train: Interactions) -> Fixed:
        self.n_fits_ = getattr(self, "n_fits_", 0) + 1
        return self

    def score(self, users: Any, histories: Any) -> Any:
        return np.asarray(self.scores, dtype=np.float32)[users]

    def predict(self, users: Any, items: Any) -> Any:
        return np.asarray(self.scores, dtype=np.float32)[users, items]


@pytest.fixture(scope="session")
def fixed() -> type[Fixed]:
    return Fixed
