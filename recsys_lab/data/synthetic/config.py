"""What a synthetic data set is made from: its size, its seed and the strength of its effects."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

VERSION = "1"  # raise it whenever the same configuration gives other rows
MIN_ROWS_PER_USER = 20
SMALLEST = 2_000  # rows; below, the rule for sizes would leave no 20 rows a user
SECONDS_PER_DAY = 86_400

# interactions, users, items: the embedded sets and the shapes of MovieLens 100K, 1M and 20M, which other sizes follow
ANCHORS = ((10_000, 250, 400), (100_000, 943, 1682), (1_000_209, 6040, 3706), (20_000_263, 138_493, 26_744))
NAMED = {"synthetic-small": ANCHORS[0], "synthetic-100k": ANCHORS[1], "synthetic-1m": ANCHORS[2]}
NAMED_SIZES = "synthetic-small, synthetic-100k, synthetic-1m, or a size such as synthetic-250k or synthetic-20m"


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Everything that decides a synthetic data set; equal configurations give equal rows.

    Raises ValueError where no such data set can exist.
    """

    n_users: int
    n_items: int
    n_interactions: int
    seed: int = 42
    taste: float = 1.3  # how strongly taste decides which items are chosen; 0: popularity alone
    liking: float = 0.66  # how strongly the same taste decides the rating; 0: biases alone
    noise: float = 0.77  # sd of a rating around what the user thinks of the item, in stars
    drift: float = 1.0  # change of tastes and of popularity over the whole time span; 0: none
    n_days: int = 214  # time span

    def __post_init__(self) -> None:
        for name in ("n_users", "n_items", "n_interactions", "seed", "n_days"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise TypeError(f"{name} must be a whole number; found {value!r}")
            object.__setattr__(self, name, int(value))
        for name in ("n_users", "n_items", "n_days"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; found {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more; found {self.seed}")
        for name in ("taste", "liking", "noise", "drift"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number of at least 0; found {value}")
            object.__setattr__(self, name, float(value))
        if self.noise == 0:
            raise ValueError("noise must be above 0; found 0.0")
        least, most = MIN_ROWS_PER_USER * self.n_users, self.max_rows_per_user * self.n_users
        if not least <= self.n_interactions <= most:
            raise ValueError(
                f"{self.n_users} users and {self.n_items} items can have {least} to {most} interactions "
                f"({MIN_ROWS_PER_USER} a user at least, 60 % of the items at most); found {self.n_interactions}"
            )

    @property
    def max_rows_per_user(self) -> int:
        return int(0.6 * self.n_items)

    @property
    def name(self) -> str:
        """The name that ``load`` understands, or one that lists the sizes; then what differs from the defaults."""
        sizes = (self.n_interactions, self.n_users, self.n_items)
        label = f"{self.n_interactions / 1e6:g}m" if self.n_interactions >= 1e6 else f"{self.n_interactions / 1e3:g}k"
        known = [name for name in (*NAMED, f"synthetic-{label}") if _sizes(name) == sizes]
        base = known[0] if known else f"synthetic-{self.n_interactions}-{self.n_users}x{self.n_items}"
        changed = [option for option in fields(self) if option.default not in (MISSING, getattr(self, option.name))]
        return "-".join([base, *(f"{option.name}={getattr(self, option.name):g}" for option in changed)])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, fit for JSON; ``SyntheticConfig(**config.to_dict()) == config``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def parse_name(name: str) -> tuple[int, int, int]:
    """Sizes (n_interactions, n_users, n_items) that a name such as "synthetic-100k" or "synthetic-20m" stands for.

    Users and items follow the MovieLens data sets: straight lines in log-log scale through ``ANCHORS``, continued
    beyond the ends. Raises ValueError for any other name.
    """
    if name in NAMED:
        return NAMED[name]
    match = re.fullmatch(r"synthetic-(\d+(?:\.\d+)?)(k|m)", name)
    if match is None:
        raise ValueError(f"unknown synthetic data set {name!r}; known: {NAMED_SIZES}")
    n_interactions = round(float(match[1]) * {"k": 1_000, "m": 1_000_000}[match[2]])
    if n_interactions < SMALLEST:
        raise ValueError(f"{name!r} is too small for 20 rows a user; the smallest is synthetic-2k")
    logs = np.log(np.asarray(ANCHORS, dtype=np.float64))
    segment = int(np.clip(np.searchsorted(logs[:, 0], np.log(n_interactions)) - 1, 0, len(ANCHORS) - 2))
    low, high = logs[segment], logs[segment + 1]
    share = (np.log(n_interactions) - low[0]) / (high[0] - low[0])
    n_users, n_items = np.round(np.exp(low + share * (high - low)))[1:].astype(int)
    return n_interactions, int(n_users), int(n_items)


def _sizes(name: str) -> tuple[int, int, int] | None:
    try:
        return parse_name(name)
    except ValueError:
        return None
