"""What a user types: run, promote, serve and ``mlflow models serve`` on one store; commands without their database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pytest

from recsys_lab import tracking
from recsys_lab.experiment import load_experiment
from recsys_lab.promotion import choose
from recsys_lab.serving.storage import Database
from recsys_lab.trials import open_family
from tests.judgement.traffic import done, plant_split, shown
from tests.service.parts import Part, Postgres, free_port, wait_for, works

pytestmark = pytest.mark.service

EXPERIMENT = """
question: Do two servers give the lists that were evaluated?
name: served-twice
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
evaluation: {cutoffs: [5, 20], primary: ndcg@20, tie_seed: 9}
baselines: [Random, Popularity]
families:
  collaborative_filtering: [ItemKNN, EASE]
"""
K = 20


@dataclass(frozen=True)
class Both:
    """The address of each server, and what the promoted run measured: user -> items."""

    api: str
    mlflow: str
    evaluated: dict[str, list[str]]


def _typed(*words: str, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "recsys_lab", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _measured(file: Path) -> dict[str, list[str]]:
    """The lists of the winner's run, by the ids of the data."""
    experiment = load_experiment(file)
    lists = tracking.load_evaluation(choose(experiment).run).lists
    ids = open_family(experiment).data.catalogue
    assert lists is not None
    assert lists.items.shape[1] == K
    return {
        str(ids.user_id(user)): [str(ids.item_id(item)) for item in items if item >= 0]
        for user, items in zip(lists.users, lists.items, strict=True)
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A finished experiment whose winner is the champion, and both servers on it."""
    home = tmp_path_factory.mktemp("home")
    file = home / "served.yaml"
    file.write_text(EXPERIMENT)
    store = {"RECSYS_LAB_HOME": str(home), "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db"}
    environ = {**os.environ, **store}
    _typed("run", str(file), "--jobs", "1", environ=environ)
    _typed("promote", str(file), environ=environ)
    api, mlflow = free_port(), free_port()
    served = ["models", "serve", "-m", "models:/recommender@champion", "--env-manager", "local", "--port", str(mlflow)]
    parts = [
        Part([sys.executable, "-m", "recsys_lab", "serve", "--port", str(api)], home / "api.log", store),
        Part([sys.executable, "-m", "mlflow", *served], home / "mlflow.log", store),
    ]
    try:
        with pytest.MonkeyPatch.context() as patch:
            for part in parts:
                part.start()
            for name, value in store.items():
                patch.setenv(name, value)
            evaluated = _measured(file)
            wait_for(lambda: works(f"http://127.0.0.1:{api}/readyz"), "recsys-lab serve", 240)
            wait_for(lambda: works(f"http://127.0.0.1:{mlflow}/ping"), "mlflow models serve", 240)
            yield Both(f"http://127.0.0.1:{api}", f"http://127.0.0.1:{mlflow}", evaluated)
    finally:
        for part in parts:
            part.end()


def _api(both: Both, user: str, **options: Any) -> Any:
    with urllib.request.urlopen(
        f"{both.api}/v1/users/{quote(user)}/recommendations?{urlencode(options)}", timeout=20
    ) as answer:
        got = json.loads(answer.read())
    return got["source"], [one["item_id"] for one in got["items"]]


def _mlflow(both: Both, users: list[str], **params: Any) -> dict[str, Any]:
    body = {"dataframe_split": {"columns": ["user_id"], "data": [[user] for user in users]}, "params": params}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{both.mlflow}/invocations", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        rows = json.loads(answer.read())["predictions"]
    found: dict[str, Any] = {}
    for row in rows:
        found.setdefault(row["user_id"], (row["source"], []))[1].append(row["item_id"])
    return found


def test_two_servers_give_200_users_the_evaluated_lists(both: Both) -> None:
    users = list(both.evaluated)[:200]
    assert len(users) == 200
    whole, short = _mlflow(both, users, k=K), _mlflow(both, users, k=5)
    for user in users:
        assert _api(both, user, k=K) == whole[user] == ("model", both.evaluated[user])
        assert _api(both, user, k=5) == short[user] == ("model", both.evaluated[user][:5])


def test_both_servers_list_seen_items_when_asked_to(both: Both) -> None:
    users = list(both.evaluated)[:200]
    seen = _mlflow(both, users, k=K, exclude_seen=False)
    assert {user: _api(both, user, k=K, exclude_seen="false") for user in users} == seen
    assert any(seen[user][1] != both.evaluated[user] for user in users)


def test_both_servers_give_a_stranger_the_popular_items(both: Both) -> None:
    source, items = _api(both, "nobody", k=K)
    assert (source, len(items)) == ("popularity", K)
    assert _mlflow(both, ["nobody"], k=K)["nobody"] == (source, items)


ABOUT_FEEDBACK = (
    ["judge", "--share", "0.3"],
    ["export-feedback", "--output", "out.csv"],
    ["export-user", "42"],
    ["forget", "42"],
)


def _said(folder: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    registry = {"RECSYS_LAB_REGISTRY_URI": "http://127.0.0.1:9", "RECSYS_LAB_BUNDLE_DIR": str(folder / "bundles")}
    environ = {**os.environ, "RECSYS_LAB_HOME": str(folder), "RECSYS_LAB_DATABASE_URL": url, **registry}
    command = [sys.executable, "-m", "recsys_lab", *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


def _is_one_line(found: subprocess.CompletedProcess[str], expected: str) -> None:
    assert found.returncode == 2, found.stdout + found.stderr
    assert (found.stdout, len(found.stderr.splitlines())) == ("", 1), found.stderr
    assert expected in found.stderr
    assert "pass-word" not in found.stderr


@pytest.mark.parametrize("words", ABOUT_FEEDBACK, ids=lambda words: words[0])
def test_without_a_database_it_is_said_in_one_line(server: Postgres, tmp_path: Path, words: list[str]) -> None:
    nowhere = f"postgresql+psycopg://user:pass-word@127.0.0.1:{free_port()}/name"
    _is_one_line(_said(tmp_path, nowhere, *words), "postgresql+psycopg://user:***@127.0.0.1:")
    frozen = server.url.replace("recsys_lab@", "recsys_lab:pass-word@")
    with server.frozen():
        _is_one_line(_said(tmp_path, frozen, *words), "connection timeout expired")
    (tmp_path / "text.db").write_text("This is no database. " * 100)
    _is_one_line(_said(tmp_path, f"sqlite:///{tmp_path / 'text.db'}", *words), "file is not a database")
    (tmp_path / "folder.db").mkdir()
    _is_one_line(_said(tmp_path, f"sqlite:///{tmp_path / 'folder.db'}", *words), "unable to open database file")
    assert not (tmp_path / "out.csv").exists()


def test_a_person_of_a_postgresql_is_shown_and_forgotten(postgres: str, tmp_path: Path) -> None:
    database = Database(postgres)
    plant_split(database, np.random.default_rng(1), 20, 0.3, (0.5, 0.5))
    database.write("impression", [shown(f"l{number}", "O'Neil") for number in range(1200)])
    database.write("event", [done(f"l{number}", "O'Neil", "1", "like") for number in range(7)])
    others = len(list(database.read("impression"))) - 1200
    assert _said(tmp_path, postgres, "export-feedback", "--output", "out.parquet").returncode == 0
    found = _said(tmp_path, postgres, "export-user", "O'Neil", "--output", "person.json")
    assert found.returncode == 1  # nobody could ask the registry
    kept = json.loads((tmp_path / "person.json").read_text())
    assert (len(kept["impressions"]), len(kept["feedback"]), len(kept["exports"][0]["rows"])) == (1200, 7, 1)
    said = _said(tmp_path, postgres, "forget", "O'Neil").stdout
    assert "database: 1,200 lists and 7 events deleted" in said
    assert "exports: 1 rows deleted from 1 files" in said
    assert "NOT READ recommender (champion)" in said
    assert len(list(database.read("impression"))) == others
    assert "database: 0 lists and 0 events deleted" in _said(tmp_path, postgres, "forget", "O'Neil").stdout
    database.close()
