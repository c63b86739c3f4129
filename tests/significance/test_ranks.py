"""Friedman and Nemenyi against scipy, against published values and against a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recsys_lab import significance as sig

# Demsar, JMLR 7, 2006, table 5a: critical values of the two-tailed Nemenyi test at .05 for 2 to 10 classifiers
PUBLISHED = dict(zip(range(2, 11), (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164), strict=True))


def test_friedman_is_scipys_on_a_thousand_inputs():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        n, k = int(rng.integers(2, 12)), int(rng.integers(3, 9))
        values = rng.random((n, k)).round(int(rng.integers(1, 4)))  # equal values among them
        ours, theirs = sig.friedman(values), stats.friedmanchisquare(*values.T)
        if np.isnan(theirs.statistic):
            assert ours.p == 1.0
            continue
        assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
        np.testing.assert_allclose(ours.average_ranks, stats.rankdata(-values, axis=1).mean(axis=0))
        if np.isfinite(ours.f):
            assert ours.f == pytest.approx((n - 1) * ours.statistic / (n * (k - 1) - ours.statistic))
            assert ours.p_f == pytest.approx(stats.f.sf(ours.f, k - 1, (k - 1) * (n - 1)))


def test_iman_and_davenport_is_the_analysis_of_variance_of_the_ranks():
    """Their F is that of a two-way layout, data sets × models, on the ranks."""
    values = np.random.default_rng(2).random((7, 4)) + np.array([0.0, 0.1, 0.2, 0.3])
    ranks = stats.rankdata(values, axis=1)
    between = 7 * ((ranks.mean(axis=0) - 2.5) ** 2).sum() / 3
    rest = ((ranks - ranks.mean(axis=0)) ** 2).sum() / (3 * 6)  # no effect of data sets: all have the mean rank 2.5
    assert sig.friedman(values).f == pytest.approx(between / rest)


def test_direction_agreement_and_no_difference():
    values = np.random.default_rng(0).random((6, 4))
    up, down = sig.friedman(values), sig.friedman(values, higher_is_better=False)
    np.testing.assert_allclose(up.average_ranks + down.average_ranks, 5.0)
    assert up.f == pytest.approx(down.f)
    same = sig.friedman(np.tile([0.1, 0.2, 0.3], (4, 1)))
    assert same.average_ranks.tolist() == [3.0, 2.0, 1.0]
    assert same.f == np.inf
    assert same.p_f == pytest.approx((1 / 6) ** 3)
    tied = sig.friedman(np.tile([0.1, 0.1, 0.3], (4, 1)))
    assert tied.p_f == pytest.approx((1 / 3) ** 3)
    assert sig.friedman(np.ones((5, 3)))[1:] == (0.0, 1.0, 0.0, 1.0)


def test_friedman_rejects_a_true_null_as_often_as_it_says():
    rng = np.random.default_rng(5)
    p = np.array([sig.friedman(rng.random((10, 5))).p_f for _ in range(2000)])
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.016)  # three standard errors


@pytest.mark.parametrize("n_models", PUBLISHED)
def test_nemenyi_has_the_published_critical_values(n_models):
    difference = sig.nemenyi_critical_difference(n_models, 14)
    q = difference / np.sqrt(n_models * (n_models + 1) / (6 * 14))
    assert q == pytest.approx(PUBLISHED[n_models], abs=0.0012)  # they are rounded, one of them up to .001 too far
    if n_models == 4:
        assert difference == pytest.approx(1.25, abs=0.005)  # the worked example of section 3.2.3


def test_nemenyi_by_simulation():
    """Under the null, the largest difference of average ranks passes the critical one in 5 % of the draws."""
    rng = np.random.default_rng(1)
    ranks = rng.permuted(np.tile(np.arange(1.0, 7.0), (4000, 60, 1)), axis=2).mean(axis=1)
    exceeded = np.ptp(ranks, axis=1) >= sig.nemenyi_critical_difference(6, 60)
    assert exceeded.mean() == pytest.approx(0.05, abs=0.0105)


@given(st.lists(st.integers(2, 20), min_size=1, max_size=9), st.floats(0.1, 6))
@settings(max_examples=200, deadline=None)
def test_cliques_are_the_largest_sets_within_the_critical_difference(halves, critical):
    ranks = np.array(halves) / 2
    found = sig.rank_cliques(ranks, critical)
    for clique in found:
        own = ranks[list(clique)]
        assert len(clique) > 1
        assert np.ptp(own) < critical
        assert all(np.ptp(np.append(own, ranks[i])) >= critical for i in range(len(ranks)) if i not in clique)
    for i in range(len(ranks)):
        for j in range(i):
            together = any({i, j} <= set(clique) for clique in found)
            assert together == (abs(ranks[i] - ranks[j]) < critical)


def _matrix(values):
    n = values.shape[1]
    pairs = [(i, j) for i in range(n) for j in range(i)]
    corrected = sig.holm([sig.paired_test(values[:, i], values[:, j]).p for i, j in pairs])
    p = np.ones((n, n))
    for (i, j), value in zip(pairs, corrected, strict=True):
        p[i, j] = p[j, i] = value
    return values.mean(axis=0), p


def test_rank_groups_join_what_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, (400, 5))
    means, p = _matrix(rng.random(400)[:, None] + noise + np.array([0.0, 0.5, 0.5, 0.2, 0.0]))
    assert sig.rank_groups(means, p).tolist() == [3, 1, 1, 2, 3]
    assert sig.rank_groups(means, p, higher_is_better=False).tolist() == [1, 3, 3, 2, 1]
    assert sig.rank_groups([0.5, 0.4], np.ones((2, 2))).tolist() == [1, 1]
    assert sig.rank_groups([0.5], [[1.0]]).tolist() == [1]


def test_rank_groups_compare_with_the_leader():
    """Each step down is small: the second is in the leader's group, the third only near the second."""
    p = np.array([[1.0, 0.3, 0.01], [0.3, 1.0, 0.3], [0.01, 0.3, 1.0]])
    assert sig.rank_groups([0.5, 0.25, 0.0], p).tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sig.friedman([[0.1, 0.2]]), r"at least 2 of each; found shape \(1, 2\)"),
        (lambda: sig.friedman([[0.1, np.nan], [0.2, 0.3]]), "finite"),
        (lambda: sig.nemenyi_critical_difference(1, 5), "two models and one data set at least"),
        (lambda: sig.rank_groups([1.0, 2.0], [[1.0]]), "shapes"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
