"""Champion against challenger from planted traffic: what is claimed, what is left out, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_lab.judgement import judge_shadow, judge_split
from recsys_lab.judgement.arms import choose_arms
from recsys_lab.judgement.report import as_dict, in_words, to_terminal
from recsys_lab.judgement.times import seconds_of
from recsys_lab.judgement.values import split_values
from recsys_lab.serving.arms import in_test
from recsys_lab.serving.storage import Database
from tests.judgement.traffic import NOON, database_in, done, plant_shadow, plant_split, shown

SHARE = 0.3
TESTED = [user for user in map(str, range(200)) if in_test(user, SHARE)]
OTHERS = [user for user in map(str, range(200)) if not in_test(user, SHARE)]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return database_in(tmp_path)


def test_a_planted_effect_is_found(database: Database) -> None:
    plant_split(database, np.random.default_rng(1), 1200, SHARE, (0.15, 0.30))
    found = judge_split(database, SHARE)
    assert found.valid
    row = found.table.loc["lists_with_action"]
    assert row["verdict"] == "better"
    assert row["difference_low"] < 0.15 < row["difference_high"]
    assert (row["champion"], row["challenger"]) == (pytest.approx(0.15, abs=0.04), pytest.approx(0.3, abs=0.06))
    assert row["p_holm"] == pytest.approx(4 * row["p"])  # of clicks, likes, actions and ranks; nobody disliked
    assert 0 < row["p"] <= 0.001
    assert "dislikes_per_list" not in found.table.index
    assert "dislikes_per_list" in " ".join(found.notes)
    text = to_terminal(found)
    assert "The challenger is better by lists_with_action" in text
    assert "Champion recommender 1 against challenger recommender 2" in text


def test_a_worse_challenger_is_called_worse(database: Database) -> None:
    plant_split(database, np.random.default_rng(2), 1200, 0.5, (0.30, 0.15))
    assert judge_split(database, 0.5).table.loc["lists_with_action", "verdict"] == "worse"


def test_equal_arms_are_not_told_apart(tmp_path: Path) -> None:
    """The slow tier measures the rate; here 6 false claims of 20 would be one chance in 3,000."""
    false = 0
    for seed in range(20):
        (tmp_path / str(seed)).mkdir()
        database = database_in(tmp_path / str(seed))
        plant_split(database, np.random.default_rng(seed), 150, SHARE, (0.2, 0.2), n_lists=2)
        found = judge_split(database, SHARE)
        false += bool((found.table["p_holm"] < 0.05).any())
        assert found.valid
    assert false <= 5


@pytest.mark.slow
@pytest.mark.parametrize(("n_users", "share", "rate"), [(150, 0.5, 0.3), (300, 0.1, 0.1), (1000, 0.3, 0.05)])
def test_the_error_rate_of_equal_arms(n_users: int, share: float, rate: float) -> None:
    """Any false claim by Holm's p over all metrics, in % of 400 tables; one standard error is 1.1."""
    rng, false, broken, rounds = np.random.default_rng(n_users), 0, 0, 400
    for _ in range(rounds):
        database = Database("sqlite://")
        plant_split(database, rng, n_users, share, (rate, rate))
        found = judge_split(database, share)
        false += bool((found.table["p_holm"] < 0.05).any())
        broken += not found.valid
        database.close()
    print(f"\n{n_users} users, share {share}, rate {rate}: {100 * false / rounds:.1f} %, invalid {broken}")
    assert 100 * false / rounds <= 8.3  # 5 and three standard errors
    assert broken <= 4


@pytest.mark.slow
def test_the_error_rate_in_the_shadow() -> None:
    rng, false, rounds = np.random.default_rng(5), 0, 400
    for _ in range(rounds):
        database = Database("sqlite://")
        plant_shadow(database, rng, 60)
        false += judge_shadow(database).table.loc["reciprocal_rank", "p_holm"] < 0.05
        database.close()
    print(f"\nin the shadow, 60 users: {100 * false / rounds:.1f} %")
    assert 100 * false / rounds <= 8.3


def test_users_who_are_not_split_as_drawn_are_named(database: Database) -> None:
    plant_split(database, np.random.default_rng(3), 800, 0.5, (0.2, 0.4), lost=0.3)
    found = judge_split(database, 0.5)
    assert not found.valid
    assert set(found.table["verdict"]) == {"not judged"}
    assert "users are not split as drawn" in found.notes[0]
    assert "chi-square" in found.notes[0]
    assert in_words(found) == ["Not judged: users did not reach the two as they were drawn."]


