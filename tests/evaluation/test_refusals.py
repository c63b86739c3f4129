"""What evaluate and score_lists refuse, and the words they use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation import evaluate, score_lists


class Broken(Algorithm):
    """Ranks the wrong number of items."""

    def fit(self, train: Interactions) -> Broken:
        return self

    def score(self, users: Any, histories: Any) -> Any:
        return np.zeros((len(users), 1), dtype=np.float32)

    def recommend(self, users: Any, histories: Any, k: int, *args: Any, **options: Any) -> Any:
        empty = np.full((len(users), 1), -1)
        return RankedLists(users, empty, np.full(empty.shape, -np.inf))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"task": "both"}, ValueError, "task is 'ranking' or 'rating'; found 'both'"),
        ({"task": "rating"}, TypeError, "Broken ranks but predicts no ratings"),
        ({"task": "rating", "metrics": ["rmse"]}, ValueError, "metrics are chosen for rankings only"),
        ({"cutoffs": []}, ValueError, "cutoffs are whole numbers from 1 up"),
        ({"cutoffs": [0]}, ValueError, r"found \(0,\)"),
        ({"metrics": "ndcg"}, ValueError, r"write \['ndcg'\]"),
        ({"metrics": []}, ValueError, "metrics is empty"),
        ({"metrics": ["ndgc"]}, ValueError, "did you mean 'ndcg'"),
        ({"metrics": ["rmse"]}, ValueError, "use task='rating'"),
        ({"metrics": ["intra_list_diversity"]}, ValueError, "needs item features; this catalogue has none"),
        ({"metrics": ["calibration_kl"]}, ValueError, "no column 'genres'"),
        ({"tie_policy": "lucky"}, ValueError, "'hash' or 'pessimistic'; found 'lucky'"),
        ({"tie_seed": -1}, ValueError, "found -1"),
        ({"batch_size": 0}, ValueError, "at least 1; found 0"),
        ({"candidates": "all"}, ValueError, "found 'all'"),
        ({"candidates": ["nobody"]}, ValueError, "candidate 'nobody' is no item id.*ids look like 'a'"),
        ({"candidates": np.array([5], np.int32)}, ValueError, "item codes 0 ... 1; found 5 ... 5"),
        ({"candidates": sparse.csr_matrix((1, 1))}, ValueError, r"\(2, 2\); found \(1, 1\)"),
        ({"metrics": ["auc"]}, ValueError, r"Broken.score returned shape \(1, 1\); expected \(1, 2\)"),
        (
            {},
            ValueError,
            "must answer for the 1 users in the order asked with lists of 20; found 1 users and lists of 1",
        ),
    ],
)
def test_what_is_refused(make_split: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate(Broken(), make_split([("z", "a"), ("z", "b")], [("u", "a")]), **options)


def test_lists_of_untested_users_are_left_out_with_a_warning(make_split: Any, make_lists: Any) -> None:
    split = make_split([("z", item) for item in "abc"], [("u", "a")])
    lists = make_lists(split, {"u": ["a"], "z": []})
    with pytest.warns(UserWarning, match="1 lists are of users without test rows"):
        result = score_lists(lists, split, cutoffs=[1])
    assert len(result.lists) == 1
    foreign = type(lists)(lists.users[:1], np.array([[9]]), np.array([[1.0]]))
    with pytest.raises(ValueError, match=r"codes 0 ... 2; found 9"):
        score_lists(foreign, split, cutoffs=[1])
