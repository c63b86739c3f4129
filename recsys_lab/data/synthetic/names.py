"""Invented titles and the genres of a synthetic catalogue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recsys_lab.data.interactions import Bool, Int64
from recsys_lab.seeds import child_rng

# genre: share of the items that would take it first; the mixture resembles MovieLens 100K
GENRES = {
    "Action": 0.1,
    "Adventure": 0.045,
    "Animation": 0.015,
    "Biography": 0.015,
    "Children": 0.04,
    "Comedy": 0.22,
    "Crime": 0.04,
    "Documentary": 0.025,
    "Drama": 0.36,
    "Fantasy": 0.013,
    "Film-Noir": 0.012,
    "Horror": 0.045,
    "Musical": 0.03,
    "Mystery": 0.03,
    "Romance": 0.09,
    "Science Fiction": 0.04,
    "Thriller": 0.09,
    "War": 0.03,
    "Western": 0.015,
}
_GENRES_PER_ITEM = (0.495, 0.835, 0.965)  # cumulative shares of items with at most 1, 2, 3 genres; the rest have 4
_OPENINGS = ("b", "br", "c", "d", "dr", "f", "g", "gl", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
_ENDINGS = ("", "l", "n", "r", "s", "nd", "rk", "m")
_PATTERNS = ("{}", "The {}", "{} and {}", "The {} of {}", "{} {}", "Return to {}", "A {} in {}", "{}'s {}")


def item_genres(n_items: int, seed: int) -> Bool:
    """Which item has which genre, (n_items, 19) bool in the order of ``GENRES``; one to four genres an item."""
    rng = child_rng(seed, "synthetic/genres")
    n_genres = 1 + np.searchsorted(_GENRES_PER_ITEM, rng.random(n_items), side="right")
    # an exponential race: the k smallest are k genres drawn without replacement in proportion to their shares
    race = -np.log1p(-rng.random((n_items, len(GENRES)))) / np.asarray(list(GENRES.values()))
    ranks = race.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    genres: Bool = ranks < n_genres[:, None]
    return genres


def item_titles(n_items: int, seed: int, first_year: int = 1930, last_year: int = 1998) -> list[str]:
    """Unique invented titles with a year, such as "The Brouk of Vesand (1994)"; most years are recent."""
    rng = child_rng(seed, "synthetic/titles")
    words = _words(rng, max(200, n_items // 4))
    years = last_year - np.floor((last_year - first_year) * rng.random(n_items) ** 2.5).astype(np.int64)
    patterns = np.floor(len(_PATTERNS) * rng.random(n_items)).astype(np.int64)
    picks: Int64 = np.floor(len(words) * rng.random((n_items, 2))).astype(np.int64)
    taken: set[str] = set()
    titles = []
    for pattern, pick, year in zip(patterns, picks, years):
        title = _PATTERNS[pattern].format(*(words[number] for number in pick))
        part = 1
        while (full := f"{title}{f' {part}' if part > 1 else ''} ({year})") in taken:
            part += 1
        taken.add(full)
        titles.append(full)
    return titles


def _words(rng: np.random.Generator, n_words: int) -> list[str]:
    """Distinct invented words of two syllables or three, in the order drawn."""
    words: dict[str, None] = {}
    while len(words) < n_words:
        draws: NDArray[np.float64] = rng.random((n_words, 8))
        for draw in draws:
            syllables = 2 + (draw[0] > 0.7)
            sounds = [
                _OPENINGS[int(draw[1 + 2 * part] * len(_OPENINGS))] + _VOWELS[int(draw[2 + 2 * part] * len(_VOWELS))]
                for part in range(syllables)
            ]
            words["".join(sounds).capitalize() + _ENDINGS[int(draw[7] * len(_ENDINGS))]] = None
    return list(words)[:n_words]
