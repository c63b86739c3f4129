"""Power and the minimum detectable difference, against statsmodels and against a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from recsys_lab import significance as sig


def test_power_is_that_of_statsmodels_on_a_thousand_inputs():
    rng = np.random.default_rng(0)
    theirs = TTestPower()
    for _ in range(1000):
        n, m = int(rng.integers(5, 3000)), int(rng.integers(1, 12))
        d = rng.normal(0, rng.uniform(0.01, 2), n)
        effect = rng.uniform(0.2, 5) * d.std(ddof=1) / np.sqrt(n)
        expected = theirs.power(effect / d.std(ddof=1), n, 0.05 / m, alternative="two-sided")
        if np.isnan(expected):  # the noncentral t of scipy far in its tail
            continue
        assert sig.power_of_test(d, effect, n_comparisons=m) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("n", [2, 5, 30, 200, 5000])
def test_the_minimum_detectable_difference_has_its_power(n):
    d = np.random.default_rng(0).normal(0, 2, n)
    effect = sig.minimum_detectable_difference(d, n_comparisons=4)
    assert sig.power_of_test(d, effect, n_comparisons=4) == pytest.approx(0.8, abs=1e-8)
    assert effect > sig.minimum_detectable_difference(d) > sig.minimum_detectable_difference(d, power=0.5) > 0
    if n > 5:
        expected = TTestPower().solve_power(nobs=n, alpha=0.05 / 4, power=0.8) * d.std(ddof=1)
        assert effect == pytest.approx(expected, rel=1e-4)


def test_power_of_few_folds_by_simulation():
    """Four folds whose error is that of Nadeau and Bengio: the test rejects as often as the power says."""
    rng = np.random.default_rng(3)
    k, ratio = 4, 1 / 3
    folds = np.array([-1.0, 1.0, -1.0, 1.0])
    effect = sig.minimum_detectable_difference(folds, 0.6, test_to_train=ratio)
    spread = folds.std(ddof=1)
    error = spread * np.sqrt(1 / k + ratio)
    means = rng.normal(effect, error, 40_000)
    deviations = spread * np.sqrt(stats.chi2.rvs(k - 1, size=40_000, random_state=rng) / (k - 1))
    t = means / (deviations * np.sqrt(1 / k + ratio))
    assert (np.abs(t) > stats.t.ppf(0.975, k - 1)).mean() == pytest.approx(0.6, abs=0.01)


def test_the_ends_of_power():
    assert np.isnan(sig.minimum_detectable_difference([0.3]))
    assert np.isnan(sig.power_of_test([0.3], 0.1))
    assert sig.minimum_detectable_difference([0.3, 0.3]) == 0.0
    assert sig.power_of_test([0.3, 0.3], 0.1) == 1.0
    assert sig.minimum_detectable_difference([0.1, 0.2], 0.01) == 0.0  # what chance alone gives


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sig.minimum_detectable_difference([0.1, 0.2], 1.0), "power lies in"),
        (lambda: sig.minimum_detectable_difference([0.1, 0.2], n_comparisons=0), "n_comparisons is at least 1"),
        (lambda: sig.power_of_test([0.1, 0.2], 0.0), "effect is a difference above 0"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
