"""PureSVD against the exact decomposition, FunkSVD, and the values that factor models must reach on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.bpr import BPR
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.factorization import FunkSVD, PureSVD
from recsys_lab.algorithms.ials import IALS
from recsys_lab.algorithms.surprise_factors import SVD
from recsys_lab.data.datasets import load_dataset
from recsys_lab.evaluation import evaluate
from recsys_lab.splits import Split, split

USERS = np.arange(60, dtype=np.int32)


def test_scores_are_the_history_projected_on_the_exact_factors() -> None:
    data = contract_data()
    x = data.matrix.toarray().astype(np.float64)
    _, strengths, factors = np.linalg.svd(x, full_matrices=False)
    model = PureSVD(n_factors=4, n_iterations=30).fit(data)
    np.testing.assert_allclose(model.singular_values_, strengths[:4], rtol=1e-4)
    np.testing.assert_allclose(model.score(USERS, data.matrix), x @ factors[:4].T @ factors[:4], atol=2e-2)


def test_signs_do_not_depend_on_the_seed() -> None:
    first, second = (PureSVD(n_factors=3, n_iterations=30, random_state=seed).fit(contract_data()) for seed in (0, 1))
    np.testing.assert_allclose(first.item_factors_, second.item_factors_, atol=1e-2)
    assert (first.item_factors_[np.abs(first.item_factors_).argmax(axis=0), range(3)] > 0).all()


def test_more_factors_than_there_are_is_no_error() -> None:
    model = PureSVD(n_factors=500).fit(contract_data())
    assert model.item_factors_.shape == (50, 50)


def test_wrong_values_are_named() -> None:
    with pytest.raises(ValueError, match="n_factors must be at least 1; found 0"):
        PureSVD(n_factors=0).fit(contract_data())
    with pytest.raises(ValueError, match="n_iterations must be 0 or more; found -1"):
        PureSVD(n_iterations=-1).fit(contract_data())


def ndcg(algorithm: Algorithm, split: Split) -> float:
    return evaluate(algorithm, split, cutoffs=(10,), metrics=["ndcg@10"]).summary["ndcg@10"]


@pytest.fixture(scope="module")
def stratified_films(real_data: Path) -> Split:
    return split(load_dataset("ml-100k"), "stratified_item", test=0.25, seed=42)


@pytest.mark.data
@pytest.mark.parametrize(
    ("algorithm", "least"),
    [
        (BPR(n_factors=128, n_epochs=240, learning_rate=0.01, regularization=0.008), 0.434),
        (IALS(n_factors=200, unobserved_weight=0.2, regularization=0.02), 0.4687),
    ],
)
def test_models_reach_published_values_on_movielens_100k(
    algorithm: Algorithm, least: float, stratified_films: Split
) -> None:
    assert ndcg(algorithm, stratified_films) >= least


@pytest.mark.data
@pytest.mark.slow
def test_als_and_bpr_are_as_good_as_implicits_at_equal_settings(real_data: Path) -> None:
    reference = pytest.importorskip("recsys_lab.algorithms.implicit_models", reason="needs the extra implicit")
    ten_held_out = split(load_dataset("ml-1m-untimed"), "random_user", test=10, seed=42)
    weight = 1 / (5.0 - 1)  # the same loss as a confidence of 5; see the docstring of IALS
    own = IALS(
        n_epochs=15,
        unobserved_weight=weight,
        regularization=10 * weight / (1 + weight),
        regularization_exponent=0.0,
    )
    other = reference.ImplicitALS(alpha=5.0, regularization=10.0)
    assert ndcg(own, ten_held_out) >= 0.98 * ndcg(other, ten_held_out)
    settings: dict[str, Any] = {"n_factors": 64, "learning_rate": 0.05, "regularization": 0.01, "n_epochs": 30}
    pairs = BPR(**settings, negatives="popularity"), reference.ImplicitBPR(**settings)
    assert ndcg(pairs[0], ten_held_out) >= 0.98 * ndcg(pairs[1], ten_held_out)


def test_funk_svd_is_svd_without_biases() -> None:
    train = contract_data()
    found = FunkSVD(n_factors=5).fit(train).predict(train.users, train.items)
    np.testing.assert_array_equal(found, SVD(n_factors=5, biased=False).fit(train).predict(train.users, train.items))
    assert np.abs(found - SVD(n_factors=5).fit(train).predict(train.users, train.items)).max() > 0.1
