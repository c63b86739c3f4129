"""The rating task: what is kept, clipped, filled and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_lab.evaluation import evaluate


def test_ratings_keep_what_micro_values_need(make_split: Any, fixed: Any) -> None:
    split = make_split([("z", "a", 1), ("z", "b", 5)], [("u", "a", 2), ("u", "b", 4), ("v", "a", 5)])
    odd = make_split([("z", "a", 1), ("z", "b", 5)], [("u", "a", 7)])
    with pytest.warns(UserWarning, match="1 test ratings lie outside the scale of train, 1 to 5"):
        evaluate(fixed([[1, 1]] * 2), odd, task="rating")
    result = evaluate(fixed([[3, 9], [4, 4], [0, 0]]), split, task="rating")
    users = result.per_user
    assert np.sqrt(users["sse"].sum() / users["n_pairs"].sum()) == pytest.approx(result.summary["rmse"])
    assert users["sae_unclipped"].sum() / users["n_pairs"].sum() == pytest.approx(result.summary["mae_unclipped"])
    assert users["rmse"].tolist() == [1.0, 1.0]
    assert users["is_cold"].tolist() == [True, True]
    assert result.summary["rmse_macro"] == 1.0
    assert result.warm_and_cold().loc["mae", "cold"] == 1.0
    assert result.protocol["task"] == "rating"
    for wrong, message in ((np.inf, "user 'u', item 'b': the predicted rating is inf"), (np.nan, "rating_fallback")):
        with pytest.raises(ValueError, match=message):
            evaluate(fixed([[3, wrong], [4, 4], [0, 0]]), split, task="rating")
    with pytest.raises(ValueError, match="None, 'global_mean' or 'drop'; found 'zero'"):
        evaluate(fixed([[3, 1], [4, 4], [0, 0]]), split, task="rating", rating_fallback="zero")
