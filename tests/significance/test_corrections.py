"""Holm and Benjamini-Hochberg against statsmodels, against the sequential procedure, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from recsys_lab import significance as sig

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@pytest.mark.parametrize("n_inputs", [10, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("ours", "theirs"), [(sig.holm, "holm"), (sig.benjamini_hochberg, "fdr_bh")])
def test_corrections_are_those_of_statsmodels(ours, theirs, n_inputs):
    rng = np.random.default_rng(0)
    for _ in range(n_inputs):  # the other side takes its time
        p = rng.beta(0.3, 1, int(rng.integers(1, 40))).round(int(rng.integers(1, 8)))  # equal ones among them
        np.testing.assert_allclose(ours(p), multipletests(p, method=theirs)[1], rtol=1e-12)


def test_holm_worked_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, and none below one before it
    np.testing.assert_allclose(sig.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(sig.holm([0.5, 0.9]), [1.0, 1.0])
    assert sig.holm([]).shape == sig.benjamini_hochberg([]).shape == (0,)


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
def test_benjamini_hochberg_lies_between_the_raw_p_and_holms(p_values):
    found = sig.benjamini_hochberg(p_values)
    assert (found <= sig.holm(p_values) + 1e-12).all()
    assert (found >= np.asarray(p_values) - 1e-12).all()


@pytest.mark.parametrize("wrong", [[0.5, 1.5], [np.nan], [[0.5]]])
def test_what_is_wrong_is_said(wrong):
    for correct in (sig.holm, sig.benjamini_hochberg):
        with pytest.raises(ValueError, match=r"1-d array of numbers in \[0, 1\]"):
            correct(wrong)
