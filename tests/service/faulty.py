"""Own algorithms with bugs that their first users do not meet."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, Learns
from recsys_lab.data.interactions import Float32, Int32, Interactions

UNLUCKY = 5  # code of the user for whom Faulty fails; none of the spread that a trial asks for
HANG = "HANG_WHILE_THERE_IS"


@dataclass(kw_only=True, eq=False)
class Faulty(Algorithm):
    """The most popular items; an error for one user."""

    learns: ClassVar[Learns] = "popularity"

    def fit(self, train: Interactions) -> Self:
        self.item_scores_ = train.item_popularity.astype(np.float32)  # (n_items,)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        if (users == UNLUCKY).any():
            raise RuntimeError("a detail of the model's inside")
        return np.tile(self.item_scores_, (len(users), 1))


@dataclass(kw_only=True, eq=False)
class Hanging(Algorithm):
    """The most popular items; no answer as long as there is a file that the environment names."""

    learns: ClassVar[Learns] = "popularity"

    def fit(self, train: Interactions) -> Self:
        self.item_scores_ = train.item_popularity.astype(np.float32)  # (n_items,)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        while Path(os.environ.get(HANG, "")).is_file():
            time.sleep(0.1)
        return np.tile(self.item_scores_, (len(users), 1))
