"""Drift over time says what the metrics of a replica say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from recsys_lab import load_dataset, plots, split
from recsys_lab.judgement import as_loaded, drift_over_time, replay
from recsys_lab.serving.drift import DRIFT, drift_of
from recsys_lab.serving.storage import Database
from tests.judgement.traffic import database_in, done, shown
from tests.serving.apps import app_of, bundle_of, metric, wait_until
from tests.serving.conftest import client, registry, start

__all__ = ["client", "registry", "start"]


def test_the_last_point_is_what_metrics_says(client: TestClient, tmp_path: Path) -> None:
    users = [*map(str, bundle_of().user_ids[:20]), *["nobody"] * 5]
    for user in users:
        client.get(f"/v1/users/{user}/recommendations")
    wait_until(lambda: metric(client, 'feedback_written_total{kind="impression"}') == len(users))
    loaded = app_of(client).state.models.champion
    found = drift_over_time(Database(f"sqlite:///{tmp_path / 'feedback.db'}"), loaded, window=len(users), n_points=1)
    assert len(found) == 1
    for name in DRIFT:
        assert found[name].iloc[0] == pytest.approx(metric(client, name), rel=1e-9), name
    assert found["drift_unknown_users"].iloc[0] == 5 / 25


def test_each_point_looks_back_on_its_window(tmp_path: Path) -> None:
    later = split(load_dataset("synthetic-small"), "temporal_user", test=0.2).test.select(np.arange(300))
    database, loaded = database_in(tmp_path), as_loaded(bundle_of(), "1")
    replay(later, database, loaded)
    found = drift_over_time(database, loaded, window=100, n_points=3)
    rows = list(database.read("impression"))
    sizes = np.diff(bundle_of().histories.indptr)
    clicked = {row["list_id"] for row in database.read("event")}
    for (_, point), end in zip(found.iterrows(), (100, 200, 300), strict=True):
        part = rows[end - 100 : end]
        lists = [[loaded.recommender.item_codes[item] for item in row["item_ids"]] for row in part]
        expected = drift_of(bundle_of(), lists, [sizes[loaded.recommender.user_codes[row["user_id"]]] for row in part])
        assert point[list(DRIFT)].to_dict() == pytest.approx(expected)
        assert point["clicked"] == np.mean([row["list_id"] in clicked for row in part])
    with pytest.raises(LookupError, match="300 lists of version 1 are too few for a window of 301"):
        drift_over_time(database, loaded, window=301)


def test_a_list_counts_as_clicked_while_something_said_of_it_stands(tmp_path: Path) -> None:
    database, loaded = database_in(tmp_path), as_loaded(bundle_of(), "1")
    items = [str(item) for item in bundle_of().item_ids[:5]]
    said = {
        "clicked": ["click"],
        "liked": ["like"],
        "liked again": ["like", "retract", "like"],
        "taken back": ["like", "retract"],
        "turned": ["like", "dislike"],
        "clicked and taken back": ["click", "like", "retract"],
        "viewed": ["view"],
        "nothing": [],
    }
    database.write("impression", [shown(name, "u", at=float(at), items=items) for at, name in enumerate(said)])
    events = [(name, event, at) for name, kinds in said.items() for at, event in enumerate(kinds)]
    database.write("event", [done(name, "u", items[0], event, at=100.0 + at) for name, event, at in events])
    found = drift_over_time(database, loaded, window=1, n_points=len(said))
    assert found["clicked"].tolist() == [1, 1, 1, 0, 0, 1, 0, 0]


def test_users_without_training_rows_are_unknown() -> None:
    found = drift_of(bundle_of(), [], [-1, 0, 4, 8])
    assert found["drift_unknown_users"] == 0.5
    assert found["drift_user_items"] == pytest.approx(6 / np.diff(bundle_of().histories.indptr).mean())
    assert drift_of(bundle_of(), [], []) == {}


def test_curves_of_drift() -> None:
    days = pd.date_range("2026-01-01", periods=4, freq="7D", tz="UTC")
    table = pd.DataFrame({"clicked": [0.2, 0.1, 0.1, 0.05], "drift_items": [0.3, 0.4, 0.5, 0.6]}, index=days)
    panels = {"clicked": "lists with a click", "drift_items": "items"}
    figure = plots.drift_curves({"old": table, "new": table * 2}, panels, limits={"clicked": 0.15}, marks=[days[2]])
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(panels.values())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["old", "new"]
    drawn = {str(line.get_label()): list(line.get_ydata()) for line in first.lines if len(line.get_xdata()) == 4}
    assert drawn == {"old": table["clicked"].tolist(), "new": (table["clicked"] * 2).tolist()}
    assert (len(first.lines), len(second.lines)) == (4, 3)
    with pytest.raises(ValueError, match=r"missing: \['coverage'\]"):
        plots.drift_curves({"old": table}, {"coverage": "coverage"})
