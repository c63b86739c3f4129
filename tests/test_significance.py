"""Statistics against scipy, against brute force, and against cases worked by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recsys_lab import significance as sig

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_paired_test_is_scipys_on_a_thousand_inputs():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        n = int(rng.integers(2, 60))
        a, b = rng.random(n).round(2), rng.random(n).round(2) * rng.choice([0.5, 1.0])
        ours, theirs = sig.paired_test(a, b), stats.ttest_rel(a, b)
        if np.isnan(theirs.statistic) or np.ptp(a - b) < 1e-12:
            continue
        interval = theirs.confidence_interval(0.95)
        np.testing.assert_allclose((ours.p, ours.low, ours.high), (theirs.pvalue, *interval), rtol=1e-9, atol=1e-12)
        assert ours.difference == pytest.approx((a - b).mean())
        assert ours.dz == pytest.approx(theirs.statistic / np.sqrt(n))
        assert (ours.wins, ours.ties, ours.losses) == ((a > b).sum(), (a == b).sum(), (a < b).sum())


def test_no_difference_at_all_is_p_one():
    test = sig.paired_test([0.2, 0.4, 0.9], [0.2, 0.4, 0.9])
    assert (test.difference, test.low, test.high, test.p, test.dz) == (0, 0, 0, 1, 0)
    assert (test.wins, test.ties, test.losses) == (0, 3, 0)
    assert sig.sign_flip_p(np.zeros(40)) == 1.0


def test_equal_differences_and_single_users():
    test = sig.paired_test([1.1, 1.1, 1.1], [1.0, 1.0, 1.0])
    assert (test.p, test.low, test.high, test.dz) == (0.0, test.difference, test.difference, np.inf)
    one = sig.paired_test([1.0], [0.0])
    assert one.p == 1.0
    assert np.isnan([one.low, one.high, one.dz]).all()
    assert np.isnan(sig.minimum_detectable_difference([0.3]))


def test_t_interval_is_scipys():
    values = np.random.default_rng(1).random(500)
    found = sig.mean_interval(values, 0.9)
    expected = stats.t.interval(0.9, 499, values.mean(), stats.sem(values))
    np.testing.assert_allclose((found.low, found.high), expected)
    assert (found.method, found.n, found.mean) == ("t", 500, pytest.approx(values.mean()))


def test_small_samples_get_the_bootstrap_percentile():
    values = np.random.default_rng(1).exponential(size=80)
    found = sig.mean_interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(5))
    assert found.method == "bootstrap"
    np.testing.assert_allclose((found.low, found.high), theirs.confidence_interval, rtol=0.02)
    assert found == sig.mean_interval(values, seed=0) != sig.mean_interval(values, seed=1)
    assert sig.mean_interval(np.ones(199)).method == "bootstrap"
    assert sig.mean_interval(np.ones(200))[:3] == (1.0, 1.0, 1.0)
    single = sig.mean_interval([0.5])
    assert (single.mean, single.method) == (0.5, "none")
    assert np.isnan(single.low)


@given(st.lists(st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.25, 1.0, 3.0]), min_size=1, max_size=10))
@settings(max_examples=60, deadline=None)
def test_sign_flip_is_exact_for_few_differences(differences):
    d = np.array(differences)
    flipped = [abs(np.dot(signs, d)) for signs in product((-1, 1), repeat=len(d))]
    assert sig.sign_flip_p(d) == pytest.approx(np.mean([total >= abs(d.sum()) for total in flipped]))


def test_sign_flip_is_scipys_permutation_test():
    d = np.random.default_rng(3).normal(0.3, 1, 11)
    theirs = stats.permutation_test(
        (d, np.zeros(11)), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=np.inf
    )
    assert sig.sign_flip_p(d) == pytest.approx(theirs.pvalue)


def test_random_flips_come_near_the_exact_p_and_count_themselves():
    d = np.random.default_rng(4).normal(0.4, 1, 14)
    signs = 2.0 * ((np.arange(2**14)[:, None] >> np.arange(14)) & 1) - 1
    exact = (np.abs(signs @ d) >= abs(d.sum()) - 1e-12).mean()
    assert sig.sign_flip_p(d) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 9999))
    assert sig.sign_flip_p(np.full(40, 0.1)) == 1 / 10_000  # c = 0: p = (0 + 1) / (9,999 + 1)
    assert sig.sign_flip_p(np.full(40, 0.1), 99) == 0.01
    many = np.random.default_rng(5).normal(0.01, 1, 30_000)
    assert sig.sign_flip_p(many, 999) == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.06)  # several blocks
    assert sig.sign_flip_p(many, 999, seed=1) == sig.sign_flip_p(many, 999, seed=1)


def test_holm_worked_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, and none below one before it
    np.testing.assert_allclose(sig.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(sig.holm([0.5, 0.9]), [1.0, 1.0])
    assert sig.holm([]).shape == (0,)


@given(p_lists, st.sampled_from([0.01, 0.05, 0.2]))
@settings(max_examples=200, deadline=None)
def test_holm_rejects_what_the_sequential_procedure_rejects(p_values, alpha):
    rejected = [False] * len(p_values)
    for step, position in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[position] * (len(p_values) - step) >= alpha:
            break
        rejected[position] = True
    assert [bool(p < alpha) for p in sig.holm(p_values)] == rejected


@given(p_lists)
@settings(max_examples=200, deadline=None)
def test_benjamini_hochberg_is_scipys_and_never_above_holm(p_values):
    found = sig.benjamini_hochberg(p_values)
    np.testing.assert_allclose(found, stats.false_discovery_control(p_values), rtol=1e-12)
    assert (found <= sig.holm(p_values) + 1e-12).all()
    assert (found >= np.asarray(p_values) - 1e-12).all()


def test_nadeau_bengio_worked_by_hand():
    d = np.array([0.02, 0.01, 0.03, 0.00, 0.04])
    test = sig.nadeau_bengio(d, 0.25)
    t = 0.02 / np.sqrt((1 / 5 + 1 / 4) * d.var(ddof=1))
    assert test.p == pytest.approx(2 * stats.t.sf(t, 4))
    assert test.p > sig.paired_test(d, np.zeros(5)).p
    assert (test.low + test.high) / 2 == pytest.approx(0.02)


@pytest.mark.parametrize("n", [30, 200, 5000])
def test_minimum_detectable_difference_has_its_power(n):
    d = np.random.default_rng(0).normal(0, 2, n)
    effect = sig.minimum_detectable_difference(d, n_comparisons=4)
    shift = effect / (d.std(ddof=1) / np.sqrt(n))
    critical = stats.t.ppf(1 - 0.05 / 4 / 2, n - 1)
    power = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    assert power == pytest.approx(0.8, abs=0.01)
    assert effect > sig.minimum_detectable_difference(d) > sig.minimum_detectable_difference(d, power=0.5)


def test_rank_groups_join_what_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    base = rng.random(400)
    noise = rng.normal(0, 0.02, (400, 5))
    values = base[:, None] + noise + np.array([0.0, 0.5, 0.5, 0.2, 0.0])
    assert sig.rank_groups(values).tolist() == [3, 1, 1, 2, 3]
    assert sig.rank_groups(values, higher_is_better=False).tolist() == [1, 3, 3, 2, 1]
    assert sig.rank_groups(np.repeat(base[:, None], 3, axis=1)).tolist() == [1, 1, 1]
    assert sig.rank_groups(base[:, None]).tolist() == [1]


def test_rank_groups_compare_with_the_leader():
    """Each step down is small: the second is in the leader's group, the third only near the second."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (100, 3))
    noise = np.linalg.qr(noise - noise.mean(axis=0))[0] * 10  # no correlation, means 0: t is 1.8 a step and 3.5 for two
    values = noise + np.array([0.5, 0.25, 0.0])
    assert sig.paired_test(values[:, 0], values[:, 2]).p * 3 < 0.05
    assert sig.paired_test(values[:, 1], values[:, 2]).p > 0.05
    assert sig.rank_groups(values).tolist() == [1, 1, 2]


def test_cohen_dz_and_counts():
    assert sig.cohen_dz([1.0, 2.0, 3.0]) == pytest.approx(2.0)
    assert sig.cohen_dz([-1.0, -1.0]) == -np.inf
    assert sig.wins_ties_losses([1, 0, -2, 3]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sig.mean_interval([]), "at least one value"),
        (lambda: sig.mean_interval([1.0, np.nan]), "value 1 is nan"),
        (lambda: sig.mean_interval([1.0], 95), "level is a share such as .95; found 95"),
        (lambda: sig.paired_test([1.0, 2.0], [1.0]), "found 2 and 1 values"),
        (lambda: sig.holm([0.5, 1.5]), r"numbers in \[0, 1\]"),
        (lambda: sig.benjamini_hochberg([np.nan]), r"numbers in \[0, 1\]"),
        (lambda: sig.nadeau_bengio([0.1, 0.2], 0), "must be above 0; found 0"),
        (lambda: sig.minimum_detectable_difference([0.1, 0.2], 1.0), "power lies in"),
        (lambda: sig.rank_groups([1.0, 2.0]), "shape"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
