"""Draws the rows: which items each user chooses, at what time, with which rating.

Every random number is a hash of (seed, purpose, user, visit or row, item), so a user's rows do not depend on how users
are spread over blocks and threads. Sums run in a fixed order: no BLAS, so no thread count changes a bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_lab.compiled import njit, prange
from recsys_lab.data.interactions import Float32, Int32, Int64
from recsys_lab.data.synthetic.truth import EDGES, MEAN_LIKING, START, Truth
from recsys_lab.seeds import child_seed

_NEW_PAGE = 0.49  # chance that a row has a later time than the row before; MovieLens 100K: 75.8 % of rows share theirs
_PAGE_SECONDS, _PAGE_SPREAD = 36.0, 0.9  # lognormal: median and log sd of the seconds between pages


def draw_rows(truth: Truth) -> tuple[Int32, Int32, Float32, Int64]:
    """Users, items, ratings and Unix seconds of all rows, by user and time; items as chosen, best first on average.

    A visit's items are drawn one by one without replacement, in proportion to the weights of ``Truth.log_weights``
    at the visit's time. Memory: 20 bytes a row, and one row of weights a thread.
    """
    config, visits = truth.config, truth.visits
    ends = np.cumsum(visits.rows_per_user)
    items = np.empty(config.n_interactions, dtype=np.int32)
    ratings = np.empty(config.n_interactions, dtype=np.float32)
    seconds = np.empty(config.n_interactions, dtype=np.int64)
    _draw_users(
        (np.uint64(child_seed(config.seed, "synthetic/rows")), config.taste, config.liking, MEAN_LIKING),
        (truth.user_bias, truth.user_noise, truth.mainstream, truth.tastes, truth.taste_drift),
        (truth.item_bias, truth.popularity, truth.trend, np.ascontiguousarray(truth.traits.T)),
        (visits.first, visits.n_rows, visits.seconds, visits.when),
        ends - visits.rows_per_user,
        np.asarray(EDGES),
        items,
        ratings,
        seconds,
    )
    users = np.repeat(np.arange(config.n_users, dtype=np.int32), visits.rows_per_user)
    return users, items, ratings, seconds + START


@njit(inline="always")
def _uniform(key: Any, counter: Any) -> float:
    """A number in (0, 1): the finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = key + (np.uint64(counter) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (np.float64(x >> np.uint64(11)) + 0.5) * 2.0**-53


@njit(inline="always")
def _key(seed: Any, purpose: int, number: int) -> Any:
    """A stream of its own for every purpose and number."""
    x = (seed + np.uint64(purpose) * np.uint64(0xD1B54A32D192ED03)) ^ (
        np.uint64(number) * np.uint64(0x8CB92BA72F3D8DD7)
    )
    x = (x ^ (x >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    x = (x ^ (x >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return x ^ (x >> np.uint64(32))


@njit(inline="always")
def _normal(key: Any, counter: int) -> float:
    """A standard normal number (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log(_uniform(key, 2 * counter)))
    return float(radius * np.cos(2.0 * np.pi * _uniform(key, 2 * counter + 1)))


@njit()
def _choose(weights: Any, taken: Any, key: Any, chosen: Any) -> None:
    """Fill ``chosen`` with items drawn one by one without replacement in proportion to their weights; mark them taken.

    An exponential race: item i arrives at -log(uniform) / weights[i], and the first ones win, in order.
    """
    n = len(chosen)
    arrivals = np.empty(n)  # a heap, the latest arrival on top
    size = 0
    latest = np.inf
    for item in range(len(weights)):
        if taken[item]:
            continue
        uniform = _uniform(key, item)
        if 1.0 - uniform > latest * weights[item]:  # -log(u) >= 1 - u: too late without taking the logarithm
            continue
        arrival = -np.log(uniform) / weights[item]
        if size < n:
            place = size
            size += 1
            while place > 0 and arrivals[(place - 1) // 2] < arrival:
                arrivals[place], chosen[place] = arrivals[(place - 1) // 2], chosen[(place - 1) // 2]
                place = (place - 1) // 2
            arrivals[place], chosen[place] = arrival, item
        elif arrival < latest:
            place = 0
            while 2 * place + 1 < n:
                child = 2 * place + 1
                if child + 1 < n and arrivals[child + 1] > arrivals[child]:
                    child += 1
                if arrivals[child] <= arrival:
                    break
                arrivals[place], chosen[place] = arrivals[child], chosen[child]
                place = child
            arrivals[place], chosen[place] = arrival, item
        if size == n:
            latest = arrivals[0]
    chosen[:] = chosen[np.argsort(arrivals, kind="mergesort")]
    taken[chosen] = True


@njit(parallel=True)
def _draw_users(numbers, users, catalogue, visits, begins, edges, items, ratings, seconds):  # type: ignore[no-untyped-def]
    seed, taste, liking, mean_liking = numbers
    user_bias, user_noise, mainstream, tastes, taste_drift = users
    item_bias, popularity, trend, traits = catalogue
    first, n_rows, visit_seconds, visit_when = visits
    for user in prange(len(user_bias)):
        taken = np.zeros(len(popularity), dtype=np.bool_)
        noise_key, page_key, gap_key = _key(seed, 1, user), _key(seed, 2, user), _key(seed, 3, user)
        row, clock = begins[user], 0
        for visit in range(first[user], first[user + 1]):
            if n_rows[visit] == 0:
                continue
            moved = visit_when[visit] - 0.5
            match = np.zeros(len(popularity))
            for taste_number in range(len(traits)):
                match += (tastes[user, taste_number] + moved * taste_drift[user, taste_number]) * traits[taste_number]
            weights = mainstream[user] * popularity + moved * trend + taste * match
            weights = np.exp(np.maximum(weights - weights.max(), -600.0))  # never 0
            chosen = items[row : row + n_rows[visit]]
            _choose(weights, taken, _key(seed, 4, visit), chosen)
            clock = max(clock + 1, visit_seconds[visit])
            for item in chosen:
                draw = row - begins[user]
                if _uniform(page_key, draw) < _NEW_PAGE:
                    clock += 1 + int(_PAGE_SECONDS * np.exp(_PAGE_SPREAD * _normal(gap_key, draw)))
                seconds[row] = clock
                score = mean_liking + user_bias[user] + item_bias[item] + liking * match[item]
                score += user_noise[user] * _normal(noise_key, draw)
                ratings[row] = 1 + np.sum(score > edges)
                row += 1
