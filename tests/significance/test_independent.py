"""Tests of two independent groups against scipy, against brute force, and against cases worked by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recsys_lab import significance as sig

VALUES = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 1.0, 3.0])


def welch_statistic(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Welch's t, squared so that both sides count."""
    error = x.var(axis=axis, ddof=1) / x.shape[axis] + y.var(axis=axis, ddof=1) / y.shape[axis]
    return (x.mean(axis=axis) - y.mean(axis=axis)) ** 2 / error


def test_welch_is_scipys_on_a_thousand_inputs():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        n, m = rng.integers(2, 60, 2)
        a, b = rng.random(n).round(2), rng.random(m).round(2) * rng.choice([0.5, 1.0])
        ours, theirs = sig.welch_test(a, b), stats.ttest_ind(a, b, equal_var=False)
        interval = theirs.confidence_interval(0.95)
        np.testing.assert_allclose((ours.p, ours.low, ours.high), (theirs.pvalue, *interval), rtol=1e-9, atol=1e-12)
        pooled = stats.ttest_ind(a, b).statistic * np.sqrt(1 / n + 1 / m)
        assert ours.d == pytest.approx(pooled)
        assert (ours.n_first, ours.n_second) == (n, m)


@given(st.lists(VALUES, min_size=2, max_size=5), st.lists(VALUES, min_size=2, max_size=5))
@settings(max_examples=80, deadline=None)
def test_shuffles_are_exact_for_few_users(first, second):
    both, n = np.array([*first, *second]), len(first)
    found = []
    for chosen in combinations(range(len(both)), n):
        x, y = both[list(chosen)], np.delete(both, chosen)
        distance = x.mean() - y.mean()
        error = x.var(ddof=1) / n + y.var(ddof=1) / len(y)
        found.append(0.0 if abs(distance) < 1e-12 else np.inf if error == 0 else distance**2 / error)
    enough = found[0] * (1 - 1e-9)
    assert sig.shuffle_p(first, second) == pytest.approx(np.mean(np.array(found) >= enough))


def test_shuffles_are_scipys_permutation_test():
    rng = np.random.default_rng(3)
    x, y = rng.normal(0.8, 1, 6), rng.normal(0, 2, 7)
    theirs = stats.permutation_test((x, y), welch_statistic, n_resamples=np.inf, vectorized=True, alternative="greater")
    assert sig.shuffle_p(x, y) == pytest.approx(theirs.pvalue)
    assert sig.shuffle_p(y, x) == pytest.approx(theirs.pvalue)


def test_random_shuffles_come_near_scipys_and_count_themselves():
    rng = np.random.default_rng(4)
    x, y = rng.gamma(1, 1, 40) + 0.4, rng.gamma(1, 1, 90)
    theirs = stats.permutation_test(
        (x, y), welch_statistic, n_resamples=9999, vectorized=True, alternative="greater", rng=1
    ).pvalue
    assert sig.shuffle_p(x, y) == pytest.approx(theirs, abs=6 * np.sqrt(theirs * (1 - theirs) / 9999))
    assert sig.shuffle_p(np.full(40, 0.1), np.zeros(50)) == 1 / 10_000  # c = 0: p = (0 + 1) / (9,999 + 1)
    assert sig.shuffle_p(np.full(40, 0.1), np.zeros(50), 99) == 0.01
    assert sig.shuffle_p(x, y, 99, seed=1) == sig.shuffle_p(x, y, 99, seed=1)
    many = rng.normal(0, 1, 30_000)
    ours = sig.shuffle_p(many[:9000], many[9000:], 999)  # several blocks
    assert ours == pytest.approx(sig.welch_test(many[:9000], many[9000:]).p, abs=0.06)


def test_columns_share_their_shuffles():
    rng = np.random.default_rng(5)
    x, y = rng.random((30, 3)), rng.random((40, 3)) + np.array([0, 0.1, 0.3])
    together = sig.shuffle_ps(x, y, 499, seed=7)
    alone = [sig.shuffle_p(x[:, column], y[:, column], 499, seed=7) for column in range(3)]
    np.testing.assert_array_equal(together, alone)


