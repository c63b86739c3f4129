"""What happens in each situation that the evaluation protocol names: one test a row of its table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation import evaluate, score_lists

TRAIN = [("z", item) for item in "abcd"]


def test_no_relevant_item_is_null_left_out_and_counted(make_split: Any, make_lists: Any) -> None:
    split = make_split(TRAIN, [("u", "a", 5), ("v", "a", 2)])
    result = score_lists(
        make_lists(split, {"u": ["a"], "v": ["a"]}), split, cutoffs=[1], relevance_threshold=4, metrics=["default"]
    )
    assert result.per_user["ndcg@1"].isna().tolist() == [False, True]
    assert result.per_user["novelty@1"].isna().tolist() == [False, True]  # one set of users for every number
    assert result.summary["ndcg@1"] == 1.0
    assert result.summary["n_users"] == 1
    assert result.summary["n_users_no_relevant"] == 1
    assert len(result.lists) == 2


def test_nobody_with_a_relevant_item_gives_null_and_a_warning(make_split: Any, make_lists: Any) -> None:
    split = make_split(TRAIN, [("u", "a", 5)])
    with pytest.warns(UserWarning, match="no test user has a relevant item"):
        result = score_lists(make_lists(split, {"u": ["a"]}), split, cutoffs=[1], relevance_threshold=9)
    assert np.isnan(result.summary["ndcg@1"])
    assert result.summary["item_coverage@1"] == 0


def test_a_user_without_a_list_scores_0_and_is_kept(make_split: Any, make_lists: Any) -> None:
    split = make_split(TRAIN, [("u", "a"), ("v", "a")])
    result = score_lists(make_lists(split, {"v": ["a", "b"]}), split, cutoffs=[2])
    assert result.per_user["ndcg@2"].tolist() == [0.0, 1.0]
    assert result.summary["ndcg@2"] == 0.5
    assert result.summary["user_coverage"] == 0.5
    assert np.isnan(result.per_user["novelty@2"].iloc[0])
    assert result.summary["n_null_novelty@2"] == 1


def test_short_lists_are_still_divided_by_k(make_split: Any, make_lists: Any) -> None:
    split = make_split(TRAIN, [("u", "a"), ("v", "b")])
    result = score_lists(make_lists(split, {"u": ["a"], "v": ["b", "c", "d"]}), split, cutoffs=[4])
    assert result.per_user["precision@4"].tolist() == [0.25, 0.25]
    assert result.summary["mean_list_length"] == 2
    assert result.lists.k == 4


def test_more_places_than_candidates_is_allowed_with_a_warning(make_split: Any, fixed: Any) -> None:
    split = make_split(TRAIN, [("u", "a")])
    with pytest.warns(UserWarning, match="k = 9 is more than the 4 candidates of a user"):
        result = evaluate(fixed([[4, 3, 2, 1]] * 2), split, cutoffs=[9])
    assert result.warnings == ("k = 9 is more than the 4 candidates of a user",)
    assert result.summary["mean_list_length"] == 4


def test_broken_lists_are_errors_that_name_user_and_item() -> None:
    for items, scores, message in (
        ([[1, 1]], [[2.0, 1.0]], "user 7: item 1 is listed twice"),
        ([[1, 2]], [[2.0, np.nan]], "user 7, item 2: the score is nan"),
        ([[1, 2]], [[np.inf, 1.0]], "user 7, item 1: the score is inf"),
        ([[1, 2]], [[2.0, -np.inf]], "user 7, item 2: the score is -inf"),
    ):
        with pytest.raises(ValueError, match=message):
            RankedLists(np.array([7]), np.array(items), np.array(scores))


def test_a_seen_item_is_an_error_unless_repeats_are_wanted(make_split: Any, make_lists: Any) -> None:
    split = make_split([*TRAIN, ("u", "b")], [("u", "a"), ("u", "b")])
    lists = make_lists(split, {"u": ["a", "b"]})
    with pytest.raises(ValueError, match="user 'u': item 'b' at rank 2 is in the history"):
        score_lists(lists, split, cutoffs=[2])
    assert score_lists(lists, split, cutoffs=[2], exclude_seen=False).summary["recall@2"] == 1


def test_ties_are_broken_by_a_seeded_hash_and_many_give_a_warning(make_split: Any, fixed: Any) -> None:
    split = make_split(TRAIN, [("u", "a")])
    with pytest.warns(UserWarning, match=r"100.0% of the lists are cut between items of equal score"):
        same = [evaluate(fixed(np.zeros((2, 4))), split, cutoffs=[1, 2], tie_seed=3) for _ in range(2)]
    np.testing.assert_array_equal(same[0].lists.items, same[1].lists.items)
    assert same[0].summary["tie_at_cutoff_share@1"] == 1  # seen inside the list
    assert same[0].summary["tie_at_cutoff_share@2"] == 1  # seen at its end
    with pytest.warns(UserWarning, match="equal score"):
        others = [evaluate(fixed(np.zeros((2, 4))), split, cutoffs=[2], tie_seed=seed) for seed in range(30)]
    assert len({tuple(other.lists.items[0]) for other in others}) > 3


def test_a_test_row_below_the_threshold_is_a_miss_and_in_the_history_it_is_masked(make_split: Any, fixed: Any) -> None:
    split = make_split([*TRAIN, ("u", "d", 1)], [("u", "a", 2), ("u", "b", 5)])
    result = evaluate(fixed([[4, 3, 2, 9]] * 2), split, cutoffs=[3], relevance_threshold=4)
    assert result.lists.items[0].tolist() == [0, 1, 2]  # a is listed though it was disliked; d is masked
    assert result.summary["mrr@3"] == 0.5
    assert result.per_user["n_relevant"].tolist() == [1]


def test_an_item_unknown_to_train_stays_relevant_and_is_no_candidate(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", "a"), ("z", "b"), ("z", "c")], [("u", "a"), ("u", "new")])
    model = fixed([[1, 2, 3, 9]] * 2)
    result = evaluate(model, split, cutoffs=[3])
    assert result.summary["recall@3"] == 0.5
    assert result.summary["n_test_rows_unknown_item"] == 1
    assert result.summary["mean_n_candidates"] == 3
    every = evaluate(model, split, cutoffs=[3], candidates="catalogue")
    assert every.summary["recall@3"] == 0.5
    assert every.lists.items[0].tolist() == [3, 2, 1]
    assert every.protocol["hash"] != result.protocol["hash"]


def test_cold_users_stay_and_are_reported_apart(make_split: Any, fixed: Any) -> None:
    split = make_split([*TRAIN, ("warm", "b")], [("cold", "a"), ("warm", "a"), ("warm", "c")])
    scores = np.full((3, 4), -np.inf)  # cold, warm, z: the model leaves the cold user unserved
    scores[1] = [1, 2, 3, 4]
    with pytest.warns(UserWarning, match="k = 5"):
        result = evaluate(fixed(scores), split, cutoffs=[5])
    assert result.per_user["is_cold"].tolist() == [True, False]
    assert result.summary["n_users_cold"] == 1
    assert result.summary["user_coverage"] == 0.5
    apart = result.warm_and_cold()
    assert apart.loc["recall@5", "warm"] == 1
    assert apart.loc["recall@5", "cold"] == 0
    assert apart.loc["n_users"].tolist() == [1, 1]


def test_a_user_known_from_the_history_alone_is_not_cold(make_split: Any, fixed: Any) -> None:
    split = make_split(TRAIN, [("u", "a"), ("u", "b")])
    split.history, split.test = split.test.select([1]), split.test.select([0])
    result = evaluate(fixed([[1, 9, 2, 3]] * 2), split, cutoffs=[3])
    assert result.per_user["is_cold"].tolist() == [False]
    assert result.lists.items[0].tolist() == [3, 2, 0]  # b is masked


def test_given_candidates_are_ranked_alone_and_hashed(make_split: Any, fixed: Any) -> None:
    split = make_split([*TRAIN, ("u", "d")], [("u", "a"), ("v", "b")])
    model = fixed([[1, 2, 3, 4]] * 3)
    shared = evaluate(model, split, cutoffs=[2], candidates=["b", "a"])
    assert shared.lists.items.tolist() == [[1, 0], [1, 0]]
    own = sparse.csr_matrix(np.array([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]]))
    each = evaluate(model, split, cutoffs=[2], candidates=own)
    assert each.lists.items.tolist() == [[2, 0], [2, 1]]  # d is in the history of u
    split.candidates = own
    assert evaluate(model, split, cutoffs=[2]).protocol == each.protocol
    assert (
        len({e.protocol["hash"] for e in (shared, each, evaluate(model, split, cutoffs=[2], candidates="known"))}) == 3
    )


def test_a_listed_item_that_is_no_candidate_is_an_error(make_split: Any, make_lists: Any) -> None:
    split = make_split(TRAIN, [("u", "a")])
    lists = make_lists(split, {"u": ["a", "c"]})
    own = sparse.csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 0, 0]]))
    for candidates in (["a", "b"], own):
        with pytest.raises(ValueError, match="user 'u': item 'c' at rank 2 is listed but is no candidate"):
            score_lists(lists, split, cutoffs=[2], candidates=candidates)


def test_an_impossible_rating_is_an_error_or_filled_and_counted(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", "a", 2), ("z", "b", 4)], [("u", "a", 3), ("u", "b", 3)])
    model = fixed([[np.nan, 3], [0, 0]])
    with pytest.raises(ValueError, match="user 'u', item 'a': no rating can be predicted"):
        evaluate(model, split, task="rating")
    result = evaluate(model, split, task="rating", rating_fallback="global_mean")
    assert result.summary["rmse"] == 0
    assert result.summary["prediction_coverage"] == 0.5
    assert result.lists is None
