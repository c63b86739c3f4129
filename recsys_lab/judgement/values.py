"""What people did with their lists, as one value a user: the user was drawn by the split, so the user is the unit.

The database counts lists by user and joins the few events with their lists; what an event is worth is said here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from recsys_lab.judgement.arms import SLACK, Arm, Arms
from recsys_lab.serving.arms import in_test
from recsys_lab.serving.schemas import SAID
from recsys_lab.serving.storage import FEEDBACK, IMPRESSIONS, Database

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
    counts = Counter[str]()
    n_lists: dict[str, dict[str, int]] = {"champion": {}, "challenger": {}}
    sums: dict[str, dict[str, Any]] = {"champion": {}, "challenger": {}}
    within = _of(arms.champion, arms.since, arms.until) | _of(arms.challenger, arms.since, arms.until)
    by_user = (IMPRESSIONS.c.role, IMPRESSIONS.c.user_id)
    with database.connect() as connection:
        for role, user, n in connection.execute(
            sa.select(*by_user, sa.func.count()).where(within).group_by(*by_user).order_by(*by_user)
        ):
            if user is None:
                counts["lists without a user"] += n
            elif in_test(user, share) != (role == "challenger"):
                counts["lists of the arm that was not drawn"] += n
            else:
                counts[f"lists of the {role}"] += n
                n_lists[role][user] = n
        query = _acted(arms, order=IMPRESSIONS.c.ts).where(within)
        for shown, events in _by_list(connection.execute(query)):
            if shown.user_id in n_lists[shown.role]:
                counts["events on lists"] += sum(len(done) for done in events.values())
                sums[shown.role].setdefault(shown.user_id, np.zeros(len(METRICS)))
                sums[shown.role][shown.user_id] += of_list(shown.item_ids, events)
    champion, challenger = (_means(n_lists[role], sums[role]) for role in ("champion", "challenger"))
    return Values(champion, challenger, counts)


def paired_values(database: Database, arms: Arms) -> Values:
    """The values of lists that were shown and acted on, and of those in the shadow beside them, by the same users."""
    counts = Counter[str]()
    beside = IMPRESSIONS.alias()
    start, end = arms.since - SLACK, arms.until + SLACK  # the time of a pair is that of its list in the shadow
    shown = _of(arms.champion, start, end) & IMPRESSIONS.c.user_id.is_not(None)
    hidden = _of(arms.challenger, arms.since, arms.until, beside) & beside.c.user_id.is_not(None)
    n_lists: tuple[dict[str, int], dict[str, int]] = ({}, {})
    sums: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    with database.connect() as connection:
        for name, table, within in (("of the champion", IMPRESSIONS, shown), ("in the shadow", beside, hidden)):
            counted = sa.select(sa.func.count()).select_from(table).where(within)
            counts[f"lists {name}"] = connection.execute(counted).scalar_one()
        first = sa.case((beside.c.ts < IMPRESSIONS.c.ts, beside.c.ts), else_=IMPRESSIONS.c.ts)
        query = _acted(arms, beside.c.item_ids.label("hidden"), order=first).where(shown)
        query = query.outerjoin(beside, (beside.c.list_id == IMPRESSIONS.c.list_id) & hidden)
        for pair, events in _by_list(connection.execute(query)):
            chosen = {item for item, done in events.items() if done & ACTIONS}
            if not chosen:
                continue
            counts["lists with an action"] += 1
            if pair.hidden is None:
                counts["lists with an action and none in the shadow"] += 1
                continue
            counts["items acted on"] += len(chosen)
            counts["of these also in the shadow"] += len(chosen & set(pair.hidden))
            for n, total, items in zip(n_lists, sums, (pair.item_ids, pair.hidden), strict=True):
                n[pair.user_id] = n.get(pair.user_id, 0) + 1
                total[pair.user_id] = total.get(pair.user_id, 0.0) + _reciprocal(items, chosen)
    champion, challenger = (_means(n, total, PAIRED) for n, total in zip(n_lists, sums, strict=True))
    return Values(champion, challenger, counts)


def _of(arm: Arm, since: float, until: float, table: Any = IMPRESSIONS) -> sa.ColumnElement[bool]:
    """The lists of an arm between two times."""
    shown = table.c
    equal = (shown.role == arm.role, shown.model == arm.model, shown.version == arm.version)
    return sa.and_(*equal, shown.ts.between(since, until))


def _acted(arms: Arms, *more: Any, order: Any) -> sa.Select[Any]:
    """Events with the list that they name, where its user did them: by ``order`` and list, then as they came."""
    shown, event = IMPRESSIONS.c, FEEDBACK.c
    columns = (shown.list_id, shown.role, shown.user_id, shown.item_ids, event.item_id, event.event, *more)
    joined = (shown.list_id == event.list_id) & (shown.user_id == event.user_id)
    query = sa.select(*columns).select_from(FEEDBACK).join(IMPRESSIONS, joined)
    return query.where(event.ts >= arms.since - SLACK).order_by(order, shown.list_id, shown.role, event.ts, event.seq)


def _by_list(rows: Iterable[Any]) -> Iterator[tuple[Any, dict[str, set[str]]]]:
    """A row of each list, and what its user did with its items; of what was said of an item, the last counts."""
    for _, same in groupby(rows, key=lambda row: (row.list_id, row.role)):
        events: dict[str, set[str]] = {}
        for row in same:
            if row.item_id in row.item_ids:
                done = events.setdefault(row.item_id, set())
                if row.event in SAID:
                    done -= SAID
                if row.event != "retract":
                    done.add(row.event)
        yield row, events


def of_list(items: Sequence[str], events: Mapping[str, set[str]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The ``METRICS`` of one list: what its user did with its items."""
    chosen = {item for item, done in events.items() if done & ACTIONS}
    counts = [sum(kind in done for done in events.values()) for kind in ("click", "like", "dislike")]
    return np.array([float(bool(chosen)), _reciprocal(items, chosen), *counts])


def _reciprocal(items: Sequence[str], chosen: set[str]) -> float:
    return next((1.0 / rank for rank, item in enumerate(items, 1) if item in chosen), 0.0)


def _means(n_lists: Mapping[str, int], sums: Mapping[str, Any], metrics: Mapping[str, bool] = METRICS) -> pd.DataFrame:
    """The mean over the lists of each user; where nothing was done it is 0."""
    users = sorted(n_lists)  # the order of rows in the database decides nothing
    values = np.zeros((len(users), len(metrics)))
    for place, user in enumerate(users):
        if user in sums:
            values[place] = sums[user] / n_lists[user]
    return pd.DataFrame(values, index=pd.Index(users, name="user_id", dtype=object), columns=list(metrics))
