"""Self-attention over a user's history in the order of time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from recsys_lab.algorithms.base import Learns, require
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.neural.base import NeuralAlgorithm, require_positive, require_share, stored_with
from recsys_lab.algorithms.neural.network import Network
from recsys_lab.algorithms.neural.sampling import batches
from recsys_lab.algorithms.neural.sequences import Sequences, last_of_each, windows
from recsys_lab.algorithms.neural.training import Learner, Scorer
from recsys_lab.data.interactions import Float32, Int32, Interactions

BLOCK = 32  # users that are read at a time when scoring


class _Block(nn.Module):
    """Causal self-attention and a two-layer network, each behind a normalisation and added to its input."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.query, self.keys, self.mixed = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
        )
        self.deep = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``x`` (b, length, width); ``mask`` (b, 1, length, length) is True where attention may look."""
        b, length, width = x.shape
        normed = self.norms[0](x)
        shape = (b, length, self.n_heads, width // self.n_heads)
        keys, values = self.keys(normed).split(width, dim=2)
        query, keys, values = (part.reshape(shape).transpose(1, 2) for part in (self.query(normed), keys, values))
        weights = (query @ keys.transpose(2, 3)) / float(np.sqrt(width // self.n_heads))
        weights = weights.masked_fill(~mask, -1e9).softmax(dim=-1)
        weights = nn.functional.dropout(weights, self.dropout, self.training)
        x = x + self.mixed((weights @ values).transpose(1, 2).reshape(b, length, width))
        added: Tensor = x + nn.functional.dropout(self.deep(self.norms[1](x)), self.dropout, self.training)
        return added


class SASRecNetwork(Network):
    """Item vectors, positions, blocks. Items are numbered from 1; 0 fills the front of a short sequence."""

    def __init__(
        self, n_items: int, n_factors: int, n_layers: int, n_heads: int, max_length: int, dropout: float
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, n_factors)
        self.positions = nn.Embedding(max_length, n_factors)
        self.bias = nn.Parameter(torch.zeros(n_items + 1))
        self.blocks = nn.ModuleList(_Block(n_factors, n_heads, dropout) for _ in range(n_layers))
        self.norm, self.dropout = nn.LayerNorm(n_factors), dropout
        for module in (self.items, self.positions):
            nn.init.normal_(module.weight, std=0.1)

    @staticmethod
    def n_weights(n_items: int, n_factors: int, n_layers: int, n_heads: int, max_length: int, dropout: float) -> int:
        return 3 + 14 * n_layers + 2

    def forward(self, sequences: Tensor) -> Tensor:
        """The state (b, length, width) after each item of ``sequences`` (b, length)."""
        length = sequences.shape[1]
        x = self.items(sequences) + self.positions.weight[-length:]
        x = nn.functional.dropout(x, self.dropout, self.training)
        there = (sequences > 0)[:, None, None, :]
        mask = torch.ones(length, length, dtype=torch.bool, device=x.device).tril() & there
        for block in self.blocks:
            x = block(x, mask)
        normed: Tensor = self.norm(x)
        return normed


@dataclass(frozen=True, eq=False)
class _SASRecScorer(Scorer):
    stored: ClassVar[Layout] = {
        "network": Part(SASRecNetwork),
        "sequences": Part(Sequences, users="users", items="items"),
        "reads_all": "flag",
    }

    network: SASRecNetwork
    sequences: Sequences
    reads_all: bool

    def __call__(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        network = self.network
        rows = last_of_each(self.sequences.order(users, histories), len(network.positions.weight))
        scores = np.empty(histories.shape, dtype=np.float32)
        for start in range(0, len(users), BLOCK):
            sequences = torch.from_numpy(rows[start : start + BLOCK])
            scores[start : start + BLOCK] = self._next(network(sequences), sequences > 0).numpy()
        return scores

    def _next(self, states: Tensor, there: Tensor) -> Tensor:
        """Scores (b, n_items) from the states (b, length, width) after each item that is ``there`` (b, length)."""
        vectors, bias = self.network.items.weight[1:], self.network.bias[1:]
        if not self.reads_all:
            return states[:, -1] @ vectors.T + bias
        weights = there.float()
        weights[:, -1] = 1  # an empty history is read as it is
        chances = torch.softmax(states @ vectors.T + bias, dim=2)  # (b, length, n_items)
        mean = torch.einsum("bl,bli->bi", weights / weights.sum(dim=1, keepdim=True), chances)
        return torch.log(mean + 1e-30)


class _SASRecLearner(Learner):
    """Which item comes next? Softmax over the next item and drawn ones, at each position of each sequence."""

    def __init__(self, model: SASRec, rows: Interactions) -> None:
        self.model = model
        self.sequences = Sequences.of(rows)
        self.windows = windows(self.sequences, model.max_length)  # (n, max_length + 1), 0 in front
        self.network: SASRecNetwork = SASRecNetwork(
            rows.n_items, model.n_factors, model.n_layers, model.n_heads, model.max_length, model.dropout
        )
        self.pool = np.flatnonzero(rows.item_popularity).astype(np.int64) + 1
        self.weight_decay = model.regularization

    def losses(self, rng: np.random.Generator) -> Iterator[Tensor]:
        network, model = self.network, self.model
        device = network.items.weight.device
        for part in batches(len(self.windows), model.batch_size, rng):
            rows = self.windows[part]
            rows = rows[:, np.argmax((rows > 0).any(axis=0)) :]  # columns where nobody has an item
            if rows.shape[1] < 2:
                continue
            places = np.arange(rows.shape[1] - 1)
            choices = np.minimum(model.n_ahead, len(places) - places)  # later items in this window
            ahead = places + 1 + (rng.random((len(rows), len(places))) * choices).astype(np.int64)
            later = np.take_along_axis(rows, ahead, axis=1)
            asked = rows[:, :-1] > 0
            if not asked.any():
                continue
            states = network(torch.from_numpy(rows[:, :-1]).to(device))[torch.from_numpy(asked).to(device)]
            wanted = torch.from_numpy(later[asked]).to(device)
            others = self.pool
            if len(others) > model.n_negatives:
                others = rng.choice(others, model.n_negatives, replace=False)
            yield self._loss(states, wanted, torch.from_numpy(others).to(device))

    def scorer(self) -> Scorer:
        network = copy.deepcopy(self.network).cpu().eval()
        return _SASRecScorer(network, self.sequences, self.model.reads_all)

    def _loss(self, states: Tensor, wanted: Tensor, others: Tensor) -> Tensor:
        """Cross entropy of the wanted item against the others, (m, width) states and (m,) items."""
        network = self.network
        right = (states * network.items(wanted)).sum(dim=1) + network.bias[wanted]
        wrong = states @ network.items(others).T + network.bias[others]
        wrong = wrong.float().masked_fill(wanted[:, None] == others[None], -1e9)
        logits = torch.cat([right.float()[:, None], wrong], dim=1)
        return nn.functional.cross_entropy(logits, torch.zeros_like(wanted))


@dataclass(kw_only=True, eq=False)
class SASRec(NeuralAlgorithm):
    """Self-attentive sequential recommendation (Kang and McAuley, ICDM 2018), trained by a softmax over drawn items.

    Learns which item comes next from the last ``max_length`` items; the softmax over ``n_negatives`` items for the
    paper's single drawn one follows Klenitskiy and Vasilev (RecSys 2023). Needs times, or rows in the order of a file.

    Scores by the state after the last item. Where test rows lie anywhere in a history (random splits), what comes after
    its end is the wrong question: ``reads_all`` scores by the mean, over all items read, of the chance to come next.

    A history says no order. Items that the user had in training are read in their order there; any others come after
    them, as the row stores them. So a new user's history is read as stored: whoever knows the order gives the row's
    indices in that order.
    """

    stored: ClassVar[Layout] = stored_with(Part(_SASRecScorer, users="users", items="items"))

    learns: ClassVar[Learns] = "order"
    serves_new_users: ClassVar[bool] = True
    holds_out_latest: ClassVar[bool] = True

    n_epochs: int = 30  # at most, when there is a validation part
    batch_size: int = 64  # sequences
    learning_rate: float = 0.002  # of Adam
    n_factors: int = 64  # width of all layers
    n_layers: int = 2  # blocks of attention
    n_heads: int = 1  # attentions side by side; divides n_factors
    max_length: int = 50  # items of a history that are read, the latest
    dropout: float = 0.2  # in the attention and between the layers
    n_ahead: int = 1  # asked for is one of the next n_ahead items, drawn anew each epoch; 1: the next, as in the paper
    reads_all: bool = False  # True: score by the log of the mean chance after each item read, not after the last only
    n_negatives: int = 512  # items drawn for a batch; all items when there are fewer
    regularization: float = 0.0  # weight decay of Adam

    def _learner(self, rows: Interactions) -> Learner:
        return _SASRecLearner(self, rows)

    def _check(self) -> None:
        super()._check()
        require_positive(self, ("n_factors", "n_layers", "n_heads", "max_length", "n_ahead", "n_negatives"))
        require_share(self, ("dropout",))
        require(self.regularization >= 0, f"regularization must not be negative; found {self.regularization}")
        require(
            self.n_factors % self.n_heads == 0,
            f"n_heads must divide n_factors; found n_heads={self.n_heads} and n_factors={self.n_factors}",
        )
