"""Clients that ask again and again, on connections that they keep, and remember every failure."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import uuid
from urllib.parse import quote, urlsplit

from tests.service.parts import KEY, wait_for

HEADERS = {"X-API-Key": KEY, "Content-Type": "application/json"}


class Load:
    """``n_clients`` threads; a ``with`` block ends when at least ``at_least`` requests were answered or failed.

    Every third request posts feedback, every fifth asks for a fold-in, the others for a user's list.
    """

    def __init__(self, url: str, users: list[str], items: list[str], at_least: int = 5000, n_clients: int = 6) -> None:
        self.host, self.users, self.items, self.at_least = urlsplit(url).netloc, users, items, at_least
        self.failed: list[str] = []
        self.accepted: set[str] = set()  # ids of events that got a 202
        self.versions: set[str] = set()
        self.times: list[float] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(n_clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self.wait(self.at_least)
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(30)

    def wait(self, n: int) -> None:
        """Wait until ``n`` requests are done."""
        wait_for(lambda: len(self.times) >= n, f"{n} requests", 240)

    def _ask(self, client: int) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=15)
        for n in itertools.count(client):
            if self._stop.is_set():
                break
            started = time.monotonic()
            try:
                self._one(connection, n)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failed.append(repr(error))
                connection.close()
            self.times.append(time.monotonic() - started)
        connection.close()

    def _one(self, connection: http.client.HTTPConnection, n: int) -> None:
        user, item = self.users[n % len(self.users)], self.items[n % len(self.items)]
        event_id = uuid.uuid4().hex
        if n % 3 == 0:
            event = {
                "event_id": event_id,
                "user_id": user,
                "item_id": item,
                "event": ("click", "like", "view")[n % 9 // 3],
            }
            connection.request("POST", "/v1/feedback", json.dumps([event]), HEADERS)
        elif n % 5 == 0:
            connection.request("POST", "/v1/recommendations", json.dumps({"items": [{"item_id": item}]}), HEADERS)
        else:
            connection.request("GET", f"/v1/users/{quote(user)}/recommendations?k=10", headers=HEADERS)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status not in (200, 202):
            self.failed.append(f"{answer.status}: {body}")
        elif answer.status == 202:
            self.accepted.add(event_id)
        else:
            self.versions.add(str(body["model"]["version"]))
            if not body["items"]:
                self.failed.append(f"an empty list for {user}")
