"""The service's drift metrics over a whole time, from the lists that a database has noted."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.serving.drift import DRIFT, WINDOW, drift_of
from recsys_lab.serving.models import Loaded
from recsys_lab.serving.storage import Database


def drift_over_time(database: Database, loaded: Loaded, *, window: int = WINDOW, n_points: int = 40) -> pd.DataFrame:
    """What the metrics of a replica with this model would have said: ``DRIFT`` and ``clicked`` at up to n_points times.

    Each value looks back on the last ``window`` lists of the champion in this version, as /metrics does; ``clicked`` is
    the share of these lists with a click or a like. Indexed by time (UTC). Raises LookupError with fewer lists.
    """
    served, version = loaded.recommender, loaded.version.number
    sizes = np.diff(served.bundle.histories.indptr)
    acted = {row["request_id"] for row in database.read("event") if row["event"] in ("click", "like")}
    rows = [row for row in database.read("impression", roles=["champion"]) if row["version"] == version]
    if len(rows) < window:
        raise LookupError(f"{len(rows)} lists of version {version} are too few for a window of {window}")
    lists: deque[list[int]] = deque(maxlen=window)
    users: deque[int] = deque(maxlen=window)
    clicked: deque[bool] = deque(maxlen=window)
    points: list[dict[str, Any]] = []
    ends = set(np.linspace(window, len(rows), n_points).astype(int).tolist())
    for place, row in enumerate(rows, 1):
        code = served.user_codes.get(str(row["user_id"]))
        lists.append([served.item_codes[item] for item in row["item_ids"]])
        users.append(-1 if code is None else int(sizes[code]))
        clicked.append(row["request_id"] in acted)
        if place in ends:
            point = {"time": pd.Timestamp(row["ts"], unit="s", tz="UTC"), "clicked": float(np.mean(clicked))}
            points.append(point | drift_of(served.bundle, list(lists), list(users)))
    return pd.DataFrame(points).set_index("time").reindex(columns=[*DRIFT, "clicked"])
