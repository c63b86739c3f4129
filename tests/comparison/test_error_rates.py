"""How often the whole procedure is wrong when the truth is known; ``pytest --slow -s`` prints the figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recsys_lab.comparison import compare, comparing, tables
from recsys_lab.comparison.values import Measured
from recsys_lab.significance import holm, intervals, mean_interval, paired_test

pytestmark = pytest.mark.slow

N_USERS = 300
N_TABLES = 1500  # 5 % is known to ± .56 % (one standard error)
BASELINES = ("Popularity", "Random", "RecentPopularity", "Bias", "NormalPredictor")


def as_measured(evaluations: dict[str, np.ndarray], primary: str, **options: bool) -> Measured:
    """In the place of ``measured_values``, which gathers the values of users who are the same here anyway."""
    values = pd.DataFrame(evaluations)
    return Measured(
        values=values,
        ordered=values,
        by_split={name: np.array([column.mean()]) for name, column in evaluations.items()},
        n_seeds=dict.fromkeys(evaluations, 1),
        seed_sd=dict.fromkeys(evaluations, np.nan),
        notes=(),
        dataset_hash="",
        protocol={},
    )


def many_zeros(rng: np.random.Generator, n: int, kinds: list[int]) -> np.ndarray:
    """Values of n users and len(kinds) models, all with one true mean, most of them 0, as nDCG@10 of short tests is.

    Users differ in difficulty. Kind 0 hits often and low in the list, kind 1 half as often and twice as high, so that
    differences between the kinds are skewed.
    """
    easy = rng.beta(1, 2, n)[:, None]
    rare = np.array(kinds, dtype=bool)
    hit = rng.random((n, len(kinds))) < np.where(rare, easy / 2, easy)
    shape = (n, len(kinds))
    return hit * np.where(rare, rng.beta(3, 1.5, shape), rng.beta(1.5, 3, shape))


def rates(monkeypatch, n_alike: int, n_challengers: int, *, named: bool = True) -> dict[str, float]:
    """In % of tables: any false p_holm below .05, any false "better", the same without a correction for the choice."""
    monkeypatch.setattr(tables, "sign_flip_ps", lambda d, seed: np.ones(d.shape[1]))  # it decides nothing, and is slow
    monkeypatch.setattr(comparing, "measured_values", as_measured)
    names = [*BASELINES[:n_alike], *(f"new {number}" for number in range(n_challengers))]
    kinds = [0] * n_alike + [number % 2 for number in range(n_challengers)]
    found = np.zeros(4)
    for seed in range(N_TABLES):
        rng = np.random.default_rng([seed, n_alike, n_challengers])
        values = many_zeros(rng, N_USERS, kinds)
        models = dict(zip(names, values.T, strict=True))
        if named and n_alike < len(BASELINES):  # one baseline is clearly worse, as a random one is
            models[BASELINES[n_alike]] = values[:, 0] * (rng.random(N_USERS) < 0.3)
        comparison = compare(models, baselines=BASELINES if named else ())
        table = comparison.table
        family = table[~table["verdict"].isin(["baseline", "best model"])]
        plain = pd.Series(holm(family["p"].to_numpy()), family.index)
        false = family["p_holm"] < 0.05
        found += (
            false.any(),
            (false & (family["difference"] > 0)).any(),
            (plain < 0.05).any(),
            (comparison.pairs["p_holm"][~comparison.pairs["second"].isin(BASELINES[n_alike:])] < 0.05).any(),
        )
    result = dict(zip(("any", "better", "uncorrected", "pairs"), (found / N_TABLES * 100).round(2), strict=True))
    print(f"\n{n_alike} baselines alike, {n_challengers} challengers, {'named' if named else 'not named'}: {result}")
    return result


@pytest.mark.parametrize("n_challengers", [1, 5])
def test_the_family_wise_error_is_five_percent(monkeypatch, n_challengers):
    """The hardest null: all challengers are as good as the one best baseline."""
    found = rates(monkeypatch, 1, n_challengers)
    assert 3.5 <= found["any"] <= 6.5
    assert found["better"] <= 4.0
    assert found["pairs"] <= 6.5


@pytest.mark.parametrize("n_alike", [2, 3, 5])
def test_the_choice_of_the_best_baseline_makes_no_false_claims(monkeypatch, n_alike):
    """With baselines that are alike, the best of them is the luckiest; uncorrected, equal models look worse than it."""
    found = rates(monkeypatch, n_alike, 4)
    assert 0.5 <= found["any"] <= 5.5
    assert found["better"] <= 1.5
    if n_alike == 5:
        assert found["uncorrected"] > 6.5, "the correction is needed"


def test_the_best_model_as_the_measure_makes_no_false_claims(monkeypatch):
    found = rates(monkeypatch, 1, 5, named=False)
    assert found["any"] <= 5.5


@pytest.mark.parametrize(
    ("n", "zeros"), [(50, 0.3), (100, 0.6), (100, 0.85), (199, 0.85), (200, 0.6), (300, 0.85), (1000, 0.95)]
)
def test_intervals_of_a_mean_cover_it(monkeypatch, n, zeros):
    """The t interval from 200 users on, the BCa bootstrap below."""
    monkeypatch.setattr(intervals, "N_BOOTSTRAP", 1999)
    rng = np.random.default_rng([n, int(100 * zeros)])
    truth, hit, rounds = (1 - zeros) / 3, 0, 2000
    for seed in range(rounds):
        found = mean_interval(rng.beta(1.5, 3, n) * (rng.random(n) >= zeros), seed=seed)
        hit += found.low <= truth <= found.high
    print(f"\nmean of {n} users, {zeros:.0%} zeros ({found.method}): {100 * hit / rounds:.1f} %")
    assert 93 <= 100 * hit / rounds <= 97


@pytest.mark.parametrize("n", [50, 100, 300, 1000])
def test_intervals_of_a_difference_cover_it(n):
    rng = np.random.default_rng(n)
    hit, rounds = 0, 4000
    for _ in range(rounds):
        values = many_zeros(rng, n, [0, 1])
        found = paired_test(values[:, 1], values[:, 0])
        hit += found.low <= 0 <= found.high
    print(f"\ndifference over {n} users: {100 * hit / rounds:.1f} %")
    assert 93 <= 100 * hit / rounds <= 97
