"""Planted traffic: tables of lists and events whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsys_lab.serving.arms import in_test
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.storage import Database, event_row, impression_row

ITEMS = [str(item) for item in range(10)]
NOON = 1_800_000_000.0


def database_in(folder: Path) -> Database:
    """A SQLite database in a new file."""
    return Database(f"sqlite:///{folder / 'feedback.db'}")


def version(number: str) -> Version:
    """A version of the served model."""
    return Version("recommender", number, "", "", {})


def shown(
    request: str, user: str | None, role: str = "champion", number: str = "1", at: float = 0.0, items: Any = ITEMS
) -> dict[str, Any]:
    """The row of a list."""
    return impression_row(request, role, NOON + at, user, version(number), "model", list(items))


def done(request: str | None, user: str, item: str, event: str = "click", at: float = 1.0) -> dict[str, Any]:
    """The row of an event."""
    said = {"event_id": f"{request}-{user}-{item}-{event}-{at}", "user_id": user, "item_id": item, "event": event}
    return event_row({**said, "list_id": request}, NOON + at)


def plant_split(
    database: Database,
    rng: np.random.Generator,
    n_users: int,
    share: float,
    rates: tuple[float, float],
    *,
    n_lists: int = 4,
    lost: float = 0.0,
) -> None:
    """Lists of both arms, users of different eagerness; ``rates``: mean chance of a click on a list, by arm.

    ``lost``: the share of the challenger's users whose lists were not noted.
    """
    lists, events = [], []
    offset = int(rng.integers(0, 1_000_000_000))
    for number in range(n_users):
        user = f"{offset + number}"
        tested = in_test(user, share)
        chance = rates[tested] * rng.beta(1, 2) * 3
        if tested and rng.random() < lost:
            continue
        for visit in range(int(rng.integers(1, 2 * n_lists))):
            request = f"{user}-{visit}"
            role, version_number = ("challenger", "2") if tested else ("champion", "1")
            lists.append(shown(request, user, role, version_number, at=float(rng.random() * 1000)))
            if rng.random() < chance:
                item = ITEMS[int(rng.integers(len(ITEMS)))]
                events.append(done(request, user, item, ("click", "like")[rng.integers(2)], at=2000.0))
    database.write("impression", lists)
    database.write("event", events)


def plant_shadow(
    database: Database, rng: np.random.Generator, n_users: int, *, better: bool = False, first_seen: bool = False
) -> None:
    """Lists that were shown, clicked once each, and beside each one the same items in another order.

    ``better``: the shadow has the clicked item nearer to its top. ``first_seen``: people click near the top of what
    they see. Neither: both orders are worth the same.
    """
    lists, events = [], []
    for number in range(n_users):
        user = f"u{number}"
        for visit in range(3):
            request, here = f"{user}-{visit}", rng.permutation(ITEMS)
            place = int(rng.integers(10) * (rng.random() if first_seen else 1))
            there = _shuffled(rng, here, here[place], better)
            lists += [shown(request, user, items=here.tolist(), at=visit)]
            lists += [shown(request, user, "shadow", "2", items=there, at=visit + 0.1)]
            events.append(done(request, user, str(here[place]), at=visit + 5.0))
    database.write("impression", lists)
    database.write("event", events)


def _shuffled(rng: np.random.Generator, items: Sequence[str], chosen: str, better: bool) -> list[str]:
    other = rng.permutation(np.array(items)).tolist()
    place = other.index(chosen)
    if better and place > 2:
        other.insert(int(rng.integers(3)), other.pop(place))
    return other
