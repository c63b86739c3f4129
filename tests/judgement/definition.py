"""The values of users as they are defined: list by list, in Python, with everything in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.judgement.arms import SLACK, Arms
from recsys_lab.judgement.values import ACTIONS, METRICS, PAIRED, Values
from recsys_lab.serving.arms import in_test
from recsys_lab.serving.storage import Database

SAID = {"like", "dislike", "retract"}
Acts = dict[str, dict[tuple[str, str], set[str]]]  # list id -> (user, item) -> events


def split_by_definition(database: Database, arms: Arms, share: float) -> Values:
    acts, counts = _acts(database, arms), Counter[str]()
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
            own = _own(acts.get(row["list_id"], {}), user, row["item_ids"])
            counts["events on lists"] += sum(len(events) for events in own.values())
            found = sums[role].setdefault(user, [0, np.zeros(len(METRICS))])
            found[0] += 1
            if own:
                found[1] += _of_list(row["item_ids"], own)
    return Values(_means(sums["champion"]), _means(sums["challenger"]), counts)


def paired_by_definition(database: Database, arms: Arms) -> Values:
    acts, counts = _acts(database, arms), Counter[str]()
    versions = {arm.role: (arm.model, arm.version) for arm in (arms.champion, arms.challenger)}
    lists: dict[str, dict[str, Any]] = {}
    start, end = arms.since - SLACK, arms.until + SLACK
    for row in database.read("impression", since=start, until=end, roles=list(versions)):
        role, shown_as = row["role"], row["list_id"]
        if (row["model"], row["version"]) != versions[role] or row["user_id"] is None:
            continue
        if role == "shadow" and not arms.since <= row["ts"] <= arms.until:
            continue
        counts["lists of the champion" if role == "champion" else "lists in the shadow"] += 1
        if shown_as in acts:
            lists.setdefault(shown_as, {})[role] = row
    sums: tuple[dict[str, list[Any]], dict[str, list[Any]]] = ({}, {})
    for shown_as, pair in lists.items():
        shown, beside = pair.get("champion"), pair.get("shadow")
        own = _own(acts[shown_as], shown["user_id"], shown["item_ids"]) if shown else {}
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


def _acts(database: Database, arms: Arms) -> Acts:
    acts: Acts = {}
    for row in database.read("event", since=arms.since - SLACK):
        if row["list_id"] is None:
            continue
        events = acts.setdefault(row["list_id"], {}).setdefault((row["user_id"], row["item_id"]), set())
        if row["event"] in SAID:
            events -= SAID
        if row["event"] != "retract":
            events.add(row["event"])
    return acts


def _of_list(items: Sequence[str], events: Mapping[str, set[str]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    chosen = {item for item, done in events.items() if done & ACTIONS}
    counts = [sum(kind in done for done in events.values()) for kind in ("click", "like", "dislike")]
    return np.array([float(bool(chosen)), _reciprocal(items, chosen), *counts])


def _own(acts: Mapping[tuple[str, str], set[str]], user: str, items: Sequence[str]) -> dict[str, set[str]]:
    return {item: events for (who, item), events in acts.items() if who == user and item in items}


def _reciprocal(items: Sequence[str], chosen: set[str]) -> float:
    return next((1.0 / rank for rank, item in enumerate(items, 1) if item in chosen), 0.0)


def _means(sums: Mapping[str, list[Any]], metrics: Mapping[str, bool] = METRICS) -> pd.DataFrame:
    values = [total / n for n, total in sums.values()]
    index = pd.Index(list(sums), name="user_id", dtype=object)
    frame = pd.DataFrame(np.array(values).reshape(-1, len(metrics)), index=index, columns=list(metrics))
    return frame.sort_index()
