"""Searches among the users and items of a model, for the page."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.schemas import PageOptions


def find_items(served: Recommender, asked: PageOptions) -> dict[str, Any]:
    """Items whose title or id contains the text, the most popular first."""
    bundle, text = served.bundle, asked.q.casefold()
    order = np.argsort(-bundle.popularity, kind="stable").tolist()
    names = served.searched
    found = [code for code in order if text in names[code]] if text else order
    codes = found[asked.offset : asked.offset + asked.limit]
    return {"items": [item_of(served, code) for code in codes], "total": len(found)}


def find_users(served: Recommender, asked: PageOptions) -> dict[str, Any]:
    """Users whose id begins with the text, then those that contain it; each with the number of their items."""
    ids, pointers = served.bundle.user_ids, served.bundle.histories.indptr
    found = [code for code, user in enumerate(ids) if asked.q in str(user)]
    found.sort(key=lambda code: not str(ids[code]).startswith(asked.q))
    codes = found[asked.offset : asked.offset + asked.limit]
    users = [{"user_id": str(ids[code]), "n_items": int(pointers[code + 1] - pointers[code])} for code in codes]
    return {"users": users, "total": len(found)}


def items_of_user(served: Recommender, code: int, asked: PageOptions) -> dict[str, Any]:
    """What a user has, the best rated first."""
    row = served.history(code)
    order = np.argsort(-row.data, kind="stable")
    text, names = asked.q.casefold(), served.searched
    found = [place for place in order.tolist() if text in names[row.indices[place]]]
    shown = found[asked.offset : asked.offset + asked.limit]
    items = [{**item_of(served, int(row.indices[place])), "rating": float(row.data[place])} for place in shown]
    return {"items": items, "total": len(found)}


def item_of(served: Recommender, code: int) -> dict[str, Any]:
    """An item as it is shown."""
    bundle = served.bundle
    return {"item_id": str(bundle.item_ids[code]), "title": bundle.titles[code], "genres": bundle.genres[code]}
