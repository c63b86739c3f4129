"""Searches among the users and items of a model, for the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.schemas import PageOptions

SLICE = 2_000  # names that are looked at before other requests have their turn
T = TypeVar("T")


async def find_items(served: Recommender, asked: PageOptions) -> dict[str, Any]:
    """Items whose title or id contains the text, the most popular first."""
    text, names = asked.q.casefold(), served.searched
    found = [code async for codes in _slices(served.popular_first) for code in codes if text in names[code]]
    codes = found[asked.offset : asked.offset + asked.limit]
    return {"items": [item_of(served, code) for code in codes], "total": len(found)}


async def find_users(served: Recommender, asked: PageOptions) -> dict[str, Any]:
    """Users whose id begins with the text, then those that contain it; each with the number of their items."""
    first: list[str] = []
    others: list[str] = []
    async for names in _slices(served.user_codes):
        for name in names:
            if name.startswith(asked.q):
                first.append(name)
            elif asked.q in name:
                others.append(name)
    found = first + others
    codes = [served.user_codes[name] for name in found[asked.offset : asked.offset + asked.limit]]
    ids, pointers = served.bundle.user_ids, served.bundle.histories.indptr
    users = [{"user_id": str(ids[code]), "n_items": int(pointers[code + 1] - pointers[code])} for code in codes]
    return {"users": users, "total": len(found)}


async def _slices(values: Iterable[T]) -> AsyncIterator[list[T]]:
    rest = iter(values)
    while part := list(islice(rest, SLICE)):
        yield part
        await asyncio.sleep(0)


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