@given(st.lists(VALUES, min_size=2, max_size=20), st.lists(VALUES, min_size=2, max_size=20), st.floats(-5, 5))
@settings(max_examples=60, deadline=None)
def test_what_holds_for_any_two_groups(first, second, shift):
    x, y = np.array(first), np.array(second)
    one, other = sig.welch_test(x, y), sig.welch_test(y, x)
    assert one.difference == pytest.approx(-other.difference)
    assert one.p == pytest.approx(other.p)
    assert 0 < sig.shuffle_p(x, y, 199) <= 1
    moved = sig.welch_test(x + 1024, y + 1024)  # a power of two shifts these values without rounding
    assert (moved.difference, moved.p) == (pytest.approx(one.difference, abs=1e-9), pytest.approx(one.p, abs=1e-6))
    assert sig.shuffle_p(x + 1024, y + 1024, 199) == sig.shuffle_p(x, y, 199)
    assert sig.welch_test(x, x + shift).difference == pytest.approx(-shift, abs=1e-9)
    assert one.low <= one.difference <= one.high


def test_no_spread_and_single_users():
    same = sig.welch_test([0.5, 0.5], [0.5, 0.5, 0.5])
    assert (same.difference, same.low, same.high, same.p, same.d) == (0, 0, 0, 1, 0)
    assert sig.shuffle_p([0.5] * 30, [0.5] * 40) == 1.0
    sure = sig.welch_test([1.0, 1.0], [0.0, 0.0])
    assert (sure.p, sure.low, sure.high, sure.d) == (0.0, 1.0, 1.0, np.inf)
    assert sig.shuffle_p([1.0, 1.0], [0.0, 0.0]) == pytest.approx(2 / 6)  # two of the six ways to choose two of four
    one = sig.welch_test([1.0], [0.0, 0.5])
    assert one.p == sig.shuffle_p([1.0], [0.0, 0.5]) == 1.0
    assert np.isnan([one.low, one.high, one.d]).all()


def test_unequal_spreads_do_not_deceive_it():
    """The small group spreads three times as much; a test of the mean difference alone rejects far too often."""
    rng, plain, ours, rounds = np.random.default_rng(6), 0, 0, 300
    for seed in range(rounds):
        x, y = rng.normal(0, 3, 30), rng.normal(0, 1, 170)
        ours += sig.shuffle_p(x, y, 199, seed=seed) <= 0.05
        both = np.concatenate([x, y])
        drawn = rng.permuted(np.tile(both, (199, 1)), axis=1)
        means = np.abs(drawn[:, :30].mean(axis=1) - drawn[:, 30:].mean(axis=1))
        plain += (np.sum(means >= abs(x.mean() - y.mean())) + 1) / 200 <= 0.05
    assert plain / rounds > 0.15
    assert ours / rounds < 0.10


def test_sample_ratio_is_scipys_chi_square():
    assert sig.sample_ratio_p([480, 520], [0.5, 0.5]) == pytest.approx(stats.chisquare([480, 520]).pvalue)
    expected = stats.chisquare([905, 95], [900, 100]).pvalue
    assert sig.sample_ratio_p([905, 95], [0.9, 0.1]) == pytest.approx(expected)
    assert sig.sample_ratio_p([440, 560], [0.5, 0.5]) < 0.001
    assert sig.sample_ratio_p([5, 1], [1.0, 0.0]) == 0.0
    assert sig.sample_ratio_p([5, 0], [1.0, 0.0]) == 1.0
    assert sig.sample_ratio_p([0, 0], [0.5, 0.5]) == 1.0


def test_the_detectable_difference_is_found_with_its_power():
    rng = np.random.default_rng(8)
    x, y = rng.normal(0, 1, 200), rng.normal(0, 2, 100)
    effect = sig.minimum_detectable_between(x, y, 0.8)
    scale = x.std(ddof=1), y.std(ddof=1)
    found = [
        sig.welch_test(rng.normal(effect, scale[0], 200), rng.normal(0, scale[1], 100)).p < 0.05 for _ in range(1500)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.035)  # three standard errors
    assert sig.minimum_detectable_between(x, y, 0.8, n_comparisons=5) > effect
    assert sig.minimum_detectable_between([1.0, 1.0], [2.0, 2.0]) == 0.0
    assert np.isnan(sig.minimum_detectable_between([1.0], [2.0, 3.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sig.welch_test([], [1.0]), "first must be a 1-d array with at least one value"),
        (lambda: sig.shuffle_p([1.0, 2.0], [1.0, np.nan]), "second must be finite; value 1 is nan"),
        (lambda: sig.sample_ratio_p([1, 2], [0.5, 0.6]), "shares with sum 1; found"),
        (lambda: sig.minimum_detectable_between([1, 2], [1, 2], 1.0), "power lies in"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
