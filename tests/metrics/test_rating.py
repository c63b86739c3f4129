"""Rating errors: what always holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.metrics import rating

ERRORS = st.lists(st.floats(-10, 10), min_size=1, max_size=20).map(np.array)


@given(ERRORS)
def test_rmse_is_never_below_mae(errors: np.ndarray) -> None:
    assert rating.rmse(errors) >= rating.mae(errors) - 1e-12
    assert rating.mae(errors) >= 0
    assert rating.rmse(errors) == pytest.approx(np.sqrt((errors**2).mean()))


@given(ERRORS, st.floats(1, 5))
def test_clipping_never_raises_the_error_when_the_truth_is_inside(predictions: np.ndarray, truth: float) -> None:
    clipped = rating.clip(predictions, (1.0, 5.0))
    assert (np.abs(clipped - truth) <= np.abs(predictions - truth) + 1e-12).all()


def test_users_apart() -> None:
    errors, rows = np.array([1.0, 0.5, 2.0]), np.array([0, 0, 2])
    np.testing.assert_allclose(rating.user_rmse(errors, rows, 3), [np.sqrt(0.625), np.nan, 2])
    np.testing.assert_allclose(rating.user_mae(errors, rows, 3), [0.75, np.nan, 2])


def test_no_pairs_no_number() -> None:
    assert np.isnan([rating.rmse(np.array([])), rating.mae(np.array([]))]).all()
