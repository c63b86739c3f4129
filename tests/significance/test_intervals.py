"""The interval of one mean, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from recsys_lab import significance as sig


def test_t_intervals_are_those_of_statsmodels_on_a_thousand_inputs():
    rng = np.random.default_rng(1)
    for _ in range(1000):
        n, level = int(rng.integers(200, 400)), float(rng.choice([0.8, 0.9, 0.95, 0.99]))
        values = rng.beta(1.5, 3, n) * (rng.random(n) < rng.random())
        found = sig.mean_interval(values, level)
        expected = DescrStatsW(values).tconfint_mean(alpha=1 - level)
        np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-9, atol=1e-14)
        assert (found.method, found.n, found.mean) == ("t", n, pytest.approx(values.mean()))


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.85])
def test_small_samples_get_the_bca_bootstrap(zeros):
    rng = np.random.default_rng(1)
    values = rng.exponential(size=80) * (rng.random(80) >= zeros)
    found = sig.mean_interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=9999, rng=np.random.default_rng(5))
    assert found.method == "bootstrap"
    width = found.high - found.low
    np.testing.assert_allclose((found.low, found.high), theirs.confidence_interval, atol=0.03 * width)
    assert found.high - found.mean > found.mean - found.low  # skewed to the right, and so is the interval
    assert found == sig.mean_interval(values, seed=0) != sig.mean_interval(values, seed=1)


def test_where_the_bootstrap_ends_and_what_has_no_spread():
    assert sig.mean_interval(np.ones(199)) == (1.0, 1.0, 1.0, 199, "bootstrap")
    assert sig.mean_interval(np.ones(200)) == (1.0, 1.0, 1.0, 200, "t")
    single = sig.mean_interval([0.5])
    assert (single.mean, single.method) == (0.5, "none")
    assert np.isnan(single.low)
    two = sig.mean_interval([0.0, 1.0])
    assert (two.low, two.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        ([], 0.95, "at least one value"),
        ([1.0, np.nan], 0.95, "value 1 is nan"),
        ([1.0], 95, "level is a share such as .95; found 95"),
    ],
)
def test_what_is_wrong_is_said(values, level, message):
    with pytest.raises(ValueError, match=message):
        sig.mean_interval(values, level)
