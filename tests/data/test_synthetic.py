"""The embedded data set: its shape, its truth, and that it is the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.data.filters import k_core
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.statistics import describe
from recsys_lab.data.synthetic import SyntheticConfig, Truth, generate, load, parse_name, truth_of
from recsys_lab.data.synthetic.config import ANCHORS


@pytest.fixture(scope="module")
def data() -> Interactions:
    return load("synthetic-100k")


@pytest.fixture(scope="module")
def truth(data: Interactions) -> Truth:
    return truth_of(data.catalogue.info)


def test_the_small_set_has_not_changed() -> None:
    """When this fails, published results on synthetic data are void: raise VERSION with the new fingerprint."""
    small = load("synthetic-small")
    assert small.catalogue.info["version"] == "1"
    assert small.fingerprint.startswith("ab31152f285c3b2e")
    assert small.catalogue.items["title"].iloc[0].endswith(")")


def test_threads_and_processes_do_not_matter() -> None:
    code = "from recsys_lab.data.synthetic import load; print(load('synthetic-5k').fingerprint)"
    found = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout.strip())
    assert found == {load("synthetic-5k").fingerprint}


def test_seeds_and_options_give_other_data() -> None:
    prints = {load("synthetic-2k").fingerprint, load("synthetic-2k", seed=1).fingerprint}
    for option in ({"taste": 0.0}, {"liking": 0.0}, {"noise": 0.1}, {"drift": 0.0}, {"n_days": 30}):
        prints.add(load("synthetic-2k", **option).fingerprint)
    assert len(prints) == 7


def test_shape_of_the_100k_set(data: Interactions) -> None:
    assert (len(data), data.n_users, data.n_items) == (100_000, 943, 1682)
    assert data.user_activity.min() == 20
    assert (data.matrix.nnz, set(np.unique(data.ratings))) == (100_000, {1.0, 2.0, 3.0, 4.0, 5.0})
    found = describe(data)
    shares = [found[f"rated {rating}, %"] for rating in range(1, 6)]
    np.testing.assert_allclose(shares, [6.1, 11.4, 27.1, 34.2, 21.2], atol=1.5)  # MovieLens 100K
    assert found["rows per item, Gini"] == pytest.approx(0.63, abs=0.05)
    assert found["rows that share user and time with another, %"] == pytest.approx(75.8, abs=2)
    assert found["mean rating of a user, sd"] == pytest.approx(0.445, abs=0.05)
    assert found["correlation of an item's log rows and mean rating"] == pytest.approx(0.52, abs=0.1)


def test_rows_come_by_user_and_time(data: Interactions) -> None:
    assert data.timestamps is not None
    assert (np.diff(data.users) >= 0).all()
    same = np.diff(data.users) == 0
    assert (np.diff(data.timestamps)[same] >= 0).all()


def test_catalogue(data: Interactions) -> None:
    catalogue = data.catalogue
    assert catalogue.items["title"].is_unique
    assert catalogue.items["title"].str.fullmatch(r".+ \((19[3-9]\d)\)").all()
    assert (catalogue.items["year"] == catalogue.items["title"].str[-5:-1].astype(float)).all()
    features = catalogue.item_features
    assert features is not None
    assert features.shape == (1682, 19)
    for item in (0, 700, 1681):
        named = [catalogue.feature_names[column].removeprefix("genre:") for column in features[item].indices]
        assert "|".join(named) == catalogue.items["genres"].iloc[item]
    info = catalogue.info
    assert (info["name"], info["version"], info["licence"]) == ("synthetic-100k", "1", "MIT (generated)")
    assert info["url"] is None
    assert info["raw_sha256"] is None
    assert SyntheticConfig(**info["synthetic"]).name == "synthetic-100k"


def test_ratings_follow_the_truth(data: Interactions, truth: Truth) -> None:
    """Calibration: among rows expected to be rated x, the mean rating is x, and less noise is left than before."""
    assert data.timestamps is not None
    expected = truth.expected_rating(data.users, data.items, truth.moment(data.timestamps)).astype(np.float64)
    for tenth in np.array_split(np.argsort(expected), 10):
        assert data.ratings[tenth].mean() == pytest.approx(expected[tenth].mean(), abs=0.035)  # 4 standard errors
    rmse = np.sqrt(np.mean((data.ratings - expected) ** 2))
    assert rmse < 0.87 < data.ratings.std() - 0.2


def test_probabilities_of_ratings_follow_the_truth(data: Interactions, truth: Truth) -> None:
    rows = np.arange(0, len(data), 7)
    users, items = data.users[rows], data.items[rows]
    block = np.arange(data.n_users, dtype=np.int32)
    for threshold in (2, 3.5, 5):
        likely = truth.rating_at_least(block, threshold)[users, items]
        assert (data.ratings[rows] >= threshold).mean() == pytest.approx(likely.mean(), abs=0.02)
    assert (truth.rating_at_least(block[:2], 1) == 1).all()
    assert (truth.rating_at_least(block[:2], 5.5) == 0).all()


def test_the_two_ways_to_expected_ratings_agree(truth: Truth) -> None:
    users, items = np.asarray([3, 900, 3], dtype=np.int32), np.asarray([0, 17, 1681], dtype=np.int32)
    when = np.asarray([0.1, 0.5, 1.0])
    block = truth.expected_ratings(users, when)
    assert (block.shape, block.dtype) == ((3, 1682), np.float32)
    assert ((block >= 1) & (block <= 5)).all()
    np.testing.assert_allclose(block[np.arange(3), items], truth.expected_rating(users, items, when), rtol=1e-5)
    levels = [truth.rating_at_least(users, rating, when) for rating in (2, 3, 4, 5)]
    np.testing.assert_allclose(1 + np.sum(levels, axis=0), block, rtol=1e-4)  # E = 1 + sum of P(rating >= k)


def test_first_choices_follow_the_truth() -> None:
    """Without taste or drift all users draw from one distribution, up to how mainstream they are."""
    many = generate(20_000, 50, 20 * 20_000, taste=0.0, drift=0.0)
    truth = truth_of(many.catalogue.info)
    first = many.items[np.cumsum(many.user_activity) - many.user_activity]
    weights = np.exp(truth.log_weights(np.arange(20_000, dtype=np.int32)).astype(np.float64))
    expected = (weights / weights.sum(axis=1, keepdims=True)).sum(axis=0)
    found = np.bincount(first, minlength=50)
    assert np.abs(found - expected).max() < 5 * np.sqrt(expected.max())
    statistic = ((found - expected) ** 2 / expected)[expected > 5].sum()
    assert statistic < 50 + 4 * np.sqrt(2 * 50)  # chi-squared: mean + 4 sd


def test_people_choose_what_they_like(data: Interactions, truth: Truth) -> None:
    chosen = truth.expected_rating(data.users, data.items).mean()
    rng = np.random.default_rng(0)
    anything = truth.expected_rating(data.users, rng.integers(0, data.n_items, len(data)).astype(np.int32)).mean()
    assert chosen > anything + 0.5


def test_tastes_drift(truth: Truth) -> None:
    users = np.arange(20, dtype=np.int32)
    early, late = (truth.log_weights(users, np.full(20, when)) for when in (0.0, 1.0))
    assert 0.3 < np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(early, late)]) < 0.95
    still = truth_of(load("synthetic-2k", drift=0.0).catalogue.info)
    np.testing.assert_array_equal(still.log_weights(users, np.zeros(20)), still.log_weights(users, np.ones(20)))


def test_the_truth_survives_filters(data: Interactions, truth: Truth) -> None:
    filtered = k_core(data, 30)
    assert filtered.n_items < data.n_items
    again = truth_of(filtered.catalogue.info)
    assert again.config == truth.config
    np.testing.assert_array_equal(again.traits, truth.traits)


def test_the_truth_of_other_data_is_an_error(data: Interactions) -> None:
    with pytest.raises(ValueError, match=r"'ml-100k' has no known truth"):
        truth_of({"name": "ml-100k"})
    with pytest.raises(ValueError, match="version '0' of the generator"):
        truth_of({**data.catalogue.info, "version": "0"})


@pytest.mark.parametrize("anchor", ANCHORS[:3])
def test_named_sizes(anchor: tuple[int, int, int]) -> None:
    n_interactions, n_users, n_items = anchor
    name = SyntheticConfig(n_users=n_users, n_items=n_items, n_interactions=n_interactions).name
    assert parse_name(name) == anchor


def test_sizes_between_follow_movielens() -> None:
    assert parse_name("synthetic-20m")[1:] == pytest.approx((138_493, 26_744), rel=1e-3)
    _, users, items = parse_name("synthetic-250k")
    assert 943 < users < 6040
    assert 1682 < items < 3706
    assert parse_name("synthetic-2.5m")[0] == 2_500_000
    assert load("synthetic-2k", seed=3).catalogue.info["name"] == "synthetic-2k-seed=3"
    assert generate(30, 60, 700).catalogue.info["name"] == "synthetic-700-30x60"


@pytest.mark.parametrize("name", ["synthetic-", "synthetic-huge", "synthetic-1g", "movielens", "synthetic-1k"])
def test_unknown_names_say_what_is_known(name: str) -> None:
    with pytest.raises(ValueError, match=r"synthetic-(small|2k)"):
        parse_name(name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_interactions": 599}, "30 users and 60 items can have 600 to 1080 interactions"),
        ({"n_interactions": 1081}, "60 % of the items at most"),
        ({"n_users": 0}, "n_users must be at least 1"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"noise": 0}, "noise must be above 0"),
        ({"taste": float("nan")}, "taste must be a finite number"),
    ],
)
def test_impossible_configurations(wrong: dict[str, float], message: str) -> None:
    sizes = {"n_users": 30, "n_items": 60, "n_interactions": 700}
    with pytest.raises(ValueError, match=message):
        SyntheticConfig(**{**sizes, **wrong})  # type: ignore[arg-type]


def test_sizes_are_whole_numbers() -> None:
    with pytest.raises(TypeError, match=r"n_users must be a whole number; found 30\.5"):
        SyntheticConfig(n_users=30.5, n_items=60, n_interactions=700)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(34, 90), st.floats(0, 1), st.integers(0, 2**32), st.floats(0, 20))
def test_any_size_holds_its_promises(n_users: int, n_items: int, fill: float, seed: int, taste: float) -> None:
    least, most = 20 * n_users, int(0.6 * n_items) * n_users
    rows = least + int(fill * (most - least))
    data = generate(n_users, n_items, rows, seed=seed, taste=taste)
    assert len(data) == rows
    assert data.matrix.nnz == rows  # nobody has an item twice
    assert data.user_activity.min() >= 20
    assert data.user_activity.max() <= int(0.6 * n_items)
    assert set(np.unique(data.ratings)) <= {1.0, 2.0, 3.0, 4.0, 5.0}


@pytest.mark.slow
def test_a_million_rows_in_ten_seconds() -> None:
    code = (
        "import resource, time; from recsys_lab.data.synthetic import load; load('synthetic-2k'); start = time.time();"
        "data = load('synthetic-1m'); print(len(data), time.time() - start,"
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows, seconds, gigabytes = done.stdout.split()
    assert int(rows) == 1_000_209
    assert float(seconds) < 10
    assert float(gigabytes) < 1
