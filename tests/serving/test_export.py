"""What people did becomes a table for the next experiment: of each user and item what counts."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from recsys_lab import make_algorithm, read_interactions
from recsys_lab.cli import main
from recsys_lab.serving.export import RATINGS, export_feedback
from recsys_lab.serving.schemas import EVENTS
from recsys_lab.serving.storage import Database
from recsys_lab.serving.table_files import held
from tests.judgement.traffic import database_in, done
from tests.serving.apps import stored, wait_until


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, on the database of this folder."""
    monkeypatch.setenv("RECSYS_LAB_DATABASE_URL", f"sqlite:///{tmp_path / 'feedback.db'}")
    monkeypatch.setenv("RECSYS_LAB_REGISTRY_URI", "http://registry.invalid")
    monkeypatch.setenv("RECSYS_LAB_BUNDLE_DIR", str(tmp_path))
    return lambda *arguments: main(["export-feedback", *map(str, arguments)])


def _say(database: Database, *said: tuple[str, str, str]) -> None:
    database.write("event", [done(f"l{at}", *one, at=float(at)) for at, one in enumerate(said)])


def test_feedback_becomes_data(client: TestClient, tmp_path: Path, typed: Callable[..., int]) -> None:
    said = [("1", "10", "view"), ("1", "10", "like"), ("1", "10", "click"), ("1", "11", "view"), ("1", "11", "click")]
    said += [("2", "10", "dislike"), ("2", "12", "click"), ("3", "11", "like"), ("3", "12", "view")]
    said += [("4", item, event) for item, event in (("10", "like"), ("10", "retract"), ("11", "click"), ("11", "like"))]
    said += [("4", "11", "retract")]
    for number, (user, item, event) in enumerate(said):
        one = {"event_id": str(number), "user_id": user, "item_id": item, "event": event}
        assert client.post("/v1/feedback", json=[one]).status_code == 202
    wait_until(lambda: len(stored(tmp_path)) == len(said))
    expected = {(1, 10): 5, (1, 11): 4, (2, 10): 1, (2, 12): 4, (3, 11): 5, (3, 12): 3, (4, 11): 4}
    for ending in (".parquet", ".csv", ".csv.gz"):
        file = tmp_path / "out" / f"feedback{ending}"
        assert typed("--output", file) == 0
        data = read_interactions(file)
        frame = data.to_frame()
        pairs = zip(*(frame[column] for column in ("user_id", "item_id", "rating")), strict=True)
        assert {(user, item): rating for user, item, rating in pairs} == expected
        assert data.timestamps is not None
    make_algorithm("ItemKNN").fit(data)


def test_some_events_only(tmp_path: Path) -> None:
    database, file = database_in(tmp_path), tmp_path / "a.csv"
    _say(database, ("1", "1", "dislike"), ("1", "1", "like"), ("1", "2", "dislike"), ("1", "3", "dislike"))
    _say(database, *[("x", "x", "view")] * 4, ("1", "3", "retract"))
    assert export_feedback(str(database.engine.url), file, ["dislike"]) == 2
    assert set(pd.read_csv(file)["item_id"].astype(str)) == {"1", "2"}  # 3 was taken back
    assert export_feedback(str(database.engine.url), file, ["view"]) == 1
    with pytest.raises(LookupError, match="no such feedback yet"):
        export_feedback(str(database.engine.url), file, ["click"])
    with pytest.raises(LookupError, match="no feedback yet"):
        export_feedback(f"sqlite:///{tmp_path / 'other.db'}", file)
    assert not (tmp_path / "other.db").exists()
    assert len(pd.read_csv(file)) == 1, "the file of before is still there"


