"""A variational autoencoder of whole histories."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from recsys_lab.algorithms.base import require
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.neural.base import NeuralAlgorithm, require_positive, require_share, stored_with
from recsys_lab.algorithms.neural.network import Network
from recsys_lab.algorithms.neural.sampling import batches
from recsys_lab.algorithms.neural.training import Learner, Scorer
from recsys_lab.data.interactions import Float32, Int32, Interactions


class VAENetwork(Network):
    """Encoder n_items → n_hidden → mean and log variance of n_factors; decoder n_factors → n_hidden → n_items."""

    def __init__(self, n_items: int, n_hidden: int, n_factors: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.n_factors = dropout, n_factors
        self.encoder = nn.ModuleList([nn.Linear(n_items, n_hidden), nn.Linear(n_hidden, 2 * n_factors)])
        self.decoder = nn.ModuleList([nn.Linear(n_factors, n_hidden), nn.Linear(n_hidden, n_items)])
        self.register_buffer("step", torch.zeros((), dtype=torch.float64))
        for layer in [*self.encoder, *self.decoder]:
            nn.init.xavier_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.001)

    @staticmethod
    def n_weights(n_items: int, n_hidden: int, n_factors: int, dropout: float) -> int:
        return 4 * 2 + 1

    def forward(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (b, n_items) of histories of zeros and ones (b, n_items), and the mean of their KL terms."""
        rows = nn.functional.dropout(nn.functional.normalize(chosen), self.dropout, self.training)
        mean, log_variance = self.encoder[1](torch.tanh(self.encoder[0](rows))).split(self.n_factors, dim=1)
        drawn = mean
        if self.training:
            drawn = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        logits = self.decoder[1](torch.tanh(self.decoder[0](drawn)))
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(dim=1).mean()
        return logits, divergence


@dataclass(frozen=True, eq=False)
class _VAEScorer(Scorer):
    stored: ClassVar[Layout] = {"network": Part(VAENetwork)}

    network: VAENetwork

    def __call__(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        logits: Float32 = self.network(torch.from_numpy(_dense(histories)))[0].numpy()
        return logits


class _VAELearner(Learner):
    """Multinomial log likelihood of a history, plus β times the KL divergence, β rising step by step."""

    def __init__(self, model: MultVAE, rows: Interactions) -> None:
        self.model = model
        self.network: VAENetwork = VAENetwork(rows.n_items, model.n_hidden, model.n_factors, model.dropout)
        self.histories = rows.matrix[np.flatnonzero(rows.user_activity)]
        self.weight_decay = model.regularization

    def losses(self, rng: np.random.Generator) -> Iterator[Tensor]:
        model, network = self.model, self.network
        for part in batches(self.histories.shape[0], model.batch_size, rng):
            chosen = torch.from_numpy(_dense(self.histories[part])).to(network.step.device)
            network.step += 1
            weight = model.anneal_cap * min(1.0, float(network.step) / model.n_anneal_steps)
            logits, divergence = network(chosen)
            likelihood = (nn.functional.log_softmax(logits.float(), dim=1) * chosen).sum(dim=1).mean()
            yield weight * divergence.float() - likelihood

    def scorer(self) -> Scorer:
        return _VAEScorer(copy.deepcopy(self.network).cpu().eval())


def _dense(histories: sparse.csr_matrix) -> Float32:
    """Ones where something is stored, whatever its value."""
    rows = np.zeros(histories.shape, dtype=np.float32)
    rows[np.repeat(np.arange(len(rows)), np.diff(histories.indptr)), histories.indices] = 1
    return rows


@dataclass(kw_only=True, eq=False)
class MultVAE(NeuralAlgorithm):
    """Variational autoencoder with a multinomial likelihood (Liang et al., WWW 2018, eq. 8, with annealed β).

    A history, of length 1 and with entries dropped, is encoded, sampled and decoded into one number an item. Scoring
    uses the mean code of the history given, so new users are served without a refit.
    """

    stored: ClassVar[Layout] = stored_with(Part(_VAEScorer, users="users", items="items"))

    serves_new_users: ClassVar[bool] = True

    n_epochs: int = 100  # at most, when there is a validation part
    batch_size: int = 128  # users
    patience: int = 10  # epochs without a better validation before training stops
    n_factors: int = 200  # length of the code
    n_hidden: int = 600  # width of the layer before and after the code
    dropout: float = 0.5  # share of a history that is hidden from the encoder
    anneal_cap: float = 0.2  # the largest β, the weight of the KL divergence
    n_anneal_steps: int = 500  # batches until β is at its cap
    regularization: float = 0.0  # weight decay of Adam

    def _learner(self, rows: Interactions) -> Learner:
        return _VAELearner(self, rows)

    def _check(self) -> None:
        super()._check()
        require_positive(self, ("n_factors", "n_hidden", "n_anneal_steps"))
        require_share(self, ("dropout",))
        require(self.regularization >= 0, f"regularization must not be negative; found {self.regularization}")
        require(0 <= self.anneal_cap <= 1, f"anneal_cap must lie in 0 ... 1; found {self.anneal_cap}")