def test_values_worked_by_hand(database: Database) -> None:
    one, other, third = OTHERS[:3]
    database.write(
        "impression",
        [
            shown("a", one, at=0),
            shown("b", one, at=10),
            shown("c", other, at=20),
            shown("d", TESTED[0], "challenger", "2", at=0),
            shown("e", TESTED[0], "champion", "1", at=5),  # asked for by name
            shown("f", None, at=6),
            shown("g", third, at=7),
            shown("h", TESTED[1], "challenger", "2", at=30),
            shown("z", other, at=30),
        ],
    )
    database.write(
        "event",
        [
            done("a", one, "3"),  # rank 4
            done("a", one, "1", "like"),  # rank 2
            done("a", one, "1", "like", at=2.0),
            done("b", one, "elsewhere"),  # not in the list
            done("b", other, "0"),  # not the list's user
            done("c", other, "5", "like", at=1.0),
            done("c", other, "5", "dislike", at=2.0),  # the last word
            done(None, other, "5"),
            done("nowhere", other, "5"),
            done("d", TESTED[0], "9", "view"),  # seen, which is no action
            done("e", TESTED[0], "0"),
        ],
    )
    arms = choose_arms(database, "challenger")
    assert (arms.since, arms.until) == (NOON, NOON + 30)
    values = split_values(database, arms, SHARE)
    expected = {
        "lists_with_action": [0.5, 0, 0],
        "reciprocal_rank": [0.25, 0, 0],
        "clicks_per_list": [0.5, 0, 0],
        "likes_per_list": [0.5, 0, 0],
        "dislikes_per_list": [0, 0.5, 0],
    }
    pd.testing.assert_frame_equal(
        values.champion, pd.DataFrame(expected, index=pd.Index([one, other, third], name="user_id", dtype=object))
    )
    assert not values.challenger.to_numpy().any()
    assert list(values.challenger.index) == TESTED[:2]
    assert values.counts["lists of the arm that was not drawn"] == 1
    assert values.counts["lists without a user"] == 1


def test_versions_are_never_mixed(database: Database) -> None:
    """The last challenger, and the champion that answered beside it; times in which only one answered do not count."""
    rows = []
    for step in range(100):
        champion = "1" if step < 40 else "3"
        rows.append(shown(f"c{step}", OTHERS[step % 50], number=champion, at=float(step)))
        if step >= 20:
            challenger = "2" if step < 60 else "4"
            rows.append(shown(f"d{step}", TESTED[step % 20], "challenger", challenger, at=float(step)))
    database.write("impression", rows)
    last = choose_arms(database, "challenger")
    assert (str(last.champion), str(last.challenger)) == ("recommender 3", "recommender 4")
    assert (last.since, last.until) == (NOON + 60, NOON + 99)
    named = choose_arms(database, "challenger", champion="1", challenger="2")
    assert (named.since, named.until) == (NOON + 20, NOON + 39)
    mixed = choose_arms(database, "challenger", challenger="2", since=NOON + 30)
    assert (mixed.champion.version, mixed.since, mixed.until) == ("3", NOON + 40, NOON + 59)
    earlier = choose_arms(database, "challenger", until=NOON + 50)
    assert (earlier.challenger.version, earlier.until) == ("2", NOON + 39)
    with pytest.raises(LookupError, match="champion recommender 1 and challenger recommender 4 never answered"):
        choose_arms(database, "challenger", champion="1", challenger="4")
    with pytest.raises(LookupError, match=r"no lists of version 9 as challenger; it has .*champion recommender 1 \(40"):
        choose_arms(database, "challenger", challenger="9")


def test_other_versions_in_the_same_time_are_named_and_left_out(database: Database) -> None:
    """Two replicas can serve two versions at once for a while."""
    rows = [shown(f"c{step}", OTHERS[step], number="13"[step % 4 == 0], at=float(step)) for step in range(40)]
    rows += [shown(f"d{step}", TESTED[step], "challenger", "2", at=float(step)) for step in range(40)]
    database.write("impression", rows)
    arms = choose_arms(database, "challenger")
    assert arms.champion.version == "1"
    assert arms.notes == ("left out, other versions: champion recommender 3 (9 lists)",)
    assert len(split_values(database, arms, SHARE).champion) == 30


def test_too_few_is_said(database: Database) -> None:
    lists = [shown(f"c{n}", user, at=float(n % 50)) for n, user in enumerate(OTHERS[:120])]
    lists += [shown(f"d{n}", user, "challenger", "2", at=float(n)) for n, user in enumerate(TESTED[:50])]
    database.write("impression", lists)
    database.write("event", [done(f"c{n}", OTHERS[n], "0") for n in range(5)])
    found = judge_split(database, SHARE)
    assert set(found.table["verdict"]) == {"too few"}
    assert "fewer than 10 users have a value other than 0" in " ".join(found.notes)
    assert "fewer than 200 users (50)" in " ".join(found.notes)
    assert "Too few data to judge lists_with_action" in to_terminal(found)


