"""Interactions from tables and as tables. Apart from ``interactions``, so that serving them needs no pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.data.interactions import Catalogue, Int32, Interactions


def interactions_of(
    frame: pd.DataFrame,
    user: str,
    item: str,
    rating: str | None,
    timestamp: str | None,
    items: pd.DataFrame | None,
    info: dict[str, Any] | None,
) -> Interactions:
    """What ``Interactions.from_frame`` returns."""
    users, user_ids = pd.factorize(frame[user], sort=True)
    if items is None:
        item_codes, item_ids = pd.factorize(frame[item], sort=True)
        items = pd.DataFrame(index=pd.Index(item_ids, name=item))
    else:
        seen = pd.Index(frame[item].unique())
        missing = seen.difference(items.index)
        items = pd.concat([items, pd.DataFrame(index=missing)]).sort_index() if len(missing) else items.sort_index()
        item_codes = items.index.get_indexer(pd.Index(frame[item]))
    for name, codes, column in ((user, users, frame[user]), (item, item_codes, frame[item])):
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            raise ValueError(f"column {name!r} has a missing id in row {row}: {column.iloc[row]!r}")
    catalogue = Catalogue(pd.Index(user_ids, name=user), pd.Index(items.index, name=item), items, info=dict(info or {}))
    ratings = np.ones(len(frame), dtype=np.float32) if rating is None else frame[rating].to_numpy(dtype=np.float32)
    times = None if timestamp is None else frame[timestamp].to_numpy(dtype=np.int64)
    return Interactions(users.astype(np.int32), item_codes.astype(np.int32), ratings, times, catalogue)


def frame_of(data: Interactions) -> pd.DataFrame:
    """What ``Interactions.to_frame`` returns."""
    frame = pd.DataFrame(
        {
            "user_id": data.catalogue.user_ids[data.users],
            "item_id": data.catalogue.item_ids[data.items],
            "rating": data.ratings,
        }
    )
    if data.timestamps is not None:
        frame["timestamp"] = data.timestamps
    return frame


def titles_of(catalogue: Catalogue, items: Int32) -> list[str]:
    """What ``Catalogue.titles`` returns."""
    ids = catalogue.item_ids[items]
    if "title" not in catalogue.items.columns:
        return [str(item_id) for item_id in ids]
    titles = catalogue.items["title"].to_numpy()[items]
    return [str(item_id if pd.isna(title) else title) for title, item_id in zip(titles, ids, strict=True)]
