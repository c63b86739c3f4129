"""SAR against its formulas, written out with loops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.algorithms import sar
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.sar import SAR, ItemSimilarity

USERS = np.arange(60, dtype=np.int32)
FORMULAS = {
    "jaccard": lambda c, i, j: c[i, j] / (c[i, i] + c[j, j] - c[i, j]),
    "lift": lambda c, i, j: c[i, j] / (c[i, i] * c[j, j]),
    "cooccurrence": lambda c, i, j: c[i, j],
    "cosine": lambda c, i, j: c[i, j] / (c[i, i] * c[j, j]) ** 0.5,
    "inclusion": lambda c, i, j: c[i, j] / min(c[i, i], c[j, j]),
}


def plain_similarities(kind: str, min_support: int) -> np.ndarray:
    """All pairs of items, one by one."""
    stored = contract_data().matrix.toarray() > 0
    together = stored.T.astype(np.int64) @ stored
    found = np.zeros((50, 50))
    for i, j in np.ndindex(50, 50):
        if together[i, j] >= min_support:
            found[i, j] = FORMULAS[kind](together, i, j)
    return found


def plain_affinities(half_life_days: float) -> np.ndarray:
    """Sums of decayed ratings, row by row."""
    data = contract_data()
    assert data.timestamps is not None
    affinities = np.zeros((60, 50))
    last = int(data.timestamps.max())
    for user, item, rating, time in zip(data.users, data.items, data.ratings, data.timestamps, strict=True):
        affinities[user, item] += rating * 0.5 ** ((last - int(time)) / 86_400 / half_life_days)
    return affinities


@pytest.mark.parametrize("min_support", [1, 9])
@pytest.mark.parametrize("kind", FORMULAS)
def test_scores_are_affinity_times_similarity(kind: ItemSimilarity, min_support: int) -> None:
    data = contract_data()
    model = SAR(similarity=kind, half_life_days=40.0, min_support=min_support).fit(data)
    expected = plain_affinities(40.0) @ plain_similarities(kind, min_support)
    np.testing.assert_allclose(model.score(USERS, data.matrix), expected, rtol=1e-4, atol=1e-6)


def test_without_times_or_decay_the_affinity_is_the_history() -> None:
    data = contract_data()
    expected = data.matrix.toarray() @ plain_similarities("jaccard", 1)
    for model in (SAR(half_life_days=float("inf")).fit(data), SAR().fit(replace(data, timestamps=None))):
        np.testing.assert_allclose(model.score(USERS, data.matrix), expected, rtol=1e-4)


def test_what_training_has_not_seen_of_a_user_counts_as_of_now() -> None:
    data = contract_data()
    model = SAR(half_life_days=40.0).fit(data)
    similarities = plain_similarities("jaccard", 1)
    new_item = int(np.setdiff1d(np.arange(50), data.matrix[3].indices)[0])
    grown = data.matrix[3].tolil()
    grown[0, new_item] = 4.0
    affinity = plain_affinities(40.0)[3]
    affinity[new_item] = 4.0
    found = model.score(np.array([3], dtype=np.int32), grown.tocsr())
    np.testing.assert_allclose(found[0], affinity @ similarities, rtol=1e-4)
    stranger = model.score(np.array([-1], dtype=np.int32), data.matrix[3])
    np.testing.assert_allclose(stranger[0], data.matrix[3].toarray()[0] @ similarities, rtol=1e-4)


def test_histories_need_no_sorted_indices() -> None:
    data = contract_data()
    model = SAR().fit(data)
    row = data.matrix[5]
    turned = sparse.csr_matrix((row.data[::-1], row.indices[::-1], row.indptr), shape=row.shape)
    user = np.array([5], dtype=np.int32)
    np.testing.assert_allclose(model.score(user, turned), model.score(user, row), rtol=1e-5)


def test_the_best_of_each_scored_item_are_kept_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = contract_data()
    whole = plain_similarities("jaccard", 1)
    monkeypatch.setattr(sar, "BLOCK_BYTES", 16 * 50 * 7)
    np.testing.assert_allclose(SAR().fit(data).weights_.toarray(), whole, rtol=1e-5)
    kept = SAR(n_neighbors=6).fit(data).weights_.toarray()
    for item in range(50):
        best = np.sort(whole[:, item])[::-1][:6]
        np.testing.assert_allclose(np.sort(kept[:, item])[::-1][:6], best, rtol=1e-5)
        assert np.count_nonzero(kept[:, item]) == 6
        assert kept[item, item] == 1.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"similarity": "jacard"}, "did you mean 'jaccard'"),
        ({"half_life_days": 0.0}, r"half_life_days must be above 0; found 0\.0"),
        ({"min_support": 0}, "min_support must be at least 1; found 0"),
        ({"n_neighbors": -1}, "n_neighbors must be 0 .all. or more; found -1"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SAR(**wrong).fit(contract_data())
