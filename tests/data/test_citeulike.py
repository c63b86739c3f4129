"""CiteULike-t: libraries, bag of words, tags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recsys_lab.data.citeulike import read_citeulike_t
from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.sources import FolderFiles


def write(folder: Path, users: str = "2 0 2\n1 2\n") -> FolderFiles:
    (folder / "users.dat").write_text(users)
    (folder / "mult.dat").write_text("2 0:3 1:1\n0\n1 1:4\n")
    (folder / "vocabulary.dat").write_text("xylem\nwoods\n")
    (folder / "tags.dat").write_text("plants\nunused\n")
    (folder / "tag-item.dat").write_text("2 0 1\n0\n")
    return FolderFiles(folder)


def test_small_files(tmp_path: Path) -> None:
    data = read_citeulike_t(write(tmp_path))
    assert data.to_frame().to_numpy().tolist() == [[0, 0, 1], [0, 2, 1], [1, 2, 1]]
    assert data.timestamps is None
    assert data.catalogue.item_ids.tolist() == [0, 1, 2]  # article 1 is in no library
    assert list(data.catalogue.feature_names) == ["word:xylem", "word:woods", "tag:plants", "tag:unused"]
    matrix = data.catalogue.item_features
    assert matrix is not None
    assert matrix.toarray().tolist() == [[3, 1, 1, 0], [0, 0, 1, 0], [0, 4, 0, 0]]


def test_a_wrong_count_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"users\.dat, line 2: says 3 members, has 1"):
        read_citeulike_t(write(tmp_path, "2 0 2\n3 2\n"))


@pytest.mark.data
def test_the_real_files(real_data: Path) -> None:
    data = load_dataset("citeulike-t")
    assert (len(data), data.n_users, data.n_items) == (134_860, 7_947, 25_975)
    assert data.to_frame().iloc[0].tolist() == [0, 193, 1]
    matrix = data.catalogue.item_features
    assert matrix is not None
    assert matrix[0, list(data.catalogue.feature_names).index("tag:webimages")] in (0, 1)
    assert np.count_nonzero(data.item_popularity == 0) == 25_975 - 25_584
