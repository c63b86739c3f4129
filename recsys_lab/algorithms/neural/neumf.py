"""Neural matrix factorization and its two parts, from pairs of a user and an item."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from recsys_lab.algorithms.base import require
from recsys_lab.algorithms.layout import Layout, Maybe, Part
from recsys_lab.algorithms.neural.base import (
    NeuralAlgorithm,
    require_layers,
    require_positive,
    require_share,
    stored_with,
)
from recsys_lab.algorithms.neural.factors import Factors, as_array, with_mean_for_unknown
from recsys_lab.algorithms.neural.network import Network
from recsys_lab.algorithms.neural.sampling import NegativeSampler, batches
from recsys_lab.algorithms.neural.training import Learner, Scorer
from recsys_lab.data.interactions import Float32, Int32, Interactions

BLOCK = 2_000_000  # numbers of the first hidden layer that are scored at a time
INITIAL_SCALE = 0.05  # standard deviation of the first vectors


class Tail(Network):
    """What comes after the products of the factors and the first hidden layer."""

    def __init__(self, n_products: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.output = nn.Linear(n_products + (widths[-1] if widths else 0), 1)

    @staticmethod
    def n_weights(n_products: int, widths: tuple[int, ...]) -> int:
        return 2 * max(len(widths), 1)

    def forward(self, products: Tensor | None, hidden: Tensor | None) -> Tensor:
        """Logits (...) of products (..., n_products) and the sum that enters the first layer, (..., width)."""
        parts = [] if products is None else [products]
        if hidden is not None:
            hidden = torch.relu(hidden)
            for layer in self.hidden:
                hidden = torch.relu(layer(hidden))
            parts.append(hidden)
        logits: Tensor = self.output(torch.cat(parts, dim=-1)).squeeze(-1)
        return logits


class PairNetwork(nn.Module):
    """h · [p_u ∘ q_i ; MLP(p'_u, q'_i)]; either part may be missing.

    The first hidden layer is kept as one matrix for users and one for items: the layer over the concatenated vectors,
    written so that scoring all items needs it once a user and once an item.
    """

    def __init__(self, n_users: int, n_items: int, n_products: int, n_inputs: int, layers: tuple[int, ...]) -> None:
        super().__init__()
        sizes = (n_users, n_items)
        self.products = nn.ModuleList(nn.Embedding(n, n_products) for n in sizes) if n_products else None
        self.inputs = nn.ModuleList(nn.Embedding(n, n_inputs) for n in sizes) if n_inputs else None
        widths = tuple(layers) if n_inputs else ()
        if n_inputs:
            self.first = nn.ModuleList([nn.Linear(n_inputs, widths[0]), nn.Linear(n_inputs, widths[0], bias=False)])
        self.tail = Tail(n_products, widths)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=INITIAL_SCALE)

    def forward(self, users: Tensor, items: Tensor, dropout: float = 0.0) -> Tensor:
        """Logits (n,) of the pairs (users[i], items[i])."""
        products, hidden = None, None
        if self.products is not None:
            products = self.products[0](users) * self.products[1](items)
        if self.inputs is not None:
            parts = [nn.functional.dropout(part(code), dropout) for part, code in zip(self.inputs, (users, items))]
            hidden = self.first[0](parts[0]) + self.first[1](parts[1])
        logits: Tensor = self.tail(products, hidden)
        return logits


@dataclass(frozen=True, eq=False)
class _PairScorer(Scorer):
    """Every item for some users, block by block; the first hidden layer is applied already."""

    stored: ClassVar[Layout] = {
        "tail": Part(Tail),
        "products": Maybe(("float32 users f", "float32 items f")),
        "hidden": Maybe(("float32 users w", "float32 items w")),
    }

    tail: Tail
    products: tuple[Float32, Float32] | None  # (n_users, f), (n_items, f)
    hidden: tuple[Float32, Float32] | None  # (n_users, w), (n_items, w)

    def __call__(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        n_items = histories.shape[1]
        if self.hidden is None:  # a matrix factorization
            assert self.products is not None
            weights = self.tail.output.weight.detach().numpy()[0]
            return Factors(self.products[0] * weights, self.products[1])(users, histories)
        scores = np.empty((len(users), n_items), dtype=np.float32)
        step = max(1, BLOCK // (n_items * self.hidden[0].shape[1]))
        for start in range(0, len(users), step):
            some = users[start : start + step]
            hidden = _of(self.hidden[0][some])[:, None] + _of(self.hidden[1])[None]
            products = None
            if self.products is not None:
                products = _of(self.products[0][some])[:, None] * _of(self.products[1])[None]
            scores[start : start + step] = self.tail(products, hidden).numpy()
        return scores


class _PairLearner(Learner):
    """Each training row, and n_negatives drawn items for each, told apart by the log loss."""

    def __init__(
        self, model: GMF | MLP | NeuMF, rows: Interactions, network: PairNetwork, dropout: float = 0.0
    ) -> None:
        self.model, self.rows, self.dropout = model, rows, dropout
        self.network: PairNetwork = network
        self.sampler = NegativeSampler(rows)
        self.weight_decay = model.regularization

    def losses(self, rng: np.random.Generator) -> Iterator[Tensor]:
        n, times = len(self.rows), self.model.n_negatives + 1
        users = np.tile(self.rows.users, times).astype(np.int64)
        drawn = self.sampler.draw(users[n:].astype(np.int32), rng)
        items = np.concatenate([self.rows.items, drawn]).astype(np.int64)
        device = self.network.tail.output.weight.device
        for part in batches(len(users), self.model.batch_size * times, rng):
            pairs = [torch.from_numpy(codes[part]).to(device) for codes in (users, items)]
            chosen = torch.from_numpy((part < n).astype(np.float32)).to(device)
            logits = self.network(*pairs, self.dropout)
            yield nn.functional.binary_cross_entropy_with_logits(logits.float(), chosen)

    def scorer(self) -> Scorer:
        network, hidden, products = self.network, None, None
        if network.products is not None:
            users, items = (as_array(part.weight) for part in network.products)
            products = (with_mean_for_unknown(users, self.rows), items)
        if network.inputs is not None:
            sides = [as_array(layer(part.weight)) for part, layer in zip(network.inputs, network.first)]
            hidden = (with_mean_for_unknown(sides[0], self.rows), sides[1])
        return _PairScorer(copy.deepcopy(network.tail).cpu(), products, hidden)


def _of(array: Float32) -> Tensor:
    tensor: Tensor = torch.from_numpy(array)
    return tensor


def _check_pairs(model: GMF | MLP | NeuMF) -> None:
    require_positive(model, ("n_factors", "n_negatives"))
    require(model.regularization >= 0, f"regularization must not be negative; found {model.regularization}")


def _check_perceptron(model: MLP | NeuMF) -> None:
    require_layers(tuple(model.layers))
    require_share(model, ("dropout",))


@dataclass(kw_only=True, eq=False)
class GMF(NeuralAlgorithm):
    """Generalised matrix factorization (He et al., WWW 2017, eq. 9): logit = h · (p_u ∘ q_i), by the log loss.

    Each training row stands against ``n_negatives`` items the user did not choose, drawn anew each epoch.
    """

    stored: ClassVar[Layout] = stored_with(Part(_PairScorer, users="users", items="items"))

    learning_rate: float = 0.003  # of Adam
    n_factors: int = 32  # length of the vectors of users and items
    n_negatives: int = 4  # drawn items for each training row
    regularization: float = 1e-5  # weight decay of Adam

    def _learner(self, rows: Interactions) -> Learner:
        return _PairLearner(self, rows, PairNetwork(rows.n_users, rows.n_items, self.n_factors, 0, ()))

    def _check(self) -> None:
        super()._check()
        _check_pairs(self)


@dataclass(kw_only=True, eq=False)
class MLP(NeuralAlgorithm):
    """A perceptron over the user's and the item's vector (He et al., WWW 2017, eq. 10), by the log loss."""

    stored: ClassVar[Layout] = stored_with(Part(_PairScorer, users="users", items="items"))

    learning_rate: float = 0.003  # of Adam
    patience: int = 10  # epochs without a better validation before training stops
    n_factors: int = 32  # length of the vectors of users and items
    layers: tuple[int, ...] = (64, 32, 16)  # widths of the hidden layers
    dropout: float = 0.0  # share of the vectors' entries that are hidden in training
    n_negatives: int = 4  # drawn items for each training row
    regularization: float = 1e-5  # weight decay of Adam

    def _learner(self, rows: Interactions) -> Learner:
        network = PairNetwork(rows.n_users, rows.n_items, 0, self.n_factors, tuple(self.layers))
        return _PairLearner(self, rows, network, self.dropout)

    def _check(self) -> None:
        super()._check()
        _check_pairs(self)
        _check_perceptron(self)


@dataclass(kw_only=True, eq=False)
class NeuMF(NeuralAlgorithm):
    """Neural matrix factorization (He et al., WWW 2017, eq. 12): GMF and MLP side by side, trained together.

    The two parts have vectors of their own and meet in the last layer. The paper's pre-training is left out.
    """

    stored: ClassVar[Layout] = stored_with(Part(_PairScorer, users="users", items="items"))

    n_factors: int = 32  # length of the vectors of users and items, of each part
    layers: tuple[int, ...] = (64, 32, 16)  # widths of the hidden layers
    dropout: float = 0.0  # share of the perceptron's input that is hidden in training
    n_negatives: int = 4  # drawn items for each training row
    regularization: float = 1e-5  # weight decay of Adam

    def _learner(self, rows: Interactions) -> Learner:
        network = PairNetwork(rows.n_users, rows.n_items, self.n_factors, self.n_factors, tuple(self.layers))
        return _PairLearner(self, rows, network, self.dropout)

    def _check(self) -> None:
        super()._check()
        _check_pairs(self)
        _check_perceptron(self)
