"""What each model is for: cold items, new users, order, the graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.contract_cases import checkerboard, contract_data, rows_of
from recsys_lab.algorithms.neural.light_gcn import LightGCNNetwork
from recsys_lab.algorithms.neural.neumf import PairNetwork
from recsys_lab.data.interactions import Interactions

NO_VALIDATION: dict[str, Any] = {"validation_share": 0.0, "learning_rate": 0.01}


def test_two_towers_place_a_cold_item_by_its_attributes() -> None:
    train, _ = checkerboard()  # the features say which items are even; even users love even items
    seen = train.select(train.items >= 2)  # items 0 and 1 have no rows
    model = make_algorithm("TwoTower", n_epochs=60, batch_size=64, n_factors=12, id_dropout=0.5, **NO_VALIDATION)
    scores = model.fit(seen).score(np.arange(20, dtype=np.int32), seen.matrix)
    assert (scores[::2, 0] > scores[::2, 1]).mean() >= 0.9
    assert (scores[1::2, 1] > scores[1::2, 0]).mean() >= 0.9


def test_two_towers_work_on_ids_alone() -> None:
    train = contract_data()
    bare = replace(train, catalogue=replace(train.catalogue, item_features=None, feature_names=()))
    scores = make_algorithm("TwoTower", n_epochs=2).fit(bare).score(np.zeros(1, dtype=np.int32), bare.matrix[:1])
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", ["GMF", "MultVAE", "LightGCN", "SASRec"])
def test_models_of_ids_do_not_serve_items_they_have_not_met(name: str) -> None:
    seen = contract_data().select(contract_data().items >= 3)
    scores = make_algorithm(name, n_epochs=1).fit(seen).score(np.zeros(1, dtype=np.int32), seen.matrix[:1])
    assert (scores[0, :3] == -np.inf).all()
    assert np.isfinite(scores[0, 3:]).all()


def test_the_autoencoder_serves_a_new_user_as_a_known_one_with_that_history() -> None:
    train = contract_data()
    model = make_algorithm("MultVAE", n_epochs=2).fit(train)
    known, new = (model.score(np.array([user], dtype=np.int32), train.matrix[7]) for user in (7, -1))
    np.testing.assert_array_equal(known, new)


def _walks(n_users: int, length: int, n_items: int) -> Interactions:
    """Users who walk round a circle of items."""
    rows = [(user, (user * 3 + step) % n_items, 1.0) for user in range(n_users) for step in range(length)]
    return rows_of(rows, n_users, n_items)


def test_attention_finds_what_comes_next() -> None:
    train = _walks(40, 8, 30)
    model = make_algorithm("SASRec", n_epochs=40, batch_size=10, n_factors=32, dropout=0.0, **NO_VALIDATION).fit(train)
    lists = model.recommend(np.arange(40, dtype=np.int32), train.matrix, 1)
    assert (lists.items[:, 0] == (np.arange(40) * 3 + 8) % 30).mean() >= 0.8  # chance: 1 in 22
    # a new user's history is read as the row stores it
    row = sparse.csr_matrix((np.ones(3, dtype=np.float32), np.array([20, 21, 22]), np.array([0, 3])), shape=(1, 30))
    assert model.recommend(np.array([-1], dtype=np.int32), row, 1).items[0, 0] == 23


def test_smoothing_is_the_mean_of_the_powers_of_the_normalised_graph() -> None:
    rows = contract_data()
    with torch.no_grad():
        network = LightGCNNetwork(rows, 4, 2)
        found = network().numpy()
    ones = (rows.matrix.toarray() != 0).astype(np.float64)
    whole = np.block([[np.zeros((60, 60)), ones], [ones.T, np.zeros((50, 50))]])
    scale = 1 / np.sqrt(np.maximum(whole.sum(axis=0), 1))
    graph = whole * scale[:, None] * scale[None]
    first = network.vectors.detach().numpy().astype(np.float64)
    np.testing.assert_allclose(found, (first + graph @ first + graph @ graph @ first) / 3, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_smoothing_is_that_of_a_dense_product() -> None:
    network = LightGCNNetwork(contract_data(), 3, 2)
    weights = torch.arange(330, dtype=torch.float32).reshape(110, 3) / 330
    (network() * weights).sum().backward()
    dense = network.graph.to_dense()
    copy = network.vectors.detach().clone().requires_grad_()
    (((copy + dense @ copy + dense @ (dense @ copy)) / 3) * weights).sum().backward()
    torch.testing.assert_close(network.vectors.grad, copy.grad)


@pytest.mark.parametrize("name", ["GMF", "MLP", "NeuMF"])
def test_all_items_at_once_score_as_pairs_do(name: str) -> None:
    train = contract_data()
    model = make_algorithm(name, n_epochs=2, n_factors=8, validation_share=0.0)
    learner = model._learner(train)
    network: PairNetwork = learner.network
    with torch.no_grad():
        pairs = network(torch.full((50,), 9), torch.arange(50)).numpy()
        whole = learner.scorer()(np.array([9], dtype=np.int32), train.matrix[9])
    # a constant that orders nothing may be left out
    np.testing.assert_allclose(whole[0] - whole.mean(), pairs - pairs.mean(), rtol=1e-3, atol=1e-6)
