"""Published results of our algorithms, with metrics written out here: independent of splits, metrics and evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.baselines import Popularity
from recsys_lab.algorithms.linear import EASE
from recsys_lab.algorithms.neighborhood import ItemKNN
from recsys_lab.data.interactions import Interactions

pytestmark = pytest.mark.data


def _pairs_of_lists(path: Path) -> pd.DataFrame:
    """Lines "user item item ..." as pairs."""
    rows = []
    for line in path.read_text().splitlines():
        user, *items = map(int, line.split())
        rows += [(user, item) for item in items]
    return pd.DataFrame(rows, columns=["user_id", "item_id"]).drop_duplicates()


def _implicit(frame: pd.DataFrame, n_items: int) -> Interactions:
    items = pd.DataFrame(index=pd.RangeIndex(n_items, name="item_id"))
    return Interactions.from_frame(frame, rating=None, timestamp=None, items=items)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (EASE(regularization=292.0), {20: (0.0956, 0.0212), 100: (0.2651, 0.0278)}),
        (Popularity(), {20: (0.0382, 0.0065), 100: (0.2286, 0.0127)}),
    ],
)
def test_movielens_1m_of_spectral_cf(
    algorithm: Algorithm, expected: dict[int, tuple[float, float]], real_data: Path
) -> None:
    folder = real_data / "ml-1m-spectralcf"
    train_frame, test = (_pairs_of_lists(folder / f"{part}_users.dat") for part in ("train", "test"))
    n_items = 1 + max(train_frame["item_id"].max(), test["item_id"].max())
    train = _implicit(train_frame, int(n_items))
    users = np.flatnonzero(np.isin(train.catalogue.user_ids, test["user_id"].unique())).astype(np.int32)
    lists = algorithm.fit(train).recommend(users, train.matrix[users], 100)
    relevant = test.groupby("user_id")["item_id"].agg(set)
    hits = np.array(
        [np.isin(row, list(relevant[train.catalogue.user_ids[user]])) for user, row in zip(users, lists.items)]
    )
    sizes = np.array([len(relevant[train.catalogue.user_ids[user]]) for user in users])
    for k, (recall, capped_map) in expected.items():
        top = hits[:, :k]
        precision_at = np.cumsum(top, axis=1) / np.arange(1, k + 1)
        found_map = ((precision_at * top).sum(axis=1) / np.minimum(k, sizes)).mean()
        assert (top.sum(axis=1) / sizes).mean() == pytest.approx(recall, rel=0, abs=0.0005)
        assert found_map == pytest.approx(capped_map, rel=0, abs=0.0005)


def test_item_knn_on_citeulike(real_data: Path) -> None:
    folder = real_data / "citeulike-a-loo"
    frame = pd.read_csv(folder / "train.txt", sep=r"\s+", header=None, names=["user_id", "item_id"])
    candidates = np.loadtxt(folder / "test_candidates.txt", dtype=np.int64)
    train = _implicit(frame.drop_duplicates(), int(max(frame["item_id"].max(), candidates[:, 1:].max())) + 1)
    users = train.catalogue.user_ids.get_indexer(candidates[:, 0]).astype(np.int32)
    model = ItemKNN(n_neighbors=594, shrinkage=999.0, weighting="tfidf").fit(train)
    ranks = []
    for start in range(0, len(users), 1024):
        block = slice(start, start + 1024)
        histories = train.matrix[users[block]]
        scores = model.score(users[block], histories)
        for row, given in enumerate(candidates[block, 1:]):
            negatives = given[1:][~np.isin(given[1:], histories[row].indices)]
            ranks.append(1 + (scores[row, negatives] >= scores[row, given[0]]).sum())  # a tie counts against us
    rank = np.array(ranks)
    for k, hit_rate, ndcg in ((5, 0.8247, 0.7045), (10, 0.8925, 0.7267)):
        assert (rank <= k).mean() == pytest.approx(hit_rate, rel=0, abs=0.0005)
        assert np.where(rank <= k, 1 / np.log2(rank + 1), 0).mean() == pytest.approx(ndcg, rel=0, abs=0.0005)
