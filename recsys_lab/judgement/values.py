"""What people did with their lists, as one value a user: the user was drawn by the split, so the user is the unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.judgement.arms import SLACK, Arms
from recsys_lab.serving.arms import in_test
from recsys_lab.serving.storage import Database

# of one list; a user's value is the mean over the user's lists. name -> whether more is better
METRICS = {
    "lists_with_action": True,  # 1 with a click or a like, else 0
    "reciprocal_rank": True,  # 1 / rank of the first item that was clicked or liked, else 0
    "clicks_per_list": True,
    "likes_per_list": True,
    "dislikes_per_list": False,
}
# of one list that was shown and acted on, and of the list in the shadow beside it
PAIRED = {"reciprocal_rank": True}  # of the best-ranked item that was clicked or liked; 0 where the list holds none
ACTIONS = {"click", "like"}
SAID = {"like", "dislike"}

Acts = dict[str, dict[tuple[str, str], set[str]]]  # request id -> (user, item) -> events


@dataclass(frozen=True)
class Values:
    """Values by user, one column a metric; ``counts`` of lists and events, among them what was left out."""

    champion: pd.DataFrame
    challenger: pd.DataFrame
    counts: dict[str, int] = field(default_factory=dict)


def split_values(database: Database, arms: Arms, share: float) -> Values:
    """The values of the users of each arm.

    Lists count where the arm that answered is the one that the split gives the user: those asked for by name from the
    other one, and those of a challenger's users while there was none, were not drawn by the split.
    """
    acts, counts = read_acts(database, arms), Counter[str]()
    sums: dict[str, dict[str, list[Any]]] = {"champion": {}, "challenger": {}}
    versions = {arm.role: (arm.model, arm.version) for arm in (arms.champion, arms.challenger)}
    for row in database.read("impression", since=arms.since, until=arms.until, roles=list(versions)):
        role, user = row["role"], row["user_id"]
        if (row["model"], row["version"]) != versions[role]:
            continue
        if user is None:
            counts["lists without a user"] += 1
        elif in_test(user, share) != (role == "challenger"):
            counts["lists of the arm that was not drawn"] += 1
        else:
            counts[f"lists of the {role}"] += 1
            own = _own(acts.get(row["request_id"], {}), user, row["item_ids"])
            counts["events on lists"] += sum(len(events) for events in own.values())
            found = sums[role].setdefault(user, [0, np.zeros(len(METRICS))])
            found[0] += 1
            if own:
                found[1] += of_list(row["item_ids"], own)
    return Values(_means(sums["champion"]), _means(sums["challenger"]), counts)


def paired_values(database: Database, arms: Arms) -> Values:
    """The values of lists that were shown and acted on, and of those in the shadow beside them, by the same users."""
    acts, counts = read_acts(database, arms), Counter[str]()
    versions = {arm.role: (arm.model, arm.version) for arm in (arms.champion, arms.challenger)}
    lists: dict[str, dict[str, Any]] = {}
    start, end = arms.since - SLACK, arms.until + SLACK  # the time of a pair is that of its list in the shadow
    for row in database.read("impression", since=start, until=end, roles=list(versions)):
        role, request = row["role"], row["request_id"]
        if (row["model"], row["version"]) != versions[role] or row["user_id"] is None:
            continue
        if role == "shadow" and not arms.since <= row["ts"] <= arms.until:
            continue
        counts["lists of the champion" if role == "champion" else "lists in the shadow"] += 1
        if request in acts:
            lists.setdefault(request, {})[role] = row
    sums: tuple[dict[str, list[Any]], dict[str, list[Any]]] = ({}, {})
    for request, pair in lists.items():
        shown, beside = pair.get("champion"), pair.get("shadow")
        own = _own(acts[request], shown["user_id"], shown["item_ids"]) if shown else {}
        chosen = {item for item, events in own.items() if events & ACTIONS}
        if shown is None or not chosen:
            continue
        counts["lists with an action"] += 1
        if beside is None:
            counts["lists with an action and none in the shadow"] += 1
            continue
        counts["items acted on"] += len(chosen)
        counts["of these also in the shadow"] += len(chosen & set(beside["item_ids"]))
        for side, row in zip(sums, (shown, beside), strict=True):
            found = side.setdefault(shown["user_id"], [0, np.zeros(len(PAIRED))])
            found[0] += 1
            found[1] += _reciprocal(row["item_ids"], chosen)
    return Values(_means(sums[0], PAIRED), _means(sums[1], PAIRED), counts)


def read_acts(database: Database, arms: Arms) -> Acts:
    """Events by the request id of their list; of a like and a dislike of one item, the last."""
    acts: Acts = {}
    for row in database.read("event", since=arms.since - SLACK):
        if row["request_id"] is None:
            continue
        events = acts.setdefault(row["request_id"], {}).setdefault((row["user_id"], row["item_id"]), set())
        if row["event"] in SAID:
            events -= SAID
        events.add(row["event"])
    return acts


def of_list(items: Sequence[str], events: Mapping[str, set[str]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The ``METRICS`` of one list: what its user did with its items."""
    chosen = {item for item, done in events.items() if done & ACTIONS}
    counts = [sum(kind in done for done in events.values()) for kind in ("click", "like", "dislike")]
    return np.array([float(bool(chosen)), _reciprocal(items, chosen), *counts])


def _own(acts: Mapping[tuple[str, str], set[str]], user: str, items: Sequence[str]) -> dict[str, set[str]]:
    """What the list's user did with the list's items."""
    return {item: events for (who, item), events in acts.items() if who == user and item in items}


def _reciprocal(items: Sequence[str], chosen: set[str]) -> float:
    return next((1.0 / rank for rank, item in enumerate(items, 1) if item in chosen), 0.0)


def _means(sums: Mapping[str, list[Any]], metrics: Mapping[str, bool] = METRICS) -> pd.DataFrame:
    values = [total / n for n, total in sums.values()]
    index = pd.Index(list(sums), name="user_id", dtype=object)
    frame = pd.DataFrame(np.array(values).reshape(-1, len(metrics)), index=index, columns=list(metrics))
    return frame.sort_index()  # the order of rows in the database decides nothing
