"""The evaluation with the package's own data, splits and models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab.algorithms.baselines import Popularity
from recsys_lab.data.datasets import load_dataset
from recsys_lab.evaluation import evaluate
from recsys_lab.splits import fixed_split, split


@pytest.fixture(scope="module")
def data() -> Any:
    return load_dataset("synthetic-small")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("strategy", ["temporal_global", "temporal_user", "leave_last_one_out", "random"])
def test_every_kind_of_split_can_be_measured(data: Any, strategy: str) -> None:
    parts = split(data, strategy, seed=1)
    result = evaluate(Popularity(), parts, cutoffs=[5, 10])
    assert result.summary["n_users"] == len(np.unique(parts.test.users))
    assert 0 < result.summary["recall@10"] < 1
    assert result.summary["calibration_kl@10"] > 0  # the data come with genres
    assert result.summary["intra_list_diversity@10"] > 0
    assert (result.dataset_hash, result.split_hash) == (parts.card.dataset_hash, parts.card.fingerprint)
    if strategy == "leave_last_one_out":
        assert result.summary["map@10"] == pytest.approx(result.summary["mrr@10"])
        assert result.summary["recall@10"] == pytest.approx(result.summary["hit_rate@10"])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_masked_is_train_and_validation(data: Any) -> None:
    parts = split(data, "temporal_user", validation=0.2, seed=1)
    result = evaluate(Popularity(), parts, cutoffs=[10])
    listed = np.zeros((data.n_users, data.n_items), dtype=bool)
    listed[np.repeat(result.lists.users, 10), result.lists.items.ravel()] = True
    for part in (parts.train, parts.validation):
        assert not listed[part.users, part.items].any()


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_popularity_on_a_published_split(real_data: Path) -> None:
    """Recall .0382 and .2286, map_capped .0065 and .0127; two items of equal popularity may change places: ± .0005."""
    folder = real_data / "ml-1m-spectralcf"
    parts = fixed_split(folder / "train_users.dat", folder / "test_users.dat", format="lists")
    summary = evaluate(Popularity(), parts, cutoffs=[20, 100], metrics=["recall", "map_capped"]).summary
    expected = {"recall@20": 0.0382, "map_capped@20": 0.0065, "recall@100": 0.2286, "map_capped@100": 0.0127}
    assert {name: summary[name] for name in expected} == pytest.approx(expected, abs=0.0005)
