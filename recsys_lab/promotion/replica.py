"""A replica inside this process, asked as over HTTP: for notebooks and trials, without a port."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsys_lab import tracking
from recsys_lab.data.interactions import Interactions
from recsys_lab.evaluation import Evaluation
from recsys_lab.promotion.promote import MODEL_NAME
from recsys_lab.serving.settings import Settings


class Replica:
    """The service on the aliases of this store; its database and copies lie in ``folder``. Close it at the end."""

    def __init__(self, folder: Path, *, name: str = MODEL_NAME, **changes: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its client is about to change its name
            from fastapi.testclient import TestClient
        from recsys_lab.serving.app import create_app

        self.database_url = f"sqlite:///{folder / 'feedback.db'}"
        kept = {"registry_uri": tracking.tracking_uri(), "bundle_dir": folder / "serving", "model": name}
        settings = Settings(**{**kept, "database_url": self.database_url, "poll_seconds": 3600.0, **changes})
        self._client = TestClient(create_app(settings), base_url="http://localhost")
        self._client.__enter__()
        self.follow()

    def follow(self) -> dict[str, Any]:
        """Look at the aliases now, as a replica does every few seconds; what /v1/model says then."""
        self._client.app.state.watcher.check()  # type: ignore[attr-defined]
        return self.get("/v1/model")

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The JSON of an answer; ValueError with what the service said when it is an error."""
        return _json(self._client.get(path, params=query))

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """The same for a body that is sent."""
        return _json(self._client.post(path, json=body))

    def say(self, user: str, item: str, event: str, list_id: str | None = None) -> None:
        """Send one event."""
        said = {"event_id": uuid.uuid4().hex, "user_id": user, "item_id": item, "event": event}
        self.post("/v1/feedback", [{**said, "list_id": list_id}])

    def visits(self, later: Interactions, k: int = 10) -> int:
        """Each row of ``later`` as a visit: its user gets a list, and clicks the row's item in it; how many clicks."""
        ids, clicks = later.catalogue, 0
        order = np.argsort(later.timestamps, kind="stable") if later.timestamps is not None else range(len(later))
        for row in order:
            user, item = str(ids.user_id(int(later.users[row]))), str(ids.item_id(int(later.items[row])))
            shown = self.get(f"/v1/users/{user}/recommendations", k=k)
            if item in [one["item_id"] for one in shown["items"]]:
                self.say(user, item, "click", shown["list_id"])
                clicks += 1
        return clicks

    def close(self) -> None:
        """Write what waits for the database, and end."""
        self._client.__exit__(None, None, None)


def equal_lists(replica: Replica, evaluation: Evaluation, data: Interactions, n_users: int = 200) -> tuple[int, int]:
    """For how many users the champion's list is the evaluated one, and of how many users."""
    lists, ids = evaluation.lists, data.catalogue
    if lists is None:
        raise ValueError("the evaluation has no lists; right would be one of a ranking experiment")
    chosen = np.unique(np.linspace(0, len(lists) - 1, min(n_users, len(lists))).astype(int))
    equal = 0
    for row in chosen:
        user = ids.user_id(int(lists.users[row]))
        shown = replica.get(f"/v1/users/{user}/recommendations", k=lists.k, model="champion")
        expected = [str(ids.item_id(int(item))) for item in lists.items[row] if item >= 0]
        equal += [one["item_id"] for one in shown["items"]] == expected
    return equal, len(chosen)


def titles(answer: Mapping[str, Any]) -> list[str]:
    """The titles of an answered list, best first."""
    items: Sequence[Mapping[str, Any]] = answer["items"]
    return [str(one["title"]) for one in items]


def _json(response: Any) -> dict[str, Any]:
    if response.status_code >= 400:
        raise ValueError(f"{response.status_code}: {response.text}")
    found: dict[str, Any] = response.json()
    return found
