"""Candidates in every form, and lists that come in another order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.evaluation import evaluate, score_lists


def test_a_matrix_of_candidates_may_be_unsorted_and_is_not_changed(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", item) for item in "abcd"], [("u", "a"), ("v", "b")])
    model = fixed([[1, 2, 3, 4]] * 3)
    tidy = sparse.csr_matrix(np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]))
    untidy = sparse.csr_matrix(([1, 1, 1, 1, 1], [2, 0, 0, 2, 1], [0, 3, 5, 5]), shape=(3, 4))
    results = [evaluate(model, split, cutoffs=[2], candidates=matrix) for matrix in (tidy, untidy)]
    assert results[0].protocol == results[1].protocol
    assert results[0].summary == results[1].summary
    assert untidy.indices.tolist() == [2, 0, 0, 2, 1]


def test_stored_zeros_are_candidates(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", item) for item in "ab"], [("u", "a")])
    own = sparse.csr_matrix(([0.0], [0], [0, 1, 1]), shape=(2, 2))
    with pytest.warns(UserWarning, match="more than the 1 candidates"):
        result = evaluate(fixed([[1, 2]] * 2), split, cutoffs=[2], candidates=own)
    assert result.lists.items.tolist() == [[0, -1]]


def test_lists_in_another_order_keep_what_is_known_of_their_ties(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", item) for item in "abc"], [("u", "a"), ("v", "b")])
    scores = np.array([[1, 1, 1], [3, 2, 1], [0, 0, 0]])
    with pytest.warns(UserWarning, match="50.0% of the lists"):
        first = evaluate(fixed(scores), split, cutoffs=[2])
    lists = first.lists
    swapped = type(lists)(lists.users[::-1], lists.items[::-1], lists.scores[::-1], lists.tied_at_cutoff[::-1])
    with pytest.warns(UserWarning, match="50.0% of the lists"):
        again = score_lists(swapped, split, cutoffs=[2])
    assert again.summary == first.summary
    assert again.lists.tied_at_cutoff.tolist() == [True, False]


def test_an_empty_test_part_gives_nulls_and_a_warning(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", item) for item in "abc"], [])
    for metrics in (["default"], ["auc"]):
        with pytest.warns(UserWarning, match="no test user has a relevant item"):
            result = evaluate(fixed([[1, 2, 3]]), split, cutoffs=[2], metrics=metrics)
        assert result.summary["n_users"] == 0
        assert len(result.per_user) == 0
        assert np.isnan(result.summary[result.metrics[0]])
