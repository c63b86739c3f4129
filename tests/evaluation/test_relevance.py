"""Where listed items stand among the sorted ones, against a plain search."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_lab.evaluation.relevance import find


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 6), k=st.integers(1, 9), n_items=st.integers(1, 30))
def test_positions_are_those_of_a_plain_search(seed: int, n: int, k: int, n_items: int) -> None:
    rng = np.random.default_rng(seed)
    own = [np.sort(rng.choice(n_items, rng.integers(0, n_items + 1), replace=False)) for _ in range(n)]
    starts = np.cumsum([0, *(len(row) for row in own)]).astype(np.int64)
    stored = np.concatenate([np.zeros(0, np.int64), *own]).astype(np.int32)
    items = rng.integers(0, n_items, (n, k)).astype(np.int32)
    items[np.arange(k) >= rng.integers(0, k + 1, (n, 1))] = -1  # short lists
    expected = [
        [int(starts[row] + own[row].tolist().index(item)) if item in own[row].tolist() else -1 for item in items[row]]
        for row in range(n)
    ]
    assert find(items, starts, stored).tolist() == expected
