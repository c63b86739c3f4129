"""Paired tests against scipy, against brute force, and against cases worked by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recsys_lab import significance as sig


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


def test_nadeau_bengio_worked_by_hand():
    d = np.array([0.02, 0.01, 0.03, 0.00, 0.04])
    test = sig.nadeau_bengio(d, 0.25)
    t = 0.02 / np.sqrt((1 / 5 + 1 / 4) * d.var(ddof=1))
    assert test.p == pytest.approx(2 * stats.t.sf(t, 4))
    assert test.p > sig.paired_test(d, np.zeros(5)).p
    assert (test.low + test.high) / 2 == pytest.approx(0.02)


def test_cohen_dz_and_counts():
    assert sig.cohen_dz([1.0, 2.0, 3.0]) == pytest.approx(2.0)
    assert sig.cohen_dz([-1.0, -1.0]) == -np.inf
    assert sig.wins_ties_losses([1, 0, -2, 3]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sig.paired_test([1.0, 2.0], [1.0]), "found 2 and 1 values"),
        (lambda: sig.nadeau_bengio([0.1, 0.2], 0), "must be above 0; found 0"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
