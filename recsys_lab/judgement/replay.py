"""Later rows of a data set as traffic: each row is a visit of its user, who gets a list and clicks that item in it.

It fills the tables that a service fills, with the same lists, so that what reads them can be shown and tested without
waiting for people. It favours nobody by position: a list is judged by whether it held what was chosen anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from recsys_lab.data.interactions import Interactions
from recsys_lab.serving.arms import in_test, users_list
from recsys_lab.serving.bundle import Bundle
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.models import Loaded
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.schemas import Role, UserOptions
from recsys_lab.serving.settings import MAX_ITEMS
from recsys_lab.serving.storage import Database, Row, event_row, impression_row

BATCH = 1000  # visits written at once
CLICK_AFTER = 1.0  # seconds between a list and the click on it


def as_loaded(bundle: Bundle, version: str, role: Role = "champion", name: str = "recommender") -> Loaded:
    """A bundle as the model that a service has loaded, under a version number, without a registry."""
    manifest = {"algorithm": type(bundle.algorithm).__name__}
    return Loaded(role, Version(name, version, "", "", {}), Recommender(bundle), manifest, 0.0)


def replay(
    later: Interactions,
    database: Database,
    champion: Loaded,
    challenger: Loaded | None = None,
    *,
    share: float = 0.0,
    shadow: bool = False,
    k: int = 10,
) -> int:
    """Write one list, and its click if there is one, for each row of ``later`` in the order of time; how many lists.

    What a user took in an earlier visit is left out of the later lists. With a ``challenger``, a ``share`` of the users
    gets its lists, as a service with that RECSYS_LAB_AB_SHARE gives them; with ``shadow`` it makes a list beside each
    of the champion's.
    """
    lists: list[Row] = []
    events: list[Row] = []
    n_lists = 0
    for visit, user, item, now, taken in _visits(later):
        list_id = f"replay-{champion.version.number}-{visit}"  # of its own in a database with several replays
        asked = UserOptions(k=k, exclude=taken[-MAX_ITEMS:])
        tested = challenger is not None and in_test(user, share)
        shown = challenger if challenger is not None and tested else champion
        roles: list[tuple[str, Loaded]] = [(shown.role, shown)]
        if shadow and challenger is not None and not tested:
            roles.append(("shadow", challenger))
        for role, loaded in roles:
            answer = users_list(loaded, user, asked)
            items = [str(one.item_id) for one in answer.items]
            lists.append(impression_row(list_id, role, now, user, loaded.version, answer.source, items))
            if role != "shadow" and item in items:
                event: dict[str, Any] = {"event_id": list_id, "user_id": user, "item_id": item, "event": "click"}
                events.append(event_row({**event, "list_id": list_id}, now + CLICK_AFTER))
        n_lists += 1
        if len(lists) >= BATCH:
            database.write("impression", lists)
            database.write("event", events)
            lists, events = [], []
    database.write("impression", lists)
    database.write("event", events)
    return n_lists


def _visits(later: Interactions) -> Iterator[tuple[str, str, str, float, list[str]]]:
    """(own name, user, item, Unix seconds, what the user took in earlier visits) of each row, the earliest first."""
    if later.timestamps is None:
        raise ValueError("a replay needs the times of the rows; these data have none")
    users, items = later.catalogue.user_ids, later.catalogue.item_ids
    taken: dict[str, list[str]] = {}
    for place in np.argsort(later.timestamps, kind="stable"):
        user, item = str(users[later.users[place]]), str(items[later.items[place]])
        yield (
            f"{user}-{item}-{later.timestamps[place]}",
            user,
            item,
            float(later.timestamps[place]),
            taken.setdefault(user, []),
        )
        taken[user].append(item)
