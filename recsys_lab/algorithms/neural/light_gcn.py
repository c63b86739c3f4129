"""Vectors of users and items smoothed over the graph of who chose what."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from recsys_lab.algorithms.base import require
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.neural.base import NeuralAlgorithm, require_positive, stored_with
from recsys_lab.algorithms.neural.factors import Factors, as_array, with_mean_for_unknown
from recsys_lab.algorithms.neural.sampling import NegativeSampler, batches
from recsys_lab.algorithms.neural.training import Learner, Scorer
from recsys_lab.data.interactions import Interactions


class _Smooth(torch.autograd.Function):
    """Product with a symmetric sparse matrix, whose backward pass is the same product."""

    @staticmethod
    def forward(context: Any, graph: Tensor, vectors: Tensor) -> Tensor:
        context.graph = graph
        product: Tensor = graph @ vectors
        return product

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, context.graph @ gradient


class LightGCNNetwork(nn.Module):
    """Vectors (n_users + n_items, n_factors) and the mean of their smoothings."""

    def __init__(self, rows: Interactions, n_factors: int, n_layers: int) -> None:
        super().__init__()
        self.n_users, self.n_layers = rows.n_users, n_layers
        self.vectors = nn.Parameter(torch.randn(rows.n_users + rows.n_items, n_factors) * 0.1)
        self.graph = _graph(rows)  # no buffer: it belongs to the data, not to a checkpoint

    def forward(self) -> Tensor:
        """(n_users + n_items, n_factors): (E + ÂE + Â²E + ...) / (n_layers + 1)."""
        if self.graph.device != self.vectors.device:
            self.graph = self.graph.to(self.vectors.device)
        total = layer = self.vectors
        with torch.autocast(self.vectors.device.type, enabled=False):
            for _ in range(self.n_layers):
                layer = _Smooth.apply(self.graph, layer)
                total = total + layer
        mean: Tensor = total / (self.n_layers + 1)
        return mean


def _graph(rows: Interactions) -> Tensor:
    """Â = D^-½ A D^-½ of the bipartite graph, CSR float32 (n_users + n_items, n_users + n_items)."""
    matrix = rows.matrix
    ones = sparse.csr_matrix((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
    whole = sparse.bmat([[None, ones], [ones.T, None]], format="csr")
    degrees = np.asarray(whole.sum(axis=1)).ravel()
    scale = sparse.diags(1 / np.sqrt(np.maximum(degrees, 1)))
    graph = sparse.csr_matrix(scale @ whole @ scale)
    graph.sort_indices()
    codes = [torch.from_numpy(part.astype(np.int64)) for part in (graph.indptr, graph.indices)]
    with warnings.catch_warnings():  # "Sparse CSR tensor support is in beta state"
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(*codes, torch.from_numpy(graph.data.astype(np.float32)), size=graph.shape)


class _GCNLearner(Learner):
    """ln σ(x_ui − x_uj) of each training row and one drawn item (BPR), with the squares of the first vectors."""

    def __init__(self, model: LightGCN, rows: Interactions) -> None:
        self.model, self.rows = model, rows
        self.network: LightGCNNetwork = LightGCNNetwork(rows, model.n_factors, model.n_layers)
        self.sampler = NegativeSampler(rows)

    def losses(self, rng: np.random.Generator) -> Iterator[Tensor]:
        network, rows = self.network, self.rows
        drawn = self.sampler.draw(rows.users, rng)
        device = network.vectors.device
        for part in batches(len(rows), self.model.batch_size, rng):
            codes = (rows.users[part], rows.items[part] + rows.n_users, drawn[part] + rows.n_users)
            places = [torch.from_numpy(code.astype(np.int64)).to(device) for code in codes]
            smoothed = network()
            user, chosen, other = (smoothed[place] for place in places)
            ranking = nn.functional.softplus((user * (other - chosen)).sum(dim=1)).mean()
            squares = sum((network.vectors[place] ** 2).sum() for place in places) / (2 * len(part))
            yield ranking + self.model.regularization * squares

    def scorer(self) -> Scorer:
        smoothed = as_array(self.network())
        users, items = smoothed[: self.rows.n_users], smoothed[self.rows.n_users :]
        return Factors(with_mean_for_unknown(users, self.rows), np.ascontiguousarray(items))


@dataclass(kw_only=True, eq=False)
class LightGCN(NeuralAlgorithm):
    """Light graph convolution (He et al., SIGIR 2020, eq. 3 to 8), trained by BPR (eq. 15).

    Each layer replaces a vector by the sum of its neighbours' vectors, divided by the square roots of both degrees;
    the score is the product of the means over all layers, the first vectors included.
    """

    stored: ClassVar[Layout] = stored_with(Part(Factors, users="users", items="items"))

    n_epochs: int = 100  # at most, when there is a validation part
    batch_size: int = 8192  # training rows; each batch smooths the whole graph once
    learning_rate: float = 0.01  # of Adam
    patience: int = 10  # epochs without a better validation before training stops
    n_factors: int = 64  # length of the vectors
    n_layers: int = 3  # smoothings
    regularization: float = 1e-3  # of the squares of the vectors in a batch

    def _learner(self, rows: Interactions) -> Learner:
        return _GCNLearner(self, rows)

    def _check(self) -> None:
        super()._check()
        require_positive(self, ("n_factors", "n_layers"))
        require(self.regularization >= 0, f"regularization must not be negative; found {self.regularization}")
