"""The order of rows, by one fast sort."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def order_rows(pairs: NDArray[np.int64], *then_by: NDArray[Any]) -> NDArray[np.int64]:
    """Row numbers sorted by one key a pair; only rows of equal pairs need the other columns, so it is one fast sort."""
    order = np.argsort(pairs)
    ordered = pairs[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if twice.size:
        places = np.union1d(twice, twice + 1)  # the places of rows that share their pair, in runs
        rows = order[places]
        order[places] = rows[np.lexsort((*(column[rows] for column in reversed(then_by)), pairs[rows]))]
    return order