def test_what_cannot_be_judged_is_an_error_that_says_why(database: Database) -> None:
    with pytest.raises(LookupError, match="the database has no lists; the service notes them"):
        judge_split(database, SHARE)
    assert not Path(str(database.engine.url.database)).exists(), "reading leaves no file"
    database.write("impression", [shown("a", OTHERS[0]), shown("b", OTHERS[1], at=1)])
    with pytest.raises(LookupError, match=r"no lists of challenger; it has champion recommender 1 .2 lists.*AB_SHARE"):
        judge_split(database, SHARE)
    with pytest.raises(LookupError, match=r"no lists of shadow.*RECSYS_LAB_SHADOW=true"):
        judge_shadow(database)
    database.write("impression", [shown("c", TESTED[0], "challenger", "2")])
    with pytest.raises(LookupError, match=r"too few users .*: 1 with the champion .* and 1 with the challenger"):
        judge_split(database, SHARE)
    database.write("impression", [shown("d", TESTED[1], "challenger", "2", at=1)])
    with pytest.raises(LookupError, match="nobody clicked, liked or disliked"):
        judge_split(database, SHARE)
    with pytest.raises(LookupError, match="no lists in this time"):
        judge_split(database, SHARE, since=NOON + 100)
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match=rf"is {share:g}; right would be the RECSYS_LAB_AB_SHARE"):
            judge_split(database, share)


def test_the_shadow_is_judged_by_pairs_and_says_its_bias(tmp_path: Path) -> None:
    verdicts = {}
    for name in ("alike", "better", "first_seen"):
        (tmp_path / name).mkdir()
        database = database_in(tmp_path / name)
        plant_shadow(database, np.random.default_rng(4), 120, **{} if name == "alike" else {name: True})
        found = judge_shadow(database)
        verdicts[name] = found.table.loc["reciprocal_rank", "verdict"]
        assert "this favours the champion" in found.notes[0]
        assert found.counts["items acted on"] == found.counts["of these also in the shadow"] == 360
        if name == "first_seen":
            row = found.table.loc["reciprocal_rank"]
            assert row["p_holm"] < 0.001
            assert row["difference_high"] < 0
    assert verdicts == {"alike": "inconclusive", "better": "better", "first_seen": "inconclusive"}


def test_pairs_are_lists_of_one_request(database: Database) -> None:
    lists = [shown("a", "u", at=0), shown("a", "u", "shadow", "2", at=0.1, items=["7", "0"])]
    lists += [shown("b", "u", at=1), shown("c", "v", at=2), shown("c", "v", "shadow", "2", at=2.1, items=["5"])]
    lists += [shown("d", "v", at=3), shown("d", "v", "shadow", "2", at=3.1)]
    database.write("impression", lists)
    database.write("event", [done("a", "u", "0"), done("a", "u", "7"), done("b", "u", "1"), done("c", "v", "1")])
    found = judge_shadow(database)
    row = found.table.loc["reciprocal_rank"]
    assert (row["champion"], row["challenger"]) == (0.75, 0.5)  # u: 1 and 1 (7 is first), v: 1/2 and 0
    assert found.counts["lists with an action and none in the shadow"] == 1
    assert row["n_champion"] == 2


def test_json_has_no_nan(database: Database) -> None:
    plant_split(database, np.random.default_rng(1), 100, SHARE, (0.0, 0.5))
    found = judge_split(database, SHARE)
    text = json.dumps(as_dict(found), allow_nan=False)
    assert json.loads(text)["metrics"]["lists_with_action"]["relative_percent"] is None
    assert json.loads(text)["metrics"]["lists_with_action"]["n_champion"] == found.table["n_champion"].iloc[0]
    assert json.loads(json.dumps(as_dict(replace(found, ratio_p=math.nan)), allow_nan=False))["sample_ratio_p"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-15", 1_799_971_200.0),
        ("2027-01-15T08:00", NOON),
        ("2027-01-15T10:00+02:00", NOON),
        ("12h", NOON - 43_200),
        ("1.5d", NOON - 129_600),
    ],
)
def test_times_as_they_are_typed(text: str, expected: float) -> None:
    assert seconds_of(text, now=NOON) == expected


def test_a_time_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"'yesterday' is no time; right would be 2026-11-01"):
        seconds_of("yesterday")
