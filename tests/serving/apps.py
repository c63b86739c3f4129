"""A registry that lives in a folder, and what tests of apps share. What MLflow's does is tested with promotion."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from recsys_lab import load_dataset, make_algorithm, split
from recsys_lab.serving.bundle import Bundle, make_bundle, save_bundle
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.settings import Settings
from recsys_lab.serving.trial import trial_lists

SMALL = {"n_factors": 4, "n_epochs": 2, "n_neighbors": 20, "layers": (8, 4), "n_hidden": 8, "batch_size": 64}


Start = Callable[..., TestClient]
Trial = list[dict[str, Any]]


def trial_of(bundle: Bundle) -> Trial:
    """The lists that a bundle gives."""
    return trial_lists(Recommender(bundle))


@dataclass
class Registry:
    """Versions in folders, aliases in a dictionary; ``down`` makes every call fail as a dead server does."""

    folder: Path
    aliases: dict[str, str] = field(default_factory=dict)
    down: bool = False
    asked: int = 0
    fetched: list[str] = field(default_factory=list)

    def add(self, bundle: Bundle, *aliases: str, trial: Trial | None = None) -> str:
        """Register ``bundle`` as the next version and move ``aliases`` to it; its number."""
        number = str(1 + sum(path.is_dir() for path in self.folder.iterdir()))
        about = {"label": type(bundle.algorithm).__name__, "metrics": {"ndcg@10": 0.25}, "run_id": f"run{number}"}
        save_bundle(bundle, self.folder / number, about, trial_of(bundle) if trial is None else trial)
        self.aliases |= dict.fromkeys(aliases, number)
        return number

    def version_of(self, uri: str, name: str, wanted: str) -> Version | None:
        self.asked += 1
        if self.down:
            raise ConnectionError("registry down")
        number = wanted if wanted.isdigit() else self.aliases.get(wanted)
        if number is None or not (self.folder / number).is_dir():
            return None
        return Version(name, number, f"run{number}", f"here/{number}", {})

    def fetch_bundle(self, uri: str, version: Version, folder: Path, most: int = 0) -> Path:
        if self.down:
            raise ConnectionError("registry down")
        self.fetched.append(version.number)
        shutil.copytree(self.folder / version.number, folder)
        return folder


@cache
def bundle_of(name: str = "EASE", **options: Any) -> Bundle:
    """A fitted bundle of an algorithm on the small generated data, with titles and genres."""
    data = load_dataset("synthetic-small")
    parts = split(data, "temporal_user", test=0.2)
    blank = make_algorithm(name)
    small = {key: value for key, value in SMALL.items() if hasattr(blank, key)}
    return make_bundle(make_algorithm(name, **(small | options)).fit(parts.train), parts.history)


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings whose files are below ``folder`` and whose registry is asked when a test says so."""
    kept = {
        "registry_uri": "http://registry.invalid",
        "bundle_dir": folder / "bundles",
        "database_url": f"sqlite:///{folder / 'feedback.db'}",
        "poll_seconds": 3600.0,
        "log_salt": "salt",
        "hosts": ("*",),
    }
    return Settings(**(kept | changes))


def app_of(client: TestClient) -> FastAPI:
    """The app behind a client."""
    assert isinstance(client.app, FastAPI)
    return client.app


def stored(folder: Path, table: str = "feedback") -> list[dict[str, Any]]:
    """The rows of a table of ``feedback.db`` in ``folder``, by time; none where there is no such table."""
    with closing(sqlite3.connect(folder / "feedback.db")) as connection:
        connection.row_factory = sqlite3.Row
        with suppress(sqlite3.OperationalError):
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY ts")]
    return []


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that another thread does."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def metric(client: TestClient, line: str) -> float:
    """The value of a metric with its labels, as Prometheus would read it; 0 where it has none yet."""
    for found in client.get("/metrics").text.splitlines():
        name, _, value = found.rpartition(" ")
        if name == line:
            return float(value)
    return 0.0
