"""Given candidates: the items to rank for each test user, as some published protocols have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits.given_parts import Columns, Part, read_part


def candidate_frame(
    frames: dict[str, pd.DataFrame], candidates: Part | None, columns: Columns, sources: dict[str, dict[str, Any]]
) -> pd.DataFrame | None:
    """Columns user_id, item_id: what is to be ranked. Leaves only the positives in the test frame."""
    if "is_positive" in frames["test"]:
        if candidates is not None:
            raise ValueError(
                "the test part has candidates of its own; give format='candidates' or candidates=, not both"
            )
        whole = frames["test"]
        frames["test"] = whole.loc[whole["is_positive"].to_numpy(dtype=bool), ["user_id", "item_id"]]
        return whole[["user_id", "item_id"]]
    if candidates is None:
        return None
    frame, sources["candidates"] = read_part(
        candidates, "lists", replace(columns, rating=None, timestamp=None, duplicates="keep_first")
    )
    return frame[["user_id", "item_id"]]


def candidate_matrix(
    to_rank: pd.DataFrame, parts: Mapping[str, Interactions], drop_seen: bool
) -> tuple[sparse.csr_matrix, int]:
    """What is to be ranked, CSR float32 of ones (n_users, n_items), and how many candidates were dropped as seen."""
    train, test = parts["train"], parts["test"]
    users = train.catalogue.user_ids.get_indexer(pd.Index(to_rank["user_id"]))
    if (users < 0).any():
        stranger = to_rank["user_id"].iloc[int(np.argmax(users < 0))]
        raise ValueError(f"candidates are given for user {stranger!r}, who has no row in any part")
    items = train.catalogue.item_ids.get_indexer(pd.Index(to_rank["item_id"]))
    pairs = users.astype(np.int64) * train.n_items + items
    kept = np.ones(len(pairs), dtype=bool)
    if drop_seen:
        seen, asked = (part.users.astype(np.int64) * part.n_items + part.items for part in (train, test))
        kept = ~np.isin(pairs, seen) | np.isin(pairs, asked)
    ones = np.ones(int(kept.sum()), dtype=np.float32)
    matrix = sparse.csr_matrix((ones, (users[kept], items[kept])), shape=(train.n_users, train.n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0  # listed twice is listed
    without = (test.user_activity > 0) & (np.diff(matrix.indptr) == 0)
    if without.any():
        code = int(np.argmax(without))
        raise ValueError(
            f"test user {train.catalogue.user_id(code)!r} has no candidates "
            f"({int(without.sum())} such users); give a list for every test user"
        )
    return matrix, int((~kept).sum())
