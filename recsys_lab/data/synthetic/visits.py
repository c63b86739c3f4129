"""How many rows each user has, and in which visits, before anything is chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys_lab.data.interactions import Bool, Float64, Int64
from recsys_lab.data.synthetic.config import MIN_ROWS_PER_USER, SECONDS_PER_DAY, SyntheticConfig
from recsys_lab.seeds import child_rng

_ACTIVITY_SHAPE = 0.8  # Weibull; gives MovieLens 100K's quartiles of rows per user
_MAX_VISITS = 12
_GAP_DAYS, _GAP_SPREAD = 6.0, 1.6  # lognormal: median and log sd of the days between visits


@dataclass(frozen=True, eq=False)
class Visits:
    """The visits of all users, one after another, by user and time. All shapes (n_visits,) but those of ``first``."""

    first: Int64  # (n_users + 1,) where the visits of each user begin
    n_rows: Int64  # rows of the visit, 0 or more
    seconds: Int64  # its beginning, in seconds from the beginning of the time span
    when: Float64  # the same as a share of the span
    rows_per_user: Int64  # (n_users,)
    middle: Float64  # (n_users,) mean ``when`` of the user's rows


def draw_visits(config: SyntheticConfig) -> Visits:
    """Rows per user and their visits; every user has at least 20 rows and the total is exact."""
    n_users = config.n_users
    rows = _rows_per_user(config)
    rng = child_rng(config.seed, "synthetic/visits")
    n_visits = 1 + np.floor(1.1 * _exponential(rng, n_users) ** 2.2).astype(np.int64)
    n_visits = np.minimum(np.minimum(n_visits, rows // 6), _MAX_VISITS)
    first = np.concatenate([[0], np.cumsum(n_visits)])
    is_first = np.zeros(first[-1], dtype=np.bool_)
    is_first[first[:-1]] = True
    owner = np.repeat(np.arange(n_users), n_visits)

    weights = _exponential(child_rng(config.seed, "synthetic/visit_sizes"), len(owner)) * np.where(is_first, 3.0, 1.0)
    share = _running_sum(weights, first) / np.bincount(owner, weights, n_users)[owner]
    ends = np.round(share * rows[owner]).astype(np.int64)
    ends[first[1:] - 1] = rows
    n_rows = np.diff(ends, prepend=0)
    n_rows[first[:-1]] = ends[first[:-1]]

    seconds = _beginnings(config, first, is_first, owner)
    when = seconds / (config.n_days * SECONDS_PER_DAY)
    middle = np.bincount(owner, when * n_rows, n_users) / rows
    return Visits(first, n_rows, seconds, when, rows, middle)


def _rows_per_user(config: SyntheticConfig) -> Int64:
    """Twenty and a Weibull number each, scaled to the exact total under the cap of the configuration."""
    rng = child_rng(config.seed, "synthetic/activity")
    extra = _exponential(rng, config.n_users) ** (1 / _ACTIVITY_SHAPE)
    cap = config.max_rows_per_user - MIN_ROWS_PER_USER
    total = config.n_interactions - MIN_ROWS_PER_USER * config.n_users
    low, high = 0.0, 1e12
    for _ in range(200):  # halving: the scale at which the capped numbers sum to the total
        scale = (low + high) / 2
        if np.minimum(extra * scale, cap).sum() < total:
            low = scale
        else:
            high = scale
    exact = np.minimum(extra * low, cap)
    rows = np.floor(exact).astype(np.int64)
    order = np.argsort(-np.where(rows < cap, exact - rows, -1.0), kind="stable")
    rows[order[: total - rows.sum()]] += 1
    counts: Int64 = rows + MIN_ROWS_PER_USER
    return counts


def _beginnings(config: SyntheticConfig, first: Int64, is_first: Bool, owner: Int64) -> Int64:
    """Seconds at which the visits begin: users arrive evenly; a stay that would outlast the span is shortened."""
    n_users = config.n_users
    arrival = 0.95 * config.n_days * child_rng(config.seed, "synthetic/arrival").random(n_users)
    spread = child_rng(config.seed, "synthetic/visit_gaps").standard_normal(len(owner))
    gaps = np.where(is_first, 0.0, _GAP_DAYS * np.exp(_GAP_SPREAD * spread))
    elapsed = _running_sum(gaps, first)
    stay = elapsed[first[1:] - 1]
    room = 0.99 * config.n_days - arrival
    shortened = np.minimum(1.0, room / np.maximum(stay, 1e-9))
    days = arrival[owner] + elapsed * shortened[owner]
    seconds: Int64 = np.round(days * SECONDS_PER_DAY).astype(np.int64)
    return seconds


def _running_sum(values: Float64, first: Int64) -> Float64:
    """Cumulative sums that begin anew with every user."""
    sums = np.cumsum(values)
    before = np.concatenate([[0.0], sums])[first[:-1]]
    result: Float64 = sums - np.repeat(before, np.diff(first))
    return result


def _exponential(rng: np.random.Generator, n: int) -> Float64:
    """Standard exponential numbers from uniform ones, which are the same in every NumPy."""
    draws: Float64 = -np.log1p(-rng.random(n))
    return draws
