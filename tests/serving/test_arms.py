"""Champion and challenger: a split that is stable and keeps its share, and a shadow that nobody sees."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_lab.serving.arms import in_test
from recsys_lab.serving.recommender import Recommender
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, wait_until


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9])
def test_the_split_keeps_its_share(share: float) -> None:
    n = 20_000
    found = sum(in_test(str(user), share) for user in range(n)) / n
    assert abs(found - share) < 4 * (share * (1 - share) / n) ** 0.5


@given(st.text(max_size=50), st.floats(0, 1), st.floats(0, 1))
def test_nobody_changes_sides_when_the_share_grows(user: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert in_test(user, low) <= in_test(user, high)
    assert not in_test(user, 0)
    assert in_test(user, 1)


def test_users_are_split_and_lists_say_by_whom(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    registry.add(bundle_of("ItemKNN"), "challenger")
    client = start(ab_share=0.5)
    wait_until(lambda: app_of(client).state.models.challenger is not None)
    for user in map(str, bundle_of().user_ids[:20]):
        role = "challenger" if in_test(user, 0.5) else "champion"
        for _ in range(2):
            assert client.get(f"/v1/users/{user}/recommendations?k=1").json()["model"]["role"] == role
        assert client.get(f"/v1/users/{user}/recommendations?k=1&model=champion").json()["model"]["role"] == "champion"
    assert metric(client, 'recommendations_total{role="challenger",source="model"}') > 0


def test_without_a_challenger_the_champion_answers_all(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start(ab_share=1.0)
    user = bundle_of().user_ids[0]
    assert client.get(f"/v1/users/{user}/recommendations").json()["model"]["role"] == "champion"


def test_a_shadow_is_noted_and_not_shown(registry: Registry, start: Start, tmp_path: Path) -> None:
    registry.add(bundle_of(), "champion")
    registry.add(bundle_of("ItemKNN"), "challenger")
    client = start(shadow=True)
    wait_until(lambda: app_of(client).state.models.challenger is not None)
    user = str(bundle_of().user_ids[3])
    shown = client.get(f"/v1/users/{user}/recommendations?k=5").json()
    assert shown["model"]["role"] == "champion"
    wait_until(lambda: metric(client, 'feedback_written_total{kind="impression"}') == 2)
    with sqlite3.connect(tmp_path / "feedback.db") as connection:
        rows = dict(connection.execute("SELECT role, item_ids FROM impressions WHERE list_id = ?", [shown["list_id"]]))
    expected = Recommender(bundle_of("ItemKNN")).recommend(user, 5)
    assert expected is not None
    assert json.loads(rows["champion"]) == [one["item_id"] for one in shown["items"]]
    assert json.loads(rows["shadow"]) == [str(one.item_id) for one in expected.items]
    common = len(set(json.loads(rows["champion"])) & set(json.loads(rows["shadow"]))) / 5
    assert metric(client, "shadow_overlap") == pytest.approx(common)
