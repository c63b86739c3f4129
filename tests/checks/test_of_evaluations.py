"""L07, L08 and L10: looks at the test part, searches that saw it, numbers too good to be true."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from recsys_lab import evaluate, make_algorithm, split
from recsys_lab.algorithms.baselines import Popularity
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.checks import LeakError, looks_check, require_passed, summary_of, too_good_check, tuning_check
from recsys_lab.splits import validation_split
from recsys_lab.tuning import sealed, tune


def measured(algorithm: str = "EASE", **summary: float) -> SimpleNamespace:
    return SimpleNamespace(algorithm=algorithm, summary={key.replace("_at_", "@"): v for key, v in summary.items()})


def test_l07_many_configurations_on_one_test_part():
    assert looks_check(10, "EASE").passed
    check = looks_check(11, "EASE")
    assert (check.id, check.level, check.passed, check.value) == ("L07", "W", False, 11.0)
    assert "validation part" in check.message


def test_l10_metrics_near_one():
    check = too_good_check(measured(ndcg_at_10=0.97, recall_at_10=0.9), {}, "ndcg@10")
    assert (check.id, check.level, check.passed, check.value) == ("L10", "W", False, 0.97)
    # lifted by long lists alone, and no metrics of accuracy
    high = measured(ndcg_at_10=0.2, hit_rate_at_10=1.0, recall_at_10=0.99, gini_at_10=0.99, user_coverage=1.0)
    assert too_good_check(high, {}, "ndcg@10").passed


def test_l10_many_times_the_best_baseline():
    baselines = {"Random": measured(ndcg_at_10=0.01), "Popularity": measured(ndcg_at_10=0.1)}
    sound = too_good_check(measured(ndcg_at_10=0.49), baselines, "ndcg@10")
    assert (sound.passed, sound.value) == (True, pytest.approx(4.9))
    check = too_good_check(measured(ndcg_at_10=0.6), baselines, "ndcg@10")
    assert (check.passed, check.value) == (False, pytest.approx(6.0))
    assert "(Popularity)" in check.message
    assert too_good_check(measured("Oracle", ndcg_at_10=0.99), baselines, "ndcg@10").passed
    errors = {"Bias": measured(rmse=1.0), "Mean": measured(rmse=2.0)}
    assert too_good_check(measured(rmse=0.5), errors, "rmse").value == pytest.approx(2.0)
    assert not too_good_check(measured(rmse=0.1), errors, "rmse").passed


def test_l10_finds_a_model_that_knows_the_test_part():
    cut = split(contract_data(), "random_user", test=0.5)

    class KnowsTheTest(Popularity):
        def score(self, users, histories):
            return cut.test.matrix[users].toarray()

    honest = evaluate(make_algorithm("EASE"), cut, cutoffs=[5])
    baselines = {"Random": evaluate(make_algorithm("Random"), cut, cutoffs=[5])}
    assert too_good_check(honest, baselines, "ndcg@5").passed
    check = too_good_check(evaluate(KnowsTheTest(), cut, cutoffs=[5]), baselines, "ndcg@5")
    assert not check.passed
    assert "@5 is 1.000, above 0.95" in check.message


def test_l08_a_search_sees_no_row_of_the_test_part():
    cut = split(contract_data(), "random_user", test=0.2, validation=0.2)
    record = tune("ItemKNN", cut, {"n_neighbors": (5, 20)}, metric="ndcg@5", n_trials=2)
    searched = validation_split(sealed(cut))
    check = tuning_check(record, searched, cut.test)
    assert (check.id, check.level, check.passed, check.value) == ("L08", "E", True, 0.0)
    on_test = tuning_check(record, cut, cut.test)  # trials that were measured on the test part itself
    assert (on_test.passed, on_test.value) == (False, float(len(np.unique(cut.test.users * 50 + cut.test.items))))
    assert "are in the measured part" in on_test.message
    other = validation_split(split(contract_data(), "random_user", test=0.2, validation=0.3))
    assert "was made on the split" in tuning_check(record, other, cut.test).message
    with pytest.raises(LeakError, match=r"check L08 failed \(ItemKNN\): .* search again on a validation part"):
        require_passed([check, on_test], "ItemKNN")


def test_the_verdict_in_words():
    good, warned = looks_check(1, "EASE"), looks_check(99, "EASE")
    wrong = tuning_check(SimpleNamespace(validation_hash="x"), split(contract_data()), contract_data())
    assert summary_of([]) == ""
    assert summary_of([good]) == "ok"
    assert summary_of([good, warned, warned]) == "warn: L07"
    assert summary_of([wrong, warned]) == "invalid: L08"
