"""Small random data for the tests of splits, and what is in a part under external ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from recsys_lab.data.interactions import Interactions


def draw_frame(
    seed: int, *, n_times: int = 30, n_users: int = 8, n_items: int = 15, density: float = 0.6
) -> pd.DataFrame:
    """Distinct pairs of a few users and items; few times, so that many rows tie. Every user has at least 5 rows."""
    rng = np.random.default_rng(seed)
    chosen = rng.random((n_users, n_items)) < density
    chosen[:, :5] = True
    users, items = np.nonzero(chosen)
    order = rng.permutation(len(users))
    return pd.DataFrame(
        {
            "user_id": users[order] + 1,
            "item_id": items[order] + 101,
            "rating": rng.integers(1, 6, len(users)).astype(np.float32),
            "timestamp": rng.integers(0, n_times, len(users)),
        }
    )


def contents(part: Interactions | None) -> Counter[tuple[object, ...]]:
    """How often each row occurs, by external ids."""
    if part is None:
        return Counter()
    return Counter(map(tuple, part.to_frame().itertuples(index=False)))


@pytest.fixture(scope="session")
def frame_of() -> Callable[..., pd.DataFrame]:
    return draw_frame


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Interactions | None], Counter[tuple[object, ...]]]:
    return contents


@pytest.fixture(scope="session")
def ml_100k(real_data) -> Interactions:
    """MovieLens 100K in the order of its file."""
    names = ["user_id", "item_id", "rating", "timestamp"]
    return Interactions.from_frame(pd.read_csv(real_data / "ml-100k" / "u.data", sep="\t", names=names))
