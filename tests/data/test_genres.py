"""Genres as weights, however the table writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recsys_lab.data.genres import genre_names, genre_weights, has_genres
from recsys_lab.data.interactions import Catalogue


@pytest.mark.parametrize(
    "genres",
    [
        ["B|A", "A", "(no genres listed)", "", "C| A |B"],
        [["B", "A"], ["A"], [], None, ("C", "A", "B")],
        ["B|A", np.array(["A"]), None, float("nan"), "A|B|C"],
    ],
)
def test_a_weight_of_1_is_split_evenly(genres: list[object]) -> None:
    items = pd.DataFrame({"genres": pd.Series(genres, dtype=object)})
    catalogue = Catalogue(pd.Index([0]), pd.RangeIndex(5), items)
    assert has_genres(catalogue)
    third = 1 / 3
    expected = [[0.5, 0.5, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0], [third, third, third]]
    np.testing.assert_allclose(genre_weights(catalogue), expected)
    assert not has_genres(Catalogue(pd.Index([0]), pd.RangeIndex(5), pd.DataFrame(index=range(5))))


def test_names_of_one_entry() -> None:
    assert genre_names("Drama| War |") == ["Drama", "War"]
    assert genre_names(["Drama", "War"]) == ["Drama", "War"]
    assert genre_names("(no genres listed)") == genre_names(None) == genre_names(float("nan")) == []
