"""Scores as products of a user's and an item's vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recsys_lab.algorithms.layout import Layout
from recsys_lab.algorithms.neural.training import Scorer
from recsys_lab.data.interactions import Float32, Int32, Interactions


@dataclass(frozen=True, eq=False)
class Factors(Scorer):
    """users (n_users, f) and items (n_items, f), float32."""

    stored: ClassVar[Layout] = {"users": "float32 users f", "items": "float32 items f"}

    users: Float32
    items: Float32

    def __call__(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        product = torch.from_numpy(self.users[users]) @ torch.from_numpy(self.items).T  # one thread: see repeatable()
        scores: Float32 = product.numpy()
        return scores


def as_array(tensor: Tensor) -> Float32:
    """A float32 copy in memory of the CPU."""
    array: Float32 = tensor.detach().float().cpu().numpy().copy()
    return array


def with_mean_for_unknown(vectors: Float32, rows: Interactions) -> Float32:
    """User vectors where a user without training rows has the mean of the others."""
    known = rows.user_activity > 0
    return np.where(known[:, None], vectors, vectors[known].mean(axis=0, keepdims=True)).astype(np.float32)
