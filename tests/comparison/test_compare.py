"""Comparisons of evaluations that are made up: what they say, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recsys_lab.comparison import BASELINES, compare
from recsys_lab.significance import benjamini_hochberg, holm, paired_test, sign_flip_p


@dataclass(frozen=True)
class Fake:
    """The fields of an Evaluation that a comparison looks at."""

    per_user: pd.DataFrame
    summary: dict[str, float] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=lambda: {"task": "ranking", "cutoffs": [10], "hash": "p" * 64})
    dataset_hash: str = "d" * 64
    split_hash: str = "s" * 64
    algorithm: str = "Fake"


def ranking(values, users=None, **fields) -> Fake:
    users = np.arange(len(values)) if users is None else users
    return Fake(
        pd.DataFrame({"ndcg@10": np.asarray(values, dtype=float)}, index=pd.Index(users, name="user")), **fields
    )


def rating(errors, users, **fields) -> Fake:
    """The per-user table of errors (n,) of users (n,)."""
    frame = pd.DataFrame({"user": users, "sse": np.square(errors), "sae": np.abs(errors), "n_pairs": 1})
    table = frame.groupby("user").sum()
    table["rmse"], table["mae"] = np.sqrt(table["sse"] / table["n_pairs"]), table["sae"] / table["n_pairs"]
    return Fake(table, **fields)


@pytest.fixture
def models():
    rng = np.random.default_rng(0)
    base = rng.random(400)
    shift = {"Random": -0.4, "Popularity": 0.0, "good": 0.2, "same": 0.0, "bad": -0.2, "Oracle": 1.0}
    spread = {"same": 0.001}
    return {name: ranking(base + by + rng.normal(0, spread.get(name, 0.1), 400)) for name, by in shift.items()}


def test_every_challenger_against_the_best_baseline(models):
    found = compare(models)
    assert found.best_baseline == "Popularity"
    values = {name: one.per_user["ndcg@10"].to_numpy() for name, one in models.items()}
    tests = {name: paired_test(values[name], values["Popularity"]) for name in ("good", "same", "bad")}
    corrected = holm([test.p for test in tests.values()])
    for (name, test), p in zip(tests.items(), corrected, strict=True):
        row = found.table.loc[name]
        assert (row["difference"], row["difference_low"], row["difference_high"], row["p"]) == pytest.approx(test[:4])
        assert row["p_holm"] == pytest.approx(p)
        assert (row["wins"], row["ties"], row["losses"]) == (test.wins, test.ties, test.losses)
        assert row["relative_percent"] == pytest.approx(100 * test.difference / values["Popularity"].mean())
        assert row["dz"] == pytest.approx(test.dz)
    assert found.details.loc["good", "p_sign_flip"] == pytest.approx(sign_flip_p(values["good"] - values["Popularity"]))
    assert found.details.loc["same", "p_sign_flip"] == pytest.approx(
        sign_flip_p(values["same"] - values["Popularity"]), abs=1e-3
    )


def test_the_table_has_its_order_roles_and_columns(models):
    table = compare(models).table
    expected = """rank_group mean low high n_users difference difference_low difference_high relative_percent p p_holm
        dz wins ties losses verdict is_baseline"""
    assert " ".join(table.columns) == " ".join(expected.split())
    assert table.index[0] == "good"
    assert table.index[-1] == "Oracle"  # shown apart, though the best
    assert list(table["mean"][:-1]) == sorted(table["mean"][:-1], reverse=True)
    assert table["is_baseline"].to_dict() == {name: name in ("Random", "Popularity") for name in table.index}
    assert table["verdict"].to_dict() == {
        "good": "better",
        "same": "inconclusive",
        "Popularity": "baseline",
        "bad": "worse",
        "Random": "baseline",
        "Oracle": "reference",
    }
    assert table["p_holm"].notna().sum() == 3  # the family: challengers only
    assert np.isnan(table.loc["Popularity", "p"])
    assert (table["n_users"] == 400).all()
    assert table.loc["Oracle", "rank_group"] == 0
    assert table["rank_group"].to_dict() == {"good": 1, "same": 2, "Popularity": 2, "bad": 3, "Random": 4, "Oracle": 0}


def test_the_oracle_changes_no_number_of_the_others(models):
    with_it, without = compare(models), compare({name: one for name, one in models.items() if name != "Oracle"})
    pd.testing.assert_frame_equal(with_it.table.drop(index="Oracle"), without.table)
    assert with_it.minimum_detectable_difference == without.minimum_detectable_difference


@pytest.mark.parametrize(
    ("shift", "noise", "verdict"),
    [
        (0.05, 0.01, "better"),
        (-0.05, 0.01, "worse"),
        (0.0, 0.005, "equivalent"),
        (0.002, 0.001, "equivalent"),  # significant, and too small to matter
        (0.0049, 0.01, "inconclusive"),  # significant, and perhaps too small to matter
        (0.0, 0.5, "inconclusive"),
    ],
)
def test_verdicts_know_significance_and_size(shift, noise, verdict):
    """The best baseline has a mean of .5 exactly, so 1 % of it is .005."""
    wave = np.tile([-1.0, 1.0], 200)
    models = {"Popularity": ranking(np.full(400, 0.5)), "new": ranking(0.5 + shift + noise * wave)}
    table = compare(models).table
    assert table.loc["new", "verdict"] == verdict
    if shift in (0.002, 0.0049):
        assert table.loc["new", "p_holm"] < 0.001
    assert compare(models, min_effect=0.5).table.loc["new", "verdict"] == "equivalent"


def test_equal_models_have_p_one(models):
    table = compare({"Popularity": models["Popularity"], "copy": models["Popularity"]}).table
    assert tuple(table.loc["copy", ["p", "p_holm", "difference_low", "difference_high"]]) == (1, 1, 0, 0)
    assert table.loc["copy", "verdict"] == "equivalent"
    assert table.loc["copy", "ties"] == 400
    assert table["rank_group"].tolist() == [1, 1]


def test_users_without_relevant_items_are_left_out(models):
    hidden = {name: one.per_user.copy() for name, one in models.items()}
    for frame in hidden.values():
        frame.iloc[:50] = np.nan
    shuffled = {
        name: replace(models[name], per_user=frame.sample(frac=1, random_state=1)) for name, frame in hidden.items()
    }
    table = compare(shuffled).table
    assert (table["n_users"] == 350).all()
    assert table.loc["good", "mean"] == pytest.approx(models["good"].per_user["ndcg@10"][50:].mean())


def test_micro_rmse_is_the_rmse_of_all_pairs():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(300), rng.integers(1, 40, 300))
    first, second = rng.normal(0, 1.0, len(users)), rng.normal(0, 1.1, len(users))
    models = {"Bias": rating(second, users), "new": rating(first, users)}
    for metric, micro in (("rmse", lambda e: np.sqrt(np.mean(e**2))), ("mae", lambda e: np.abs(e).mean())):
        table = compare(models, metric).table
        assert table.loc["new", "mean"] == pytest.approx(micro(first))
        assert table.loc["Bias", "mean"] == pytest.approx(micro(second))
        assert table.loc["new", "verdict"] == "better"  # lower is better
        assert table.index[0] == "new"
        assert table.loc["new", "difference"] < 0
        own = [models[name].per_user[metric] for name in ("new", "Bias")]
        assert table.loc["new", "wins"] == (own[0] < own[1]).sum()
    bootstrap = []
    for _ in range(400):
        weights = rng.multinomial(300, np.full(300, 1 / 300))[users]
        bootstrap.append(
            np.sqrt(np.average(first**2, weights=weights)) - np.sqrt(np.average(second**2, weights=weights))
        )
    row = compare(models, "rmse").table.loc["new"]
    width = (row["difference_high"] - row["difference_low"]) / 2 / stats.t.ppf(0.975, 299)
    assert width == pytest.approx(np.std(bootstrap), rel=0.15)  # 400 samples know a standard deviation to 3.5 %
    own = models["new"].per_user["rmse"]
    models = {name: replace(one, per_user=one.per_user[["rmse"]]) for name, one in models.items()}
    assert compare(models, "rmse_macro").table.loc["new", "mean"] == pytest.approx(own.mean())


def test_seeds_of_one_split_are_averaged(models):
    rng = np.random.default_rng(1)
    values = [rng.random(400) + 0.1 for _ in range(3)]
    found = compare({"Popularity": models["Popularity"], "new": [ranking(one) for one in values]})
    one = compare({"Popularity": models["Popularity"], "new": ranking(np.mean(values, axis=0))})
    pd.testing.assert_frame_equal(found.table, one.table)
    assert found.details.loc["new", "n_seeds"] == 3
    assert found.details.loc["new", "seed_sd"] == pytest.approx(np.std([value.mean() for value in values], ddof=1))
    assert "mean over the seeds" in found.notes[0]
    assert found.details.loc["new", "p_users"] == found.table.loc["new", "p"]


def test_folds_are_pooled_so_that_a_user_counts_once():
    rng = np.random.default_rng(2)
    folds = [np.sort(rng.permutation(60)[:45]) for _ in range(4)]
    values = {name: rng.random((4, 60)) + by for name, by in (("Popularity", 0.0), ("new", 0.3))}
    models = {
        name: [ranking(value[i, users], users, split_hash=f"{i}" * 64) for i, users in enumerate(folds)]
        for name, value in values.items()
    }
    found = compare(models)
    tested = np.array([[user in fold for user in range(60)] for fold in folds])
    present = tested.any(axis=0)
    assert (tested.sum(axis=0) > 1).any()
    means = {name: (value * tested).sum(axis=0) / np.maximum(tested.sum(axis=0), 1) for name, value in values.items()}
    assert found.table.loc["new", "n_users"] == present.sum()
    expected = paired_test(means["new"][present], means["Popularity"][present])
    assert found.details.loc["new", "p_users"] == pytest.approx(expected.p)
    assert found.table.loc["new", "difference"] == pytest.approx(expected.difference)
    of_folds = [values["new"][i, users].mean() - values["Popularity"][i, users].mean() for i, users in enumerate(folds)]
    error = np.sqrt((1 / 4 + 1 / 3) * np.var(of_folds, ddof=1))  # Nadeau and Bengio: n_test / n_train = 1 / (4 - 1)
    row = found.table.loc["new"]
    assert row["p"] == pytest.approx(2 * stats.t.sf(expected.difference / error, 3))
    half = stats.t.ppf(0.975, 3) * error
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(
        (expected.difference - half, expected.difference + half)
    )
    assert found.pairs["p"].tolist() == [pytest.approx(row["p"])]
    assert found.minimum_detectable_difference > (stats.t.ppf(0.975, 3) + stats.t.ppf(0.8, 3)) * error * 0.9
    assert "pooled over the folds (of 4)" in found.notes[0]
    assert "3 degrees of freedom" in found.notes[1]


def test_pooled_micro_errors_add_up():
    rng = np.random.default_rng(3)
    users = rng.integers(0, 30, 900)
    errors = rng.normal(0, 1, 900)
    fold = np.arange(900) % 3
    runs = [rating(errors[fold == i], users[fold == i], split_hash=f"{i}" * 64) for i in range(3)]
    found = compare({"Bias": [replace(run) for run in runs], "new": runs}, "rmse")
    assert found.table.loc["new", "mean"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert found.table.loc["new", "p"] == 1.0


def test_what_could_be_seen_shrinks_with_users(models):
    found = compare(models)
    per_model = found.details["minimum_detectable"]
    assert found.minimum_detectable_difference == pytest.approx(per_model[["good", "same", "bad"]].median())
    assert per_model[["Oracle", "Popularity", "Random"]].isna().all()
    fewer = compare({name: replace(one, per_user=one.per_user.iloc[:100]) for name, one in models.items()})
    assert fewer.minimum_detectable_difference > found.minimum_detectable_difference
    assert np.isnan(compare({"Popularity": models["Popularity"]}).minimum_detectable_difference)


def test_all_pairs_are_an_appendix_with_their_own_correction(models):
    pairs = compare(models).pairs
    assert len(pairs) == 10  # the Oracle is in no pair
    np.testing.assert_allclose(pairs["p_holm"], holm(pairs["p"]))
    row = pairs[(pairs["first"] == "good") & (pairs["second"] == "bad")].iloc[0]
    assert row["difference"] == pytest.approx(0.4, abs=0.03)
    assert compare({"Popularity": models["Popularity"]}).pairs.empty


def test_without_a_baseline_the_best_model_is_the_measure(models):
    found = compare({"good": models["good"], "bad": models["bad"]})
    assert found.best_baseline == "good"
    assert "no baseline among the models" in found.notes[-1]
    assert found.table["verdict"].to_dict() == {"good": "best model", "bad": "worse"}
    assert not found.table["is_baseline"].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset_hash": "x" * 64}, r"dataset_hash: Popularity dddd\w+, new xxxx"),
        ({"split_hash": "x" * 64}, r"different are split_hash: Popularity ssss\w+, new xxxx"),
        (
            {"protocol": {"task": "ranking", "cutoffs": [20], "hash": "q" * 64}},
            r"protocol cutoffs: Popularity \[10\], new \[20\]",
        ),
        ({"protocol": {"task": "ranking", "cutoffs": [10], "hash": "q" * 64}}, "protocol hash: Popularity 'ppp"),
    ],
)
def test_it_refuses_to_mix(change, message, models):
    with pytest.raises(ValueError, match=message):
        compare({"Popularity": models["Popularity"], "new": replace(models["good"], **change)})
    with pytest.raises(ValueError, match=r"different are|differs"):
        compare({"Popularity": models["Popularity"], "new": [models["good"], replace(models["good"], **change)]})


def test_it_refuses_other_users(models):
    table = models["good"].per_user
    for other in (
        table.iloc[:-3],
        table.assign(**{"ndcg@10": table["ndcg@10"].where(table.index < 397)}),
        table.set_axis(table.index + 3, axis=0),
    ):
        with pytest.raises(
            ValueError, match=r"same users can be compared; Popularity has 400 and new has.*only in the first"
        ):
            compare({"Popularity": models["Popularity"], "new": replace(models["good"], per_user=other)})
    seeds = [models["good"], replace(models["good"], per_user=table.iloc[5:])]
    with pytest.raises(ValueError, match="seeds of model 'new' have different users"):
        compare({"Popularity": models["Popularity"], "new": seeds})


def test_it_refuses_other_pairs_and_uneven_seeds():
    users = np.repeat(np.arange(20), 3)
    whole, fewer = rating(np.ones(60), users), rating(np.ones(59), users[1:])
    with pytest.raises(ValueError, match="user 0 has n_pairs 3 with Bias and 2 with new"):
        compare({"Bias": whole, "new": fewer}, "rmse")
    other = replace(whole, split_hash="o" * 64)
    with pytest.raises(ValueError, match="'new' needs equally many seeds on every fold"):
        compare({"Bias": [whole, other], "new": [whole, whole, other]}, "rmse")


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        ({}, {}, ValueError, "at least one evaluation"),
        (None, {"primary": "ndgc@10"}, ValueError, "did you mean 'ndcg'"),
        (None, {"primary": "recall@10"}, ValueError, "'recall@10' is not measured per user for model 'Random'"),
        (None, {"primary": "novelty@10"}, ValueError, "pass higher_is_better"),
        (None, {"baselines": ["Popularty"]}, ValueError, "'Popularty', named as a baseline; did you mean 'Popularity'"),
        (None, {"baselines": "Popularity"}, TypeError, r"write \('Popularity',\)"),
        (None, {"references": ["Truth"]}, ValueError, "named as a reference"),
        ({"new": []}, {}, ValueError, "model 'new' has no evaluation"),
        (None, {"primary": "sampled_ndcg@10"}, ValueError, "drawn candidates"),
        (None, {"correction": "bonferroni"}, ValueError, "right would be holm or benjamini_hochberg"),
    ],
)
def test_what_is_wrong_is_said(given, options, error, message, models):
    with pytest.raises(error, match=message):
        compare(models if given is None else given, **options)


def test_only_references_or_no_values_cannot_be_compared(models):
    with pytest.raises(ValueError, match="only references were given"):
        compare({"Oracle": models["Oracle"]})
    with pytest.raises(ValueError, match="defined for no user"):
        compare({"Popularity": ranking([np.nan, np.nan])})


def test_own_baselines_and_direction(models):
    assert "Oracle" not in BASELINES
    found = compare(models, baselines=["good", "bad"], higher_is_better=False)
    assert found.best_baseline == "bad"
    assert found.table.loc["Random", "verdict"] == "better"
    assert found.table.index[0] == "Random"


def test_it_compares_what_evaluate_measures(frame_small):
    from recsys_lab.algorithms.catalogue import make_algorithm
    from recsys_lab.checks import failed, leak_check
    from recsys_lab.evaluation import evaluate
    from recsys_lab.splits import split

    cut = split(frame_small, "temporal_user")
    measured = {name: evaluate(make_algorithm(name), cut) for name in ("Random", "Popularity", "ItemKNN")}
    found = compare(measured)
    for name, one in measured.items():
        assert found.table.loc[name, "mean"] == pytest.approx(one.summary["ndcg@10"])
    assert failed(leak_check(cut, measured)) == []
    rated = {
        name: evaluate(make_algorithm(name), cut, task="rating", rating_fallback="global_mean")
        for name in ("Bias", "UserKNN")
    }
    table = compare(rated, "rmse").table
    for name, one in rated.items():
        assert table.loc[name, "mean"] == pytest.approx(one.summary["rmse"])


@pytest.fixture
def frame_small():
    from recsys_lab.data.interactions import Interactions

    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 30)) < 0.4)
    frame = pd.DataFrame({"user_id": users, "item_id": items, "rating": rng.integers(1, 6, len(users)).astype(float)})
    return Interactions.from_frame(frame.assign(timestamp=rng.permutation(len(users))))


def test_everything_that_differs_is_named_at_once(models):
    ours = replace(models["Popularity"], protocol={"task": "ranking", "candidates": {"kind": "all"}, "hash": "a"})
    theirs = replace(
        models["good"],
        dataset_hash="x" * 64,
        split_hash="y" * 64,
        protocol={"task": "ranking", "candidates": {"kind": "given"}, "hash": "b"},
    )
    with pytest.raises(
        ValueError,
        match=r"dataset_hash: .*, new xxx\w+; protocol candidates.kind: Popularity 'all', new 'given'; split_hash: .*y",
    ):
        compare({"Popularity": ours, "new": theirs})


def test_baselines_that_are_alike_all_count_for_models_behind_them():
    rng = np.random.default_rng(0)
    base = rng.random(300)
    values = {name: base + rng.normal(0, 0.1, 300) for name in ("Popularity", "RecentPopularity")}
    values |= {"Random": base - 0.4, "behind": base - 0.02 + rng.normal(0, 0.1, 300), "ahead": base + 0.1}
    found = compare({name: ranking(value) for name, value in values.items()})
    p = found.table["p"]
    corrected = holm([2 * p["behind"], p["ahead"]])
    assert found.table.loc[["behind", "ahead"], "p_holm"].tolist() == pytest.approx(list(corrected))
    assert any("all count" not in note and "counts them all" in note and "behind" in note for note in found.notes)


def test_benjamini_hochberg_decides_when_asked(models):
    rng = np.random.default_rng(8)
    base = rng.random(400)
    values = {"Popularity": base} | {f"new {i}": base + 0.03 + rng.normal(0, 0.2, 400) for i in range(8)}
    given = {name: ranking(value) for name, value in values.items()}
    by_holm, by_hochberg = compare(given), compare(given, correction="benjamini_hochberg")
    raw = by_holm.table.loc[[f"new {i}" for i in range(8)], "p"]
    expected = pd.Series(benjamini_hochberg(raw), raw.index)
    assert by_hochberg.details.loc[raw.index, "p_benjamini_hochberg"].tolist() == pytest.approx(expected.tolist())
    won = {name: set(found.table.index[found.table["verdict"] == "better"]) for name, found in
           (("holm", by_holm), ("bh", by_hochberg))}  # fmt: skip
    assert won["bh"] == set(expected.index[expected < 0.05])
    assert won["holm"] < won["bh"]
