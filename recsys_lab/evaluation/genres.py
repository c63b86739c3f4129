"""Genres of a catalogue as weights: what calibration compares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from recsys_lab.data.interactions import Catalogue, Float64

NO_GENRE = "(no genres listed)"  # how MovieLens writes it


def has_genres(catalogue: Catalogue) -> bool:
    """The items have a column "genres"."""
    return "genres" in catalogue.items.columns


def genre_weights(catalogue: Catalogue) -> Float64:
    """(n_items, n_genres): the weight 1 of an item split evenly over its genres; zeros for an item without any.

    Reads the column "genres" of the items: lists of names, or text with | between them.
    """
    named = [_names(value) for value in catalogue.items["genres"]]
    genres = {name: column for column, name in enumerate(sorted({name for names in named for name in names}))}
    weights = np.zeros((catalogue.n_items, len(genres)))
    for row, names in enumerate(named):
        for name in names:
            weights[row, genres[name]] = 1.0 / len(names)
    return weights


def _names(value: Any) -> set[str]:
    if isinstance(value, str):
        parts: Iterable[Any] = value.split("|")
    elif isinstance(value, Iterable):
        parts = value
    else:  # None or NaN
        return set()
    return {str(part).strip() for part in parts} - {"", NO_GENRE}
