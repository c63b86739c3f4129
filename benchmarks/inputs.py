"""What both sides of a benchmark start from. Needs numpy and scipy only, for it is read in the peers' environments."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

THREADS = int(os.environ.get("BENCH_THREADS", "2"))


@dataclass(frozen=True)
class Job:
    """Timed steps in order, each measured on its own, and what they led to (not timed), for the check."""

    phases: dict[str, Callable[[], Any]]
    result: Callable[[], dict[str, Any]]


class Inputs:
    """Arrays in a folder, read when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @cached_property
    def train(self) -> sparse.csr_matrix:
        """Ratings (n_users, n_items) float32 CSR, int32 indices."""
        return sparse.load_npz(self.folder / "train.npz")

    @cached_property
    def ones(self) -> sparse.csr_matrix:
        """The same with every stored rating 1."""
        matrix = self.train
        return sparse.csr_matrix((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)

    @cached_property
    def test(self) -> sparse.csr_matrix:
        """Test ratings (n_users, n_items) CSR."""
        return sparse.load_npz(self.folder / "test.npz")

    @cached_property
    def lists(self) -> np.ndarray:
        """Recommended items (n_users, 20) int32, to be measured."""
        return np.load(self.folder / "lists.npy")

    @cached_property
    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """User and item factors (n_users, 64), (n_items, 64) float32."""
        with np.load(self.folder / "factors.npz") as stored:
            return stored["users"], stored["items"]

    @cached_property
    def fold(self) -> dict[str, np.ndarray]:
        """Rows of a rating-prediction fold: users, items, ratings; test_users, test_items."""
        with np.load(self.folder / "fold.npz") as stored:
            return dict(stored)

    @property
    def users(self) -> np.ndarray:
        """All user codes, int32."""
        return np.arange(self.train.shape[0], dtype=np.int32)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Name of the data set and the like."""
        import json

        return json.loads((self.folder / "settings.json").read_text(encoding="utf-8"))
