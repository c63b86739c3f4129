"""What the database counts is what the definition says, to the digit, whatever the tables hold."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys_lab.judgement.arms import Arm, Arms
from recsys_lab.judgement.values import Values, paired_values, split_values
from recsys_lab.serving.storage import Database
from tests.judgement.definition import paired_by_definition, split_by_definition
from tests.judgement.traffic import NOON, done, shown

SHARE = 0.5
USERS = [str(number) for number in range(4)]
ITEMS = np.array(list("abcdefghijk"))
EVENTS = ["view", "click", "click", "like", "dislike", "retract"]
TIMES = [-61.0, -59.0, 0.0, 1.0, 2.0, 3.0, 50.0, 100.0, 159.0, 161.0]  # equal ones are many, and some are outside


def _arms(second: str) -> Arms:
    champion = Arm("champion", "recommender", "1", NOON, NOON + 100)
    challenger = Arm(second, "recommender", "2", NOON, NOON + 100)
    return Arms(champion, challenger, NOON, NOON + 100, ())


def _are_equal(found: Values, expected: Values) -> None:
    for name in ("champion", "challenger"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name), check_exact=True)
    assert +Counter(found.counts) == +Counter(expected.counts)


def _tables(rng: np.random.Generator, n_lists: int, n_events: int) -> tuple[list[Any], list[Any]]:
    """Lists of all roles and versions, some beside another; events, most of them by their users on their items."""
    lists: dict[tuple[str, str], dict[str, Any]] = {}
    for number in range(n_lists):
        user = None if rng.random() < 0.1 else str(rng.choice(USERS))
        at = float(rng.choice(TIMES))
        for role in rng.choice(["champion", "challenger", "shadow"], size=2, replace=False, p=[0.45, 0.35, 0.2]):
            items = rng.permutation(ITEMS)[: rng.integers(1, 11)].tolist()
            version = str(rng.choice(["1", "2", "3"], p=[0.45, 0.45, 0.1]))
            row = shown(f"list{number}", user, str(role), version, at + float(rng.choice([-2, 0, 3])), items)
            lists[row["list_id"], row["role"]] = row
    events = []
    for number in range(n_events):
        row = lists[list(lists)[rng.integers(len(lists))]]
        user = row["user_id"] if row["user_id"] and rng.random() < 0.9 else str(rng.choice(USERS))
        item = rng.choice(row["item_ids"]) if rng.random() < 0.9 else rng.choice(ITEMS)
        named = row["list_id"] if rng.random() < 0.95 else [None, "nowhere"][rng.integers(2)]
        event = done(named, user, str(item), str(rng.choice(EVENTS)), float(rng.choice(TIMES)))
        events.append(event | {"event_id": str(number)})
    return list(lists.values()), events


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), n_lists=st.integers(1, 80), n_events=st.integers(0, 300))
@example(seed=1, n_lists=300, n_events=900)
def test_sql_says_what_the_definition_says(seed: int, n_lists: int, n_events: int) -> None:
    lists, events = _tables(np.random.default_rng(seed), n_lists, n_events)
    database = Database("sqlite://")
    try:
        database.write("impression", lists)
        database.write("event", events)
        split, pairs = _arms("challenger"), _arms("shadow")
        _are_equal(split_values(database, split, SHARE), split_by_definition(database, split, SHARE))
        _are_equal(paired_values(database, pairs), paired_by_definition(database, pairs))
    finally:
        database.close()
