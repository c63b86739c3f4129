"""The slips of somebody who tries the package in a shell: each is told with what would be right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys_lab import Split, compare, evaluate, load_dataset, make_algorithm, split


@pytest.fixture(scope="module")
def parts() -> Split:
    return split(load_dataset("synthetic-small"), "temporal_user")


@pytest.mark.parametrize("name", ["EASE", "Popularity", "ItemKNN", "SVD"])
def test_a_model_that_is_not_fitted(parts: Split, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not fitted .* leave out fit=False"):
        evaluate(make_algorithm(name), parts, fit=False)


@pytest.mark.parametrize("wrong", ["EASE", type(make_algorithm("EASE"))])
def test_a_name_or_a_class_is_no_algorithm(parts: Split, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"write make_algorithm\('EASE'\)"):
        evaluate(wrong, parts)


def test_data_are_no_split_and_a_number_is_no_list(parts: Split) -> None:
    with pytest.raises(TypeError, match=r"needs a Split; found Interactions, write split\("):
        evaluate(make_algorithm("EASE"), parts.history)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"cutoffs is a list of numbers; found 10, write \[10\]"):
        evaluate(make_algorithm("EASE"), parts, cutoffs=10)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs Interactions; found DataFrame"):
        split(pd.DataFrame({"user_id": [1]}), "random")  # type: ignore[arg-type]


def test_compare_needs_evaluations_by_name(parts: Split) -> None:
    with pytest.raises(TypeError, match="a dict from the model's name to its evaluation; found a list"):
        compare([evaluate(make_algorithm("Popularity"), parts)])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="model 'a' needs what evaluate returns; found a int"):
        compare({"a": 3})  # type: ignore[dict-item]


def test_what_is_shown_fits_on_a_screen(parts: Split) -> None:
    measured = {name: evaluate(make_algorithm(name), parts) for name in ("Popularity", "EASE")}
    assert repr(measured["EASE"]).startswith("Evaluation(EASE, 250 users: recall@5 0.")
    assert repr(measured["EASE"].lists) == "RankedLists(250 users, k = 20)"
    shown = repr(compare(measured))
    assert shown.startswith("Comparison by ndcg@10, differences to Popularity\n")
    assert len(shown) < 600


def test_numbers_of_numpy_are_numbers() -> None:
    data = load_dataset("synthetic-small")
    given = split(data, "k_fold", seed=np.int64(3), fold=np.int64(1), n_folds=np.int64(4))
    plain = split(data, "k_fold", seed=3, fold=1, n_folds=4)
    assert (given.card.fingerprint, given.card.group) == (plain.card.fingerprint, plain.card.group)
    assert "np." not in repr(given.card)
    assert len(split(data, "temporal_user", test=np.int64(1)).test) == 250  # type: ignore[arg-type]
