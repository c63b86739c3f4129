"""The published data sets: one literal table, name -> reader, source, hashes, licence and expected counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recsys_lab.data import citeulike, gowalla, lastfm, movielens
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.sources import Files, Source


@dataclass(frozen=True)
class Dataset:
    """A published data set: how it is read, where it comes from, and what must be found in it."""

    title: str
    version: str
    read: Callable[[Files], Interactions]
    source: Source
    licence: str
    counts: tuple[int, int, int]  # rows, users, items
    content: str  # what is known about the items
    homepage: str
    n_parts: int = 1  # the first n_parts files of the source hold the interactions


GROUPLENS = "research only; no redistribution, no commercial use without permission (GroupLens)"
GROUPLENS_LATEST = "research and education; redistribution under the same terms (GroupLens)"
MOVIELENS_URL = "https://files.grouplens.org/datasets/movielens/"
MOVIELENS_HOME = "https://grouplens.org/datasets/movielens/"
GITHUB = "https://raw.githubusercontent.com/"
CSV_FILES = ("ratings.csv", "movies.csv")
DAT_FILES = ("ratings.dat", "movies.dat")
NONE_STATED = "none stated by the publisher; for research"


def _movielens(
    name: str, read: Callable[[Files], Interactions], files: tuple[str, ...], hashes: dict[str, str], **about: Any
) -> Dataset:
    source = Source((name, *about.pop("folders", ())), files, f"{MOVIELENS_URL}{name}.zip", hashes)
    about = {"licence": GROUPLENS, "content": "titles, years, genres", "homepage": MOVIELENS_HOME, **about}
    return Dataset(title=f"MovieLens {name[3:]}", read=read, source=source, **about)


DATASETS: dict[str, Dataset] = {
    "ml-100k": _movielens(
        "ml-100k",
        movielens.read_100k,
        ("u.data", "u.item", "u.genre"),
        {
            "zip": "sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
            "u.data": "sha256:06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
        },
        version="1998-04",
        counts=(100_000, 943, 1_682),
    ),
    "ml-latest-small": _movielens(
        "ml-latest-small",
        movielens.read_csv_with_tags,
        (*CSV_FILES, "tags.csv"),
        {
            "zip": "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
            "ratings.csv": "sha256:aa289ca83157595d0df6aea1be6a4ded676ddc4385472e8313a8ed9805352646",
        },
        version="2018-09",
        counts=(100_836, 610, 9_724),
        licence=GROUPLENS_LATEST,
        content="titles, years, genres, tags",
    ),
    "ml-1m": _movielens(
        "ml-1m",
        movielens.read_1m,
        DAT_FILES,
        {"zip": "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"},
        version="2003-02",
        counts=(1_000_209, 6_040, 3_706),
    ),
    "ml-10m": _movielens(
        "ml-10m",
        movielens.read_10m,
        DAT_FILES,
        {"zip": "sha256:813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862"},
        folders=("ml-10M100K",),
        version="2009-01",
        counts=(10_000_054, 69_878, 10_677),
    ),
    "ml-20m": _movielens(
        "ml-20m",
        movielens.read_csv,
        CSV_FILES,
        {"zip": "sha256:96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3"},
        version="2016-10",
        counts=(20_000_263, 138_493, 26_744),
    ),
    "ml-25m": _movielens(
        "ml-25m",
        movielens.read_csv,
        CSV_FILES,
        {"zip": "sha256:8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa"},
        version="2019-12",
        counts=(25_000_095, 162_541, 59_047),
    ),
    "ml-32m": _movielens(
        "ml-32m",
        movielens.read_csv,
        CSV_FILES,
        {"ratings.csv": "md5:cf12b74f9ad4b94a011f079e26d4270a"},
        version="2024-05",
        counts=(32_000_204, 200_948, 84_432),
    ),
    "ml-1m-untimed": Dataset(
        "MovieLens 1m, original row order, without times",
        "2003-02",
        movielens.read_1m_untimed,
        Source(
            ("ml-1m-untimed",),
            ("ratings.csv", "movies.dat"),
            hashes={"ratings.csv": "sha256:a805623dc78ac6e35d01ded0010176b961149d97f712aae0968f60f6aeaa6d24"},
        ),
        GROUPLENS,
        (1_000_209, 6_040, 3_706),
        "titles, years, genres",
        MOVIELENS_HOME,
    ),
    "hetrec2011-lastfm-2k": Dataset(
        "Last.fm 2k (HetRec 2011)",
        "2011-05",
        lastfm.read_hetrec,
        Source(
            ("hetrec2011-lastfm-2k",),
            ("user_artists.dat", "artists.dat"),
            "https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip",
            {"zip": "sha256:6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c"},
        ),
        "research only; for other use ask Last.fm",
        (92_834, 1_892, 17_632),
        "artist names, tags where the file is there",
        "https://grouplens.org/datasets/hetrec-2011/",
    ),
    "gowalla": Dataset(
        "Gowalla (LightGCN split, train and test)",
        "LightGCN",
        gowalla.read_gowalla,
        Source(
            ("gowalla",),
            ("train.txt", "test.txt"),
            GITHUB + "gusye1234/LightGCN-PyTorch/master/data/gowalla/{file}",
            {
                "train.txt": "sha256:0f086326b28a56c2e6dcb81d86ee72d4ccb7eed3a8d26788392356d8f51111cc",
                "test.txt": "sha256:099a2a73924e4b754dc6efd730d764f492321b53c38eb93298850c83acf57be3",
            },
        ),
        NONE_STATED,
        (1_027_370, 29_858, 40_981),
        "none",
        "https://github.com/gusye1234/LightGCN-PyTorch",
        n_parts=2,
    ),
    "citeulike-t": Dataset(
        "CiteULike-t",
        "2013",
        citeulike.read_citeulike_t,
        Source(
            ("citeulike-t",),
            ("users.dat", "mult.dat", "vocabulary.dat", "tag-item.dat", "tags.dat"),
            GITHUB + "js05212/citeulike-t/master/{file}",
            {
                "users.dat": "sha256:02d5d429b2c0362e0ed79f6ef204666b4092563d21493abf4dfb521e8a7078bf",
                "mult.dat": "sha256:5ed81e6fdbf8d475122d4a18d622202571ac80f27be017e194a1957da585283d",
                "vocabulary.dat": "sha256:d58f0e6ce40da9e57c7ad6bbb2d0f1351730e3ecfcbbdf14eec07d493ce539e1",
                "tag-item.dat": "sha256:e2b80fc0e023780b63c00a397a2d0934eff6dbaf8a1b918778698361dae7ce6b",
                "tags.dat": "sha256:2f1e6dd94fe216a4453caf67e337c45f73938373b21d2aa3b6d2696387449e76",
            },
        ),
        NONE_STATED,
        (134_860, 7_947, 25_975),
        "bag of words, tags",
        "https://github.com/js05212/citeulike-t",
    ),
    "ml-1m-spectralcf": Dataset(
        "MovieLens 1m, SpectralCF split (train and test)",
        "SpectralCF",
        gowalla.read_spectralcf,
        Source(
            ("ml-1m-spectralcf",),
            ("train_users.dat", "test_users.dat"),
            hashes={
                "train_users.dat": "sha256:ee6cf59160f3cde155416941ac42890f79accd9cf7f1ac5496ee194db49687bb",
                "test_users.dat": "sha256:b114c7c87a94462399b02e4f59f05e91b690a9091adea83dd8efcfd3e03b67ee",
            },
        ),
        GROUPLENS,
        (226_310, 6_014, 3_232),
        "none",
        "https://github.com/lzheng21/SpectralCF",
        n_parts=2,
    ),
    "citeulike-a-loo": Dataset(
        "CiteULike-a, leave-one-out split (train and positives)",
        "leave-one-out",
        gowalla.read_leave_one_out,
        Source(
            ("citeulike-a-loo",),
            ("train.txt", "test_candidates.txt"),
            hashes={
                "train.txt": "sha256:d219002b85060d0226f029154d8998172b8d83b26c7cc6ee3e85d76014c8b2c6",
                "test_candidates.txt": "sha256:5041b95d9fd70b7f7cc935f5d1e747d0d0fe0931f7885353737f3bd5b6f208fb",
            },
        ),
        NONE_STATED,
        (204_986, 5_551, 16_980),
        "none",
        "https://github.com/js05212/citeulike-a",
        n_parts=2,
    ),
    "lastfm-lightgcnpp": Dataset(
        "Last.fm, LightGCN++ split (train, valid and test)",
        "LightGCN++",
        gowalla.read_lightgcnpp,
        Source(
            ("lastfm-lightgcnpp",),
            ("train.txt", "valid.txt", "test.txt"),
            hashes={
                "train.txt": "sha256:1845769cb1a9834692d3cf884de523d23aa126fa6b58eb5f49e9628e8c317705",
                "valid.txt": "sha256:9ae3440becfcbba19d5a5a8298b7933126f89424a468de5765bf1c6f08a9e3eb",
                "test.txt": "sha256:0f0a15e3de2f868554ee1e32190c51db3e0ad0c4138e1428c66ba6de86102755",
            },
        ),
        NONE_STATED,
        (91_779, 1_885, 17_388),
        "none",
        "https://github.com/geon0325/LightGCNpp",
        n_parts=3,
    ),
}