def test_a_name_that_says_no_format_is_refused_before_anything_is_read(
    tmp_path: Path, typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("fb.tsv", "fb", "fb.csv.zip", "fb.gz"):
        assert typed("--output", tmp_path / name) == 2
        assert "expected .parquet, .csv, .csv.gz" in capsys.readouterr().err
    assert typed("--output", tmp_path / "fb.csv", "--events", "bought") == 2
    assert typed("--output", tmp_path / "fb.csv", "--events", "retract") == 2
    assert list(tmp_path.iterdir()) == []


def test_what_counts_is_what_the_definition_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    database = database_in(tmp_path)
    last: dict[tuple[str, str], dict[str, str]] = {}
    rows = []
    for number in range(3000):
        user, item, event = str(rng.integers(30)), str(rng.integers(20)), str(rng.choice(EVENTS))
        rows.append({**done(None, user, item, event, at=float(number // 3)), "event_id": str(number)})
        last.setdefault((user, item), {})["said" if event in ("like", "dislike", "retract") else "done"] = event
    database.write("event", rows)
    expected = {}
    for pair, found in last.items():
        event = found["said"] if found.get("said", "retract") != "retract" else found.get("done", "")
        if event:
            expected[pair] = (event, RATINGS[event])
    file = tmp_path / "out.csv"
    assert export_feedback(str(database.engine.url), file) == len(expected)
    frame = pd.read_csv(file, dtype={"user_id": str, "item_id": str})
    found_rows = zip(frame["user_id"], frame["item_id"], frame["event"], frame["rating"], strict=True)
    assert {(user, item): (event, rating) for user, item, event, rating in found_rows} == expected
    assert frame["timestamp"].is_monotonic_increasing


MEASURED = """
import resource, sys
from pathlib import Path
import pyarrow, pyarrow.csv, pyarrow.parquet
from recsys_lab.serving.export import export_feedback
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
n_rows = export_feedback(sys.argv[1], Path(sys.argv[2]))
print(n_rows, peak() - before)
"""


@pytest.mark.parametrize("ending", [".parquet", ".csv.gz"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, ending: str) -> None:
    """300,000 rows held 280 MB when they were collected first."""
    database = database_in(tmp_path)
    for first in range(0, 300_000, 50_000):
        rows = [done(None, f"user-{n}", str(n % 900)) | {"event_id": str(n)} for n in range(first, first + 50_000)]
        database.write("event", rows)
    database.close()
    command = [sys.executable, "-c", MEASURED, f"sqlite:///{tmp_path / 'feedback.db'}", str(tmp_path / f"a{ending}")]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    n_rows, megabytes = map(int, printed.split())
    assert n_rows == 300_000
    assert megabytes < 120


def test_a_database_that_takes_no_note_gives_its_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = database_in(tmp_path)
    _say(database, ("1", "1", "like"))
    with database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER no BEFORE INSERT ON exports BEGIN SELECT RAISE(ABORT, 'read-only'); END"
        )
    began = time.monotonic()
    assert export_feedback(str(database.engine.url), tmp_path / "a.csv") == 1
    assert time.monotonic() - began < 10
    assert "recsys-lab forget will not find" in caplog.text


ODD_IDS = (
    "null",
    "NULL",
    "nan",
    "NaN",
    "NA",
    "N/A",
    "None",
    "<NA>",
    "\\N",
    "#N/A",
    "-",
    "-0",
    "0",
    "007",
    "7",
    "1e5",
    "x",
)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz"])
def test_odd_ids_make_no_export_unusable(client: TestClient, tmp_path: Path, ending: str) -> None:
    odd = [*ODD_IDS, '"', ",", "a,b", "=1+1", "'", "-\u2028-", "ä 🙂"]
    events = [
        {"event_id": f"{n}", "user_id": user, "item_id": item, "event": "like"}
        for n, (user, item) in enumerate(zip(odd * 2, odd + odd[::-1], strict=True))
    ]
    assert client.post("/v1/feedback", json=events).status_code == 202
    pairs = {(one["user_id"], one["item_id"]) for one in events}
    wait_until(lambda: len(stored(tmp_path)) == len(events))
    file = tmp_path / f"feedback{ending}"
    assert export_feedback(f"sqlite:///{tmp_path / 'feedback.db'}", file) == len(pairs)
    frame = read_interactions(file, ids="str").to_frame()
    assert set(zip(frame["user_id"], frame["item_id"], strict=True)) == pairs


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_ids_with_whitespace_of_earlier_versions_are_left_out(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    database, file = database_in(tmp_path), tmp_path / f"a{ending}"
    _say(
        database,
        ("1", "1", "like"),
        *((user, "1", "like") for user in (" 1", "1 ", " ", "\u00a01", "")),
        ("2", " ", "view"),
    )
    assert export_feedback(str(database.engine.url), file) == 1
    assert len(read_interactions(file).users) == 1
    assert "6 pairs are left out: their ids begin or end in whitespace" in caplog.text


def test_an_export_beside_the_database_holds_up_no_replica(tmp_path: Path) -> None:
    """The folder is held while the export is written; a replica that begins with the database waits for nothing."""
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    with held(tmp_path / "out.csv"):
        database, done = Database(url), threading.Event()

        def begin() -> None:
            with database.begin():
                done.set()

        threading.Thread(target=begin, daemon=True).start()
        assert done.wait(20)
    database.close()
