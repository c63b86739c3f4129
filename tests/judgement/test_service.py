"""What the service notes is what is judged: its split, its lists, its events."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_lab.judgement import judge_shadow, judge_split
from recsys_lab.serving.storage import Database
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, wait_until
from tests.serving.conftest import registry, start

__all__ = ["registry", "start"]
USERS = [str(user) for user in bundle_of().user_ids[:80]]


def test_a_split_by_the_service_is_judged(registry: Registry, start: Start, tmp_path: Path) -> None:
    """People like the first item of the challenger's lists only; lists asked for by name are not counted."""
    registry.add(bundle_of(), "champion")
    registry.add(bundle_of("ItemKNN"), "challenger")
    client = start(ab_share=0.5)
    wait_until(lambda: app_of(client).state.models.challenger is not None)
    answered = {"champion": 0, "challenger": 0}
    for visit in range(2):
        for user in USERS:
            shown = client.get(f"/v1/users/{user}/recommendations?k=5").json()
            answered[shown["model"]["role"]] += 1
            if shown["model"]["role"] == "challenger" and visit:
                event = {"event_id": f"{user}-{visit}", "user_id": user, "item_id": shown["items"][0]["item_id"]}
                client.post("/v1/feedback", json=[{**event, "event": "like", "list_id": shown["list_id"]}])
    for user in USERS[:10]:
        client.get(f"/v1/users/{user}/recommendations?k=5&model=challenger")
    n_lists = sum(answered.values()) + 10
    wait_until(lambda: metric(client, 'feedback_written_total{kind="impression"}') == n_lists)
    likes = answered["challenger"] / 2
    wait_until(lambda: metric(client, 'feedback_written_total{kind="event"}') == likes)
    found = judge_split(Database(f"sqlite:///{tmp_path / 'feedback.db'}"), 0.5)
    assert found.valid
    assert (found.arms.champion.version, found.arms.challenger.version) == ("1", "2")
    row = found.table.loc["lists_with_action"]
    assert row["champion"] == 0
    # the window ends with the last list of the champion; only few lists by name and of the last users lie outside
    assert row["challenger"] == pytest.approx(0.5, abs=0.1)
    assert row["verdict"] == "better"
    by_name = found.counts.get("lists of the arm that was not drawn", 0)
    counted = sum(found.counts[f"lists of the {role}"] for role in ("champion", "challenger"))
    assert counted + by_name <= n_lists
    assert found.counts["lists of the champion"] in (answered["champion"], answered["champion"] - 1)


def test_a_shadow_of_the_service_is_judged(registry: Registry, start: Start, tmp_path: Path) -> None:
    registry.add(bundle_of(), "champion")
    registry.add(bundle_of("ItemKNN"), "challenger")
    client = start(shadow=True)
    wait_until(lambda: app_of(client).state.models.challenger is not None)
    for number, user in enumerate(USERS[:12], 1):
        shown = client.get(f"/v1/users/{user}/recommendations?k=5").json()
        event = {"event_id": user, "user_id": user, "item_id": shown["items"][1]["item_id"], "event": "click"}
        client.post("/v1/feedback", json=[{**event, "list_id": shown["list_id"]}])
        wait_until(lambda: metric(client, 'feedback_written_total{kind="impression"}') == 2 * number)  # noqa: B023
    wait_until(lambda: metric(client, 'feedback_written_total{kind="event"}') == 12)
    found = judge_shadow(Database(f"sqlite:///{tmp_path / 'feedback.db'}"))
    assert found.counts["lists in the shadow"] == found.counts["lists of the champion"] == 12
    assert found.table.loc["reciprocal_rank", "champion"] == 0.5
    assert found.table.loc["reciprocal_rank", "n_challenger"] == 12
