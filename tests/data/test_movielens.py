"""MovieLens readers, on small files of each format and on the real ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.movielens import read_1m, read_1m_untimed, read_10m, read_100k, read_csv, read_csv_with_tags
from recsys_lab.data.sources import FolderFiles, ZipFiles

RATINGS = [(3, 20, 4.0, 100), (1, 10, 5.0, 200), (3, 10, 1.0, 300)]


def features(data: Interactions) -> dict[str, list[float]]:
    """Feature -> its value for every item."""
    matrix = data.catalogue.item_features
    assert matrix is not None
    return dict(zip(data.catalogue.feature_names, matrix.toarray().T.tolist(), strict=True))


def rows(data: Interactions) -> list[tuple[float, ...]]:
    return [tuple(row) for row in data.to_frame().to_numpy().tolist()]


def test_100k(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("".join(f"{u}\t{i}\t{r:.0f}\t{t}\n" for u, i, r, t in RATINGS))
    (tmp_path / "u.genre").write_text("unknown|0\nAction|1\nComedy|2\n\n")
    (tmp_path / "u.item").write_bytes(
        "10|Amélie (2001)|01-Jan-2001||url|0|1|1\n15|Nobody saw it (1999)|||url|0|1|0\n20|unknown||||1|0|0\n".encode(
            "latin-1"
        )
    )
    assert read_100k(FolderFiles(tmp_path)).catalogue.users is None
    (tmp_path / "u.user").write_text("1|24|M|technician|85711\n2|17|F|other|94043\n3|56|F|writer|32067\n")
    data = read_100k(FolderFiles(tmp_path))
    assert rows(data) == RATINGS
    assert data.catalogue.users.to_dict("list") == {
        "gender": ["M", "F"],
        "age": ["18-24", "56+"],
        "occupation": ["technician", "writer"],
    }
    assert data.catalogue.users.index.tolist() == data.catalogue.user_ids.tolist() == [1, 3]
    assert data.catalogue.item_ids.tolist() == [10, 20]
    assert data.catalogue.items["title"].tolist() == ["Amélie (2001)", "unknown"]
    assert data.catalogue.items["genres"].tolist() == ["Action|Comedy", "unknown"]
    assert data.catalogue.items["year"].tolist()[0] == 2001
    assert np.isnan(data.catalogue.items["year"].tolist()[1])
    assert features(data) == {"genre:Action": [1, 0], "genre:Comedy": [1, 0], "genre:unknown": [0, 1]}


@pytest.mark.parametrize(("read", "encoding"), [(read_1m, "latin-1"), (read_10m, "utf-8")])
def test_files_with_two_colons(read: object, encoding: str, tmp_path: Path) -> None:
    lines = [f"{u}::{i}::{r / 2}::{t}\r\n" for u, i, r, t in RATINGS]
    (tmp_path / "ratings.dat").write_text("".join(lines), newline="")
    movies = "10::Æon: the film (2005)::Drama|Children's\n20::Zeta (1960)::Drama\n"
    (tmp_path / "movies.dat").write_bytes(movies.encode(encoding))
    data = read(FolderFiles(tmp_path))  # type: ignore[operator]
    assert rows(data) == [(u, i, r / 2, t) for u, i, r, t in RATINGS]
    assert data.catalogue.items["title"].tolist() == ["Æon: the film (2005)", "Zeta (1960)"]
    assert features(data) == {"genre:Children's": [1, 0], "genre:Drama": [1, 1]}


def write_csv(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    lines = ["userId,movieId,rating,timestamp", *(f"{u},{i},{r},{t}" for u, i, r, t in RATINGS)]
    (folder / "ratings.csv").write_text("\r\n".join(lines) + "\r\n", newline="")
    movies = 'movieId,title,genres\r\n10,"American, The (1995)",Comedy|Drama\r\n20,NA (2009),(no genres listed)\r\n'
    (folder / "movies.csv").write_text(movies + "30,Unrated (2000),Drama\r\n", newline="")
    tags = "userId,movieId,tag,timestamp\n1,10,Funny,5\n3,10, funny,6\n3,20,nan,7\n3,30,odd,8\n"
    (folder / "tags.csv").write_text(tags)


def test_csv_with_tags_counts_them(tmp_path: Path) -> None:
    write_csv(tmp_path)
    data = read_csv_with_tags(FolderFiles(tmp_path))
    assert rows(data) == RATINGS
    assert data.catalogue.items["title"].tolist() == ["American, The (1995)", "NA (2009)"]
    assert features(data) == {"genre:Comedy": [1, 0], "genre:Drama": [1, 0], "tag:funny": [2, 0], "tag:nan": [0, 1]}


def test_a_zip_is_read_like_its_folder(tmp_path: Path) -> None:
    write_csv(tmp_path / "ml-toy")
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        for file in (tmp_path / "ml-toy").iterdir():
            archive.write(file, f"ml-toy/{file.name}")
    packed, unpacked = read_csv(ZipFiles(tmp_path / "toy.zip")), read_csv(FolderFiles(tmp_path / "ml-toy"))
    assert packed.to_frame().equals(unpacked.to_frame())
    assert packed.catalogue.items.equals(unpacked.catalogue.items)
    assert features(packed) == {"genre:Comedy": [1, 0], "genre:Drama": [1, 0]}


def test_untimed_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user_id,item_id,rating\n3,20,4\n1,10,5\n3,10,1\n")
    (tmp_path / "movies.dat").write_text("10::Ten (1990)::Drama\n20::Twenty (1991)::War\n")
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n3::M::25::15::55117\n")
    data = read_1m_untimed(FolderFiles(tmp_path))
    assert data.timestamps is None
    assert data.catalogue.users.loc[1].tolist() == ["F", "0-17", "K-12 student"]
    assert data.catalogue.users.loc[3].tolist() == ["M", "25-34", "scientist"]
    assert rows(data) == [row[:3] for row in RATINGS]


@pytest.mark.data
def test_the_real_100k(real_data: Path) -> None:
    data = load_dataset("ml-100k")
    assert (len(data), data.n_users, data.n_items) == (100_000, 943, 1_682)
    assert rows(data)[0] == (196, 242, 3, 881250949)
    assert data.catalogue.info["raw_sha256"].startswith("06416e59")
    assert data.catalogue.items.loc[267, "title"] == "unknown"
    assert np.bincount(data.ratings.astype(int)).tolist() == [0, 6110, 11370, 27145, 34174, 21201]  # the README's table
    matrix = data.catalogue.item_features
    assert matrix is not None
    assert dict(zip(data.catalogue.feature_names, matrix.sum(axis=0).A1))["genre:Drama"] == 725
    users = load_dataset("ml-100k").catalogue.users  # from the prepared copy
    pd.testing.assert_frame_equal(users, data.catalogue.users)
    assert users["gender"].value_counts().to_dict() == {"M": 670, "F": 273}
    assert (users["occupation"] == "student").sum() == 196
    assert users["age"].value_counts()["0-17"] == 36


@pytest.mark.data
def test_the_real_latest_small(real_data: Path) -> None:
    data = load_dataset("ml-latest-small")
    matrix, names = data.catalogue.item_features, list(data.catalogue.feature_names)
    assert matrix is not None
    tags = [number for number, name in enumerate(names) if name.startswith("tag:")]
    assert 0 < matrix[:, tags].sum() <= 3_683  # all tag applications, less those of movies nobody rated
    assert matrix[:, tags].max() > 1
    assert data.catalogue.items.loc[1, "title"] == "Toy Story (1995)"
