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
    texts, row_of = np.unique([_text(value) for value in catalogue.items["genres"]], return_inverse=True)
    named = [set(genre_names(text)) for text in texts.tolist()]
    genres = {name: column for column, name in enumerate(sorted({name for names in named for name in names}))}
    weights = np.zeros((len(texts), len(genres)))
    for row, names in enumerate(named):
        for name in names:
            weights[row, genres[name]] = 1.0 / len(names)
    return np.asarray(weights[row_of])


def genre_names(value: Any) -> list[str]:
    """The names in one entry of the column "genres", in its order; empty where it says that there are none."""
    return [name for part in _text(value).split("|") if (name := part.strip()) and name != NO_GENRE]


def _text(value: Any) -> str:
    """Names with | between them; nothing for None and NaN."""
    if isinstance(value, str):
        return value
    return "|".join(str(part) for part in value) if isinstance(value, Iterable) else ""
