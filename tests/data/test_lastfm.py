"""Last.fm 2k: play counts, names, and tags where the file is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.lastfm import read_hetrec
from recsys_lab.data.sources import FolderFiles


def write(folder: Path, with_tags: bool) -> FolderFiles:
    (folder / "user_artists.dat").write_text("userID\tartistID\tweight\r\n2\t51\t13883\r\n4\t7\t1\r\n", newline="")
    artists = 'id\tname\turl\tpictureURL\n7\tSigur Rós\tu\tp\n9\tUnheard\tu\tp\n51\tThe "Rós" NaN\tu\t\n'
    (folder / "artists.dat").write_text(artists, encoding="utf-8")
    (folder / "tags.dat").write_bytes("tagID\ttagValue\r\n1\tmétal\r\n2\tpop\r\n".encode("latin-1"))
    if with_tags:
        given = (
            "userID\tartistID\ttagID\tday\tmonth\tyear\n2\t51\t1\t1\t4\t2009\n4\t51\t1\t1\t4\t2009\n4\t9\t2\t1\t1\t1\n"
        )
        (folder / "user_taggedartists.dat").write_text(given)
    return FolderFiles(folder)


@pytest.mark.parametrize("with_tags", [False, True])
def test_small_files(with_tags: bool, tmp_path: Path) -> None:
    data = read_hetrec(write(tmp_path, with_tags))
    assert data.to_frame().to_numpy().tolist() == [[2, 51, 13883], [4, 7, 1]]
    assert data.catalogue.items["title"].tolist() == ["Sigur Rós", 'The "Rós" NaN']
    matrix = data.catalogue.item_features
    assert matrix is not None
    found = dict(zip(data.catalogue.feature_names, matrix.toarray().T.tolist(), strict=True))
    expected = {"word:nan": [0, 1], "word:rós": [1, 1], "word:sigur": [1, 0], "word:the": [0, 1]}
    assert found == expected | ({"tag:métal": [0, 2]} if with_tags else {})


@pytest.mark.data
def test_the_real_files(real_data: Path) -> None:
    data = load_dataset("hetrec2011-lastfm-2k")
    assert (len(data), data.n_users, data.n_items) == (92_834, 1_892, 17_632)
    assert data.ratings.max() == 352_698
    assert data.catalogue.items.loc[51, "title"] == "Duran Duran"
