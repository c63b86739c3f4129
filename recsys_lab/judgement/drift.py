"""The service's drift metrics over a whole time, from the lists that a database has noted."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from recsys_lab.serving.drift import DRIFT, WINDOW, drift_of
from recsys_lab.serving.models import Loaded
from recsys_lab.serving.schemas import SAID
from recsys_lab.serving.storage import FEEDBACK, IMPRESSIONS, Database


def drift_over_time(database: Database, loaded: Loaded, *, window: int = WINDOW, n_points: int = 40) -> pd.DataFrame:
    """What the metrics of a replica with this model would have said: ``DRIFT`` and ``clicked`` at up to n_points times.

    Each value looks back on the last ``window`` lists of the champion in this version, as /metrics does; ``clicked`` is
    the share of these lists with a click or a like. Indexed by time (UTC). Raises LookupError with fewer lists.
    """
    served, version = loaded.recommender, loaded.version.number
    sizes = np.diff(served.bundle.histories.indptr)
    shown, acted = IMPRESSIONS.c, _acted_on()
    of_version = (shown.role == "champion") & (shown.version == version)
    columns = (shown.ts, shown.user_id, shown.item_ids, acted.c.list_id.is_not(None).label("clicked"))
    query = sa.select(*columns).outerjoin_from(IMPRESSIONS, acted, shown.list_id == acted.c.list_id).where(of_version)
    lists: deque[list[int]] = deque(maxlen=window)
    users: deque[int] = deque(maxlen=window)
    clicked: deque[bool] = deque(maxlen=window)
    points: list[dict[str, Any]] = []
    with database.connect() as connection:
        n_lists = connection.execute(sa.select(sa.func.count()).where(of_version)).scalar_one()
        if n_lists < window:
            raise LookupError(f"{n_lists} lists of version {version} are too few for a window of {window}")
        ends = set(np.linspace(window, n_lists, n_points).astype(int).tolist())
        for place, row in enumerate(connection.execute(query.order_by(shown.ts, shown.list_id)), 1):
            code = served.user_codes.get(str(row.user_id))
            lists.append([served.item_codes[item] for item in row.item_ids])
            users.append(-1 if code is None else int(sizes[code]))
            clicked.append(bool(row.clicked))
            if place in ends:
                point = {"time": pd.Timestamp(row.ts, unit="s", tz="UTC"), "clicked": float(np.mean(clicked))}
                points.append(point | drift_of(served.bundle, list(lists), list(users)))
    return pd.DataFrame(points).set_index("time").reindex(columns=[*DRIFT, "clicked"])


def _acted_on() -> sa.Subquery:
    """The lists with a click, or with a like that stands: of likes, dislikes and retractions the last counts."""
    event = FEEDBACK.c
    named, latest = event.list_id.is_not(None), (event.ts.desc(), event.seq.desc())
    place = sa.func.row_number().over(partition_by=(event.list_id, event.user_id, event.item_id), order_by=latest)
    said = sa.select(event.list_id, event.event, place.label("place")).where(event.event.in_(SAID), named).subquery().c
    clicked = sa.select(event.list_id).where(event.event == "click", named)
    return sa.union(clicked, sa.select(said.list_id).where(said.place == 1, said.event == "like")).subquery()
