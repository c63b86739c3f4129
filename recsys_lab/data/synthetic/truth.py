"""The truth behind a synthetic data set: who likes what, who chooses what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from recsys_lab.data.interactions import Float32, Float64, Int32
from recsys_lab.data.synthetic.config import SECONDS_PER_DAY, VERSION, SyntheticConfig
from recsys_lab.data.synthetic.names import GENRES, item_genres
from recsys_lab.data.synthetic.visits import Visits, draw_visits
from recsys_lab.seeds import child_rng

START = 874_713_600  # 1997-09-20 00:00:00 UTC, the first day of MovieLens 100K
N_TASTES = 8  # dimensions of taste
_TASTE_DECAY = 0.5  # each dimension of taste weighs this much of the one before
EDGES = (1.75, 2.45, 3.36, 4.43)  # liking below the first edge is rated 1, ..., above the last 5
_GENRE_SHARE = 0.5  # share of an item's position in taste space that its genres explain
_RARITY = 0.1  # keeps the least popular items within reach
MEAN_LIKING = 2.54  # over all pairs; what people choose they like better
_POPULARITY_SPREAD = 1.65
_USER_SD, _ITEM_SD, _QUALITY_POPULARITY, _NOISE_SPREAD, _MAINSTREAM_SPREAD = 0.28, 0.54, 0.75, 0.2, 0.2
_ACTIVE_LIKING = 0.4  # correlation of a user's bias and log activity: active users meet more that they do not like
_TREND = 1.5  # sd of the change of an item's log popularity over the whole span, at drift 1


@dataclass(frozen=True, eq=False, repr=False)
class Truth:
    """What generated the rows: factors and biases, from which everything about a pair is computed on demand.

    User code ``u`` of the truth has user id ``u + 1``, item code ``i`` has item id ``i + 1``; filters that re-code
    users or items do not change ids, so look up by id. Times are shares of the time span, 0 ... 1 (``moment``
    converts seconds). Tastes and popularity drift: every method takes ``when`` (b,), and None means the middle of
    each user's own rows. Memory: about 230 bytes a user and 130 bytes an item.
    """

    config: SyntheticConfig
    user_bias: Float64  # (n_users,) stars
    user_noise: Float64  # (n_users,) sd of the user's ratings around the liking
    mainstream: Float64  # (n_users,) how much popularity moves the user
    tastes: Float64  # (n_users, N_TASTES) at the middle of the span
    taste_drift: Float64  # (n_users, N_TASTES) change of the tastes over the span
    item_bias: Float64  # (n_items,) stars
    popularity: Float64  # (n_items,) log scale
    trend: Float64  # (n_items,) change of the popularity over the span
    traits: Float64  # (n_items, N_TASTES)
    visits: Visits

    def moment(self, seconds: NDArray[Any]) -> Float64:
        """Unix seconds as shares of the time span."""
        span = self.config.n_days * SECONDS_PER_DAY
        return np.clip((np.asarray(seconds, dtype=np.float64) - START) / span, 0.0, 1.0)

    def expected_rating(self, users: Int32, items: Int32, when: Float64 | None = None) -> Float32:
        """Mean rating (n,) of the pairs (users[j], items[j]), over the rounding to 1 ... 5, if the user rated it."""
        match = np.einsum("nd,nd->n", self._tastes(users, when), self.traits[items])
        liking = MEAN_LIKING + self.user_bias[users] + self.item_bias[items] + self.config.liking * match
        return _mean_rating(liking.astype(np.float32), self.user_noise[users].astype(np.float32))

    def expected_ratings(self, users: Int32, when: Float64 | None = None) -> Float32:
        """Mean ratings (b, n_items) of all items for the users (b,)."""
        return _mean_rating(self._liking(users, when), self.user_noise[users, None].astype(np.float32))

    def rating_at_least(self, users: Int32, threshold: float, when: Float64 | None = None) -> Float32:
        """Probabilities (b, n_items) that the user, having chosen the item, rates it ``threshold`` or higher."""
        level = int(np.ceil(threshold))  # the lowest rating that counts
        if level <= 1 or level > 5:
            return np.full((len(users), self.config.n_items), level <= 1, dtype=np.float32)
        distance = self._liking(users, when)
        distance -= np.float32(EDGES[level - 2])
        distance /= self.user_noise[users, None].astype(np.float32)
        return ndtr(distance)  # type: ignore[no-any-return]

    def log_weights(self, users: Int32, when: Float64 | None = None) -> Float32:
        """Log choice weights (b, n_items): the user's next choice is item i with probability ∝ exp of it.

        Among the items not chosen yet, and up to a constant of the user. So their order is the order of the
        probabilities of being chosen next, whatever was chosen before.
        """
        weights = _product(self._tastes(users, when), self.traits)
        weights *= np.float32(self.config.taste)
        weights += self.mainstream[users, None].astype(np.float32) * self.popularity.astype(np.float32)
        weights += self._moved(users, when).astype(np.float32) * self.trend.astype(np.float32)
        return weights

    def _moved(self, users: Int32, when: Float64 | None) -> Float64:
        """Distance from the middle of the span, (b, 1)."""
        return (self.visits.middle[users] if when is None else np.asarray(when, dtype=np.float64))[:, None] - 0.5

    def _tastes(self, users: Int32, when: Float64 | None) -> Float64:
        return self.tastes[users] + self._moved(users, when) * self.taste_drift[users]

    def _liking(self, users: Int32, when: Float64 | None) -> Float32:
        liking = _product(self._tastes(users, when), self.traits)
        liking *= np.float32(self.config.liking)
        liking += (MEAN_LIKING + self.user_bias[users, None]).astype(np.float32)
        liking += self.item_bias.astype(np.float32)
        return liking


@lru_cache(maxsize=2)
def draw_truth(config: SyntheticConfig) -> Truth:
    """The truth of a configuration; the same in every process. No rows are drawn, so it takes little time."""
    n_users, n_items = config.n_users, config.n_items

    def normal(name: str, *shape: int) -> Float64:
        return child_rng(config.seed, f"synthetic/{name}").standard_normal(shape)

    size = normal("popularity", n_items)
    # the square of a normal has the quantiles of MovieLens 100K's rows per item: half of its items have 27 rows or less
    popularity = _POPULARITY_SPREAD * np.log(size**2 + _RARITY)
    visits = draw_visits(config)
    activity = _standardised(np.log(visits.rows_per_user))
    own = np.sqrt(1 - _QUALITY_POPULARITY**2) * normal("item_bias", n_items)
    return Truth(
        config=config,
        user_bias=_USER_SD
        * (_ACTIVE_LIKING * activity + np.sqrt(1 - _ACTIVE_LIKING**2) * normal("user_bias", n_users)),
        user_noise=config.noise * np.exp(_NOISE_SPREAD * normal("user_noise", n_users)),
        mainstream=np.exp(_MAINSTREAM_SPREAD * normal("mainstream", n_users)),
        tastes=normal("tastes", n_users, N_TASTES),
        taste_drift=config.drift * normal("taste_drift", n_users, N_TASTES),
        item_bias=_ITEM_SD * (_QUALITY_POPULARITY * _standardised(popularity) + own),
        popularity=popularity,
        trend=_TREND * config.drift * normal("trend", n_items),
        traits=_traits(config, normal("genre_traits", len(GENRES), N_TASTES), normal("own_traits", n_items, N_TASTES)),
        visits=visits,
    )


def truth_of(info: dict[str, Any]) -> Truth:
    """The truth of the data set that ``catalogue.info`` describes, however its rows were filtered since.

    Raises ValueError for data that no generator made, or another version of it.
    """
    if "synthetic" not in info:
        raise ValueError(
            f"data set {info.get('name', 'unnamed')!r} has no known truth; only generated data (synthetic-*) have one"
        )
    if info.get("version") != VERSION:
        raise ValueError(
            f"data set {info.get('name')!r} was made by version {info.get('version')!r} of the generator, "
            f"and this is version {VERSION!r}, whose truth is another: generate the data again"
        )
    return draw_truth(SyntheticConfig(**info["synthetic"]))


def _standardised(values: Float64) -> Float64:
    standard: Float64 = (values - values.mean()) / max(float(values.std()), 1e-12)
    return standard


def _traits(config: SyntheticConfig, genre_traits: Float64, own: Float64) -> Float64:
    """Positions of the items in taste space, about unit length: half the direction of their genres, half their own."""
    genres = item_genres(config.n_items, config.seed)
    direction = np.zeros_like(own)
    for column in range(len(GENRES)):  # element by element: a matrix product may round differently with other threads
        direction += genres[:, column, None] * genre_traits[column]
    direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
    traits: Float64 = np.sqrt(_GENRE_SHARE) * direction + np.sqrt((1 - _GENRE_SHARE) / N_TASTES) * own
    scale = _TASTE_DECAY ** np.arange(N_TASTES)
    traits *= scale * np.sqrt(N_TASTES / (scale**2).sum())
    return traits


def _product(tastes: Float64, traits: Float64) -> Float32:
    product: Float32 = tastes.astype(np.float32) @ traits.T.astype(np.float32)
    return product


def _mean_rating(liking: Float32, noise: Float32) -> Float32:
    rating = np.ones_like(liking)
    for edge in EDGES:
        rating += ndtr((liking - np.float32(edge)) / noise)
    return rating
