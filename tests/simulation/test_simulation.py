"""A study of protocols: what is true, other test rows, resumption, coverage, the file and the page."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_lab import Interactions, make_algorithm, split
from recsys_lab.data.synthetic import generate, truth_of
from recsys_lab.experiment import ExperimentError
from recsys_lab.significance import paired_test
from recsys_lab.simulation import (
    LIKED,
    NEXT,
    Simulation,
    load_simulation,
    model_points,
    protocol_grid,
    protocols,
    read_study,
    simulate,
    true_values,
    truth_of_models,
)  # fmt: skip
from recsys_lab.simulation import study as study_module
from recsys_lab.simulation.page import markdown, update
from recsys_lab.simulation.redraw import _sweep, redraws

TINY = """
question: Is it true?
data: {name: synthetic-3k}
n_data_sets: 2
splits: [temporal_user, {strategy: temporal_global, test: 0.3}]
relevance_thresholds: [null, 4]
metrics: [ndcg@5, "sampled_ndcg@5[n=20]"]
n_redraws: 2
algorithms: [Random, Popularity, EASE]
"""


@pytest.fixture(scope="module")
def data() -> Interactions:
    return generate(60, 80, 2_000, seed=5)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    file = tmp_path_factory.mktemp("study") / "tiny.yaml"
    file.write_text(TINY, encoding="utf-8")
    return load_simulation(file)


@pytest.fixture(scope="module")
def table(spec: Simulation) -> pd.DataFrame:
    return simulate(spec)


def test_nobody_is_truer_than_the_oracle(data: Interactions) -> None:
    truth = truth_of(data.catalogue.info)
    values = {}
    for name, options in {"Oracle": {"moment": "end"}, "Popularity": {}, "EASE": {}, "Random": {}}.items():
        model = make_algorithm(name, **options).fit(data)
        values[name] = true_values(model, data, truth, k=10, liked_from=4)
        assert values[name].to_numpy().min() >= 0
        assert values[name].to_numpy().max() <= 1 + 1e-9
    np.testing.assert_allclose(values["Oracle"][NEXT], 1.0, rtol=1e-5)  # float32 scores may swap near ties
    assert values["Oracle"][NEXT].mean() > max(values[name][NEXT].mean() for name in ("Popularity", "EASE", "Random"))
    assert values["Random"][LIKED].mean() < values["EASE"][LIKED].mean()


def test_who_ranks_by_liking_is_truest_by_liking(data: Interactions) -> None:
    truth = truth_of(data.catalogue.info)
    assert data.timestamps is not None
    now = np.full(data.n_users, truth.moment(data.timestamps).max())
    model = study_module._Frozen(truth.rating_at_least(np.arange(data.n_users, dtype=np.int32), 4, now))
    found = true_values(model, data, truth, k=10, liked_from=4)
    np.testing.assert_allclose(found[LIKED], 1.0, rtol=1e-6)
    assert found[NEXT].mean() < 0.9


@pytest.mark.parametrize("strategy", ["temporal_user", "random_user", "leave_last_one_out"])
def test_redrawn_rows_are_other_rows_of_the_same_people(data: Interactions, strategy: str) -> None:
    parts = split(data, strategy, seed=1)
    drawn = list(redraws(data, parts, truth_of(data.catalogue.info), 3, np.random.default_rng(0), 4.0))
    train = set(zip(parts.train.users, parts.train.items, strict=True))
    for test in drawn:
        np.testing.assert_array_equal(np.sort(test.users), np.sort(parts.test.users))
        rows = list(zip(test.users, test.items, strict=True))
        assert len(set(rows)) == len(rows)
        assert not train & set(rows)
        assert set(np.unique(test.ratings)) <= {1.0, 5.0}
    assert (drawn[0].items != drawn[1].items).mean() > 0.5
    first, again = (
        next(iter(redraws(data, parts, truth_of(data.catalogue.info), 1, np.random.default_rng(7)))) for _ in "ab"
    )
    np.testing.assert_array_equal(first.items, again.items)


def test_redrawn_rows_have_their_exact_distribution() -> None:
    """One user, five items, four rows of which the first and the third are hidden: all cases counted."""
    weights = np.asarray([[1.0, 0.7, 0.4, 0.2, 0.1], [0.3, 1.0, 0.2, 0.6, 0.5]])
    visits, hidden = np.asarray([0, 0, 1, 1]), np.asarray([True, False, True, False])
    seen = {1: 2, 3: 1}  # row: item
    exact = {}
    for one, three in itertools.permutations([0, 3, 4], 2):
        rows, taken, p = [one, seen[1], three, seen[3]], [], 1.0
        for row, item in enumerate(rows):
            own = weights[visits[row]]
            p *= own[item] / (own.sum() - own[taken].sum())
            taken.append(item)
        exact[one, three] = p
    total = sum(exact.values())
    items = np.asarray([0, 2, 3, 1], dtype=np.int32)
    rng, n = np.random.default_rng(1), 20_000
    found = dict.fromkeys(exact, 0)
    for _ in range(n):
        _sweep(np.asarray([0, 4]), items, visits, hidden, weights, np.cumsum(weights, axis=1), 2, rng)
        found[int(items[0]), int(items[2])] += 1
    for case, p in exact.items():
        assert found[case] / n == pytest.approx(p / total, abs=0.02)


def test_the_table_is_tidy_and_the_same_again(spec: Simulation, table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(table, simulate(spec))
    pairs = table[table["second"].ne("")]
    means = table[table["second"].eq("")].set_index(["seed", "split", "relevance", "metric", "first"])["value"]
    keys = ["seed", "split", "relevance", "metric"]
    first = means.loc[pd.MultiIndex.from_frame(pairs[[*keys, "first"]])].to_numpy()
    second = means.loc[pd.MultiIndex.from_frame(pairs[[*keys, "second"]].rename(columns={"second": "first"}))]
    np.testing.assert_allclose(pairs["value"], first - second.to_numpy(), atol=1e-12)
    assert table["expected"].isna().eq(table["split"].eq("truth")).all()
    assert {"temporal_global", "temporal_global, warm users", "temporal_user", "truth"} == set(table["split"])
    assert list(truth_of_models(table).columns) == [LIKED, NEXT]
    assert set(protocols(table)["n_data_sets"]) == {2}


def test_a_stopped_study_goes_on(spec: Simulation, table: pd.DataFrame, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    done = []
    real = study_module._cell

    def stop(*given):  # type: ignore[no-untyped-def]
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(given[2:])
        return real(*given)

    monkeypatch.setattr(study_module, "_cell", stop)
    with pytest.raises(KeyboardInterrupt):
        simulate(spec, tmp_path)
    with pytest.raises(LookupError, match="4 of 6 parts of the study 'tiny' are missing; run recsys-lab simulate"):
        read_study(spec, tmp_path)
    monkeypatch.setattr(study_module, "_cell", lambda *given: done.append(given[2:]) or real(*given))
    pd.testing.assert_frame_equal(simulate(spec, tmp_path), table)
    assert len(done) == len(set(done)) == 6
    pd.testing.assert_frame_equal(read_study(spec, tmp_path), table)
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.startswith(".")]
    more = spec.model_copy(update={"n_data_sets": 3})
    with pytest.raises(LookupError, match="3 of 9"):  # what is there counts for a larger study
        read_study(more, tmp_path)


def planted(measure: str) -> pd.DataFrame:
    """A table of four models whose true values are 0.1 ... 0.4, over 60 data sets of 300 users each."""
    rng, models, rows = np.random.default_rng(2), ["a", "b", "c", "d"], []
    for seed in range(60):
        users = {name: 0.1 * (place + 1) + rng.normal(0, 1.0, 300) for place, name in enumerate(models)}
        exact = {name: np.full(300, 0.1 * (place + 1)) for place, name in enumerate(models)}
        turned = {name: -values for name, values in exact.items()}
        seen = {"noisy": users, "exact": exact, "reversed": turned}[measure]
        for label, metric, values in (("truth", LIKED, exact), ("s", "m", seen)):
            place = (seed, label, "every row", metric)
            rows += [(*place, name, "", own.mean(), np.nan, np.nan, np.nan) for name, own in values.items()]
            for first, second in itertools.combinations(models, 2):
                test = paired_test(values[first], values[second])
                expected = 0.1 * (models.index(first) - models.index(second))
                rows.append((*place, first, second, test.difference, test.low, test.high, expected))
    names = ["seed", "split", "relevance", "metric", "first", "second", "value", "low", "high", "expected"]
    return pd.DataFrame(rows, columns=names)


def test_a_protocol_that_measures_the_truth_is_always_right() -> None:
    (row,) = protocols(planted("exact")).to_dict("records")
    assert (row["tau"], row["pairs_right"], row["best_found"], row["regret"]) == pytest.approx((1, 1, 1, 0))
    assert (row["right"], row["open"], row["wrong"], row["n_pairs"]) == (1, 0, 0, 360)


def test_a_protocol_that_measures_the_opposite_is_always_wrong() -> None:
    (row,) = protocols(planted("reversed")).to_dict("records")
    assert (row["tau"], row["pairs_right"], row["wrong"], row["best_found"]) == pytest.approx((-1, 0, 1, 0))
    assert row["regret"] == pytest.approx(0.3)
    assert row["regret_percent"] == pytest.approx(75)


def test_intervals_cover_as_often_as_they_say_where_nothing_but_chance_is_wrong() -> None:
    (row,) = protocols(planted("noisy")).to_dict("records")
    assert 0.92 <= row["covers_expected"] <= 0.98
    assert 0.90 <= row["covers_elsewhere"] <= 0.98
    assert 0.5 < row["pairs_right"] < 1
    assert row["wrong"] < 0.05 < row["open"]


def test_an_unknown_truth_or_protocol_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="unknown truth 'likes'; known: liked, next"):
        protocols(table, "likes")
    with pytest.raises(ValueError, match="no rows of the protocol"):
        model_points(table, LIKED, ("random", "every row", "ndcg@5"))


def test_the_page_says_what_was_found(spec: Simulation, table: pd.DataFrame, tmp_path: Path) -> None:
    grid = protocol_grid(protocols(table), "pairs_right")
    assert list(grid.columns) == list(spec.metrics)
    assert "temporal_user, rating >= 4" in grid.index
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- generated: simulation (x) -->\n<!-- end generated -->\nafter\n", encoding="utf-8")
    update(page, markdown(spec, table))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before")
    assert "2 data sets of the kind `synthetic-3k`, 3 algorithms" in text
    assert f"| EASE | {truth_of_models(table)[LIKED]['EASE']:.3f} |" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_redraws: 2", "n_redraw: 2", r"n_redraw: unknown key; did you mean 'n_redraws'\?"),
        ("question: Is it true?", "", "question: this key is needed"),
        ("name: synthetic-3k", "name: ml-100k", "unknown synthetic data set 'ml-100k'"),
        ("{name: synthetic-3k}", "{size: 3}", r"data\.size: unknown key.*known: name, taste"),
        ("[temporal_user,", "[temporl_user,", "'temporl_user' is no split.*did you mean 'temporal_user'"),
        ("test: 0.3", "test: 3", "test must be a share between 0 and 1"),
        ("[ndcg@5,", "[ncdg@5,", "ncdg"),
        ("[ndcg@5,", "[ndcg,", "'ndcg': right would be a metric of rankings with its cut-off"),
        ("Popularity, EASE", "Popularity, EASY", r"unknown algorithm 'EASY'; did you mean 'EASE'\?"),
        ("Popularity, EASE", "Popularity, Popularity", "each algorithm may stand once"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "study.yaml"
    assert old in TINY
    file.write_text(TINY.replace(old, new), encoding="utf-8")
    with pytest.raises(ExperimentError, match=message):
        load_simulation(file)


def test_a_file_that_is_not_there_and_the_ones_that_are(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(TINY, encoding="utf-8")
    with pytest.raises(ExperimentError, match=r"no such file; did you mean 'study.yaml'"):
        load_simulation(tmp_path / "studi.yaml")
    assert load_simulation().name == "small"
    shipped = Path(__file__).resolve().parents[2] / "experiments" / "simulation.yaml"
    assert load_simulation(shipped).name == "simulation"
