"""A tower for users and a tower for items, which reads the item's attributes as well as its id."""

from __future__ import annotations

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
from recsys_lab.algorithms.neural.factors import Factors, as_array
from recsys_lab.algorithms.neural.sampling import batches
from recsys_lab.algorithms.neural.training import Learner, Scorer
from recsys_lab.data.interactions import Float32, Int64, Interactions

BLOCK = 4096  # items that go through the tower at a time when scoring


class Tower(nn.Module):
    """x + W₂ relu(W₁ x), of length 1."""

    def __init__(self, width: int, n_hidden: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, n_hidden), nn.Linear(n_hidden, width)

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, width) in, (n, width) out."""
        deep = self.outer(torch.relu(self.inner(vectors)))
        normed: Tensor = nn.functional.normalize(vectors + deep)
        return normed


class TwoTowerNetwork(nn.Module):
    """Vectors of ids and of attributes, and the two towers."""

    def __init__(self, rows: Interactions, n_factors: int, n_hidden: int) -> None:
        super().__init__()
        features = rows.catalogue.item_features
        self.users = nn.Embedding(rows.n_users, n_factors)
        self.items = nn.Embedding(rows.n_items, n_factors)
        self.attributes = None if features is None else nn.EmbeddingBag(features.shape[1], n_factors, mode="sum")
        self.user_tower, self.item_tower = Tower(n_factors, n_hidden), Tower(n_factors, n_hidden)
        for module in (self.users, self.items, self.attributes):
            if module is not None:
                nn.init.normal_(module.weight, std=0.1)

    def item(self, items: Tensor, known: Tensor, attributes: tuple[Tensor, ...] | None) -> Tensor:
        """Vectors of items (n,); ``known`` (n,) is 0 where the id is hidden, 1 elsewhere."""
        vectors = self.items(items) * known[:, None]
        if self.attributes is not None and attributes is not None:
            codes, starts, weights = attributes
            vectors = vectors + self.attributes(codes, starts, per_sample_weights=weights)
        tower: Tensor = self.item_tower(vectors)
        return tower


class _TwoTowerLearner(Learner):
    """Which item of the batch did this user choose? Softmax, corrected by an item's chance to be in the batch."""

    def __init__(self, model: TwoTower, rows: Interactions) -> None:
        self.model, self.rows = model, rows
        self.network: TwoTowerNetwork = TwoTowerNetwork(rows, model.n_factors, model.n_hidden)
        self.features = _unit_rows(rows.catalogue.item_features)
        self.known = (rows.item_popularity > 0).astype(np.float32)
        self.weight_decay = model.regularization
        share = np.minimum(rows.item_popularity / len(rows), 1 - 1e-6)
        in_a_batch = -np.expm1(min(model.batch_size, len(rows)) * np.log1p(-share))  # the chance to be in one
        self.correction = -np.log(np.maximum(in_a_batch, 1e-9)).astype(np.float32)  # (n_items,)

    def losses(self, rng: np.random.Generator) -> Iterator[Tensor]:
        model, network, rows = self.model, self.network, self.rows
        device = network.users.weight.device
        for part in batches(len(rows), model.batch_size, rng):
            items, place = np.unique(rows.items[part].astype(np.int64), return_inverse=True)
            shown = (rng.random(len(items)) >= model.id_dropout).astype(np.float32)
            users = network.user_tower(network.users(torch.from_numpy(rows.users[part].astype(np.int64)).to(device)))
            vectors = self._items(items, shown)
            logits = (users @ vectors.T).float() / model.temperature
            logits = logits + torch.from_numpy(self.correction[items]).to(device)
            yield nn.functional.cross_entropy(logits, torch.from_numpy(place).to(device))

    def scorer(self) -> Scorer:
        network, rows = self.network, self.rows
        active = torch.from_numpy(rows.user_activity > 0).to(network.users.weight.device)
        first = network.users.weight
        mean = first[active].mean(dim=0, keepdim=True)
        users = network.user_tower(torch.where(active[:, None], first, mean))
        blocks = [np.arange(at, min(at + BLOCK, rows.n_items)) for at in range(0, rows.n_items, BLOCK)]
        items = torch.cat([self._items(block, self.known[block]) for block in blocks])
        return Factors(as_array(users), as_array(items))

    def _items(self, items: Int64, known: Float32) -> Tensor:
        device = self.network.users.weight.device
        attributes = None
        if self.features is not None:
            rows = self.features[items]
            parts = (rows.indices.astype(np.int64), rows.indptr[:-1].astype(np.int64), rows.data)
            attributes = tuple(torch.from_numpy(part).to(device) for part in parts)
        return self.network.item(torch.from_numpy(items).to(device), torch.from_numpy(known).to(device), attributes)


def _unit_rows(features: sparse.csr_matrix | None) -> sparse.csr_matrix | None:
    """Rows of length 1, float32."""
    if features is None:
        return None
    lengths = np.sqrt(np.asarray(features.multiply(features).sum(axis=1)).ravel())
    scaled = sparse.csr_matrix(sparse.diags(1 / np.where(lengths > 0, lengths, 1)) @ features, dtype=np.float32)
    scaled.sort_indices()
    return scaled


@dataclass(kw_only=True, eq=False)
class TwoTower(NeuralAlgorithm):
    """Two towers and a softmax over the items of the batch (Yi et al., RecSys 2019), on ids and item features.

    The item tower reads the sum of a vector of the id and the vectors of the attributes; in training the id is hidden
    with probability ``id_dropout`` (DropoutNet, Volkovs et al., NIPS 2017), so that an item without training rows can
    be scored by its attributes alone. Without item features it works on ids and serves no cold items.
    """

    stored: ClassVar[Layout] = stored_with(Part(Factors, users="users", items="items"))

    serves_cold_items: ClassVar[bool] = True

    n_factors: int = 64  # length of the vectors
    n_hidden: int = 128  # width of the hidden layer of each tower
    temperature: float = 0.1  # divides the cosine of the two vectors
    id_dropout: float = 0.1  # share of a batch's items whose id is hidden
    regularization: float = 0.0  # weight decay of Adam

    def _learner(self, rows: Interactions) -> Learner:
        return _TwoTowerLearner(self, rows)

    def _check(self) -> None:
        super()._check()
        require_positive(self, ("n_factors", "n_hidden", "temperature"))
        require_share(self, ("id_dropout",))
        require(self.regularization >= 0, f"regularization must not be negative; found {self.regularization}")
