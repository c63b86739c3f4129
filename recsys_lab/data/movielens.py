"""The MovieLens data sets: 100k, latest-small, 1m, 10m, 20m, 25m, 32m (GroupLens, University of Minnesota).

Every reader keeps the row order of the file. The catalogue holds the rated movies, with title, year, genres.
"""

from __future__ import annotations

from dataclasses import replace
from io import BufferedIOBase
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from recsys_lab.data.content import Features, count_features, label_features, stack_features, with_features
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.sources import Files

COLUMNS = ("user_id", "item_id", "rating", "timestamp")
AGES = {"1": "0-17", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56+"}
OCCUPATIONS = (  # of MovieLens 1M, by their numbers
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman",
    "unemployed", "writer",
)  # fmt: skip


def read_100k(files: Files) -> Interactions:
    """u.data (tab), u.item (latin-1, ``|``, one column a genre), u.genre and, where it is, u.user."""
    with files.open("u.data") as handle:
        ratings = _ratings(handle, "\t", COLUMNS)
    genres = [line.split("|")[0] for line in _lines(files, "u.genre", "latin-1")]
    movies = pd.DataFrame([line.split("|") for line in _lines(files, "u.item", "latin-1")]).set_index(0)
    movies.index = movies.index.astype(np.int64)
    flags = movies.iloc[:, 4:].to_numpy() == "1"  # (n_movies, n_genres)
    named = ["|".join(genre for genre, flag in zip(genres, row, strict=True) if flag) for row in flags]
    table = pd.DataFrame({"title": movies[1].to_numpy(), "genres": named}, index=movies.index)
    people = _people(files, "u.user", "|", ("age", "gender", "occupation"))
    if people is not None:
        bounds = [int(lowest) for lowest in AGES]
        band = np.searchsorted(bounds, people["age"].astype(np.int64), side="right") - 1
        people["age"] = np.array(list(AGES.values()))[np.maximum(band, 0)]
    return _with_people(_interactions(ratings, table), people)


def read_1m(files: Files) -> Interactions:
    """ratings.dat, movies.dat (latin-1) and, where it is, users.dat, separated by ``::``."""
    return _with_people(_read_dat(files, "latin-1"), _people_1m(files))


def read_10m(files: Files) -> Interactions:
    """ratings.dat and movies.dat (UTF-8), separated by ``::``."""
    return _read_dat(files, "utf-8")


def read_1m_untimed(files: Files) -> Interactions:
    """ratings.csv (user_id, item_id, rating) of MovieLens 1M in its original order, its movies.dat and users.dat."""
    with files.open("ratings.csv") as handle:
        ratings = _ratings(handle, ",", COLUMNS[:3], header=True)
    return _with_people(_interactions(ratings, _movies_dat(files, "latin-1")), _people_1m(files))


def read_csv(files: Files) -> Interactions:
    """ratings.csv and movies.csv: 20m, 25m, 32m."""
    return _interactions(*_csv_tables(files))


def read_csv_with_tags(files: Files) -> Interactions:
    """ratings.csv, movies.csv and tags.csv: the features also count how often users gave a movie a tag (lower case)."""
    data = _interactions(*_csv_tables(files))
    with files.open("tags.csv") as handle:
        tags = pd.read_csv(handle, usecols=["movieId", "tag"], dtype={"movieId": np.int64, "tag": str}, na_filter=False)
    items = data.catalogue.item_ids.get_indexer(pd.Index(tags["movieId"]))
    known = items >= 0  # tags of movies nobody rated stay outside, as these movies do
    names = tags["tag"].str.strip().str.lower()[known].tolist()
    genres: Features = (data.catalogue.item_features, list(data.catalogue.feature_names))
    return with_features(data, stack_features([genres, count_features(items[known], names, "tag", data.n_items)]))


def _read_dat(files: Files, encoding: str) -> Interactions:
    with files.open("ratings.dat") as handle:
        ratings = _ratings(handle, ":", COLUMNS, gaps=True)
    return _interactions(ratings, _movies_dat(files, encoding))


def _csv_tables(files: Files) -> tuple[pd.DataFrame, pd.DataFrame]:
    with files.open("ratings.csv") as handle:
        ratings = _ratings(handle, ",", COLUMNS, header=True)
    with files.open("movies.csv") as handle:
        movies = pd.read_csv(handle, dtype={"movieId": np.int64, "title": str, "genres": str}, na_filter=False)
    return ratings, movies.set_index("movieId")


def _movies_dat(files: Files, encoding: str) -> pd.DataFrame:
    rows = [line.split("::") for line in _lines(files, "movies.dat", encoding)]
    index = pd.Index([int(row[0]) for row in rows], dtype=np.int64)
    return pd.DataFrame({"title": [row[1] for row in rows], "genres": [row[2] for row in rows]}, index=index)


def _people_1m(files: Files) -> pd.DataFrame | None:
    people = _people(files, "users.dat", "::", ("gender", "age", "occupation"))
    if people is not None:
        people["age"] = people["age"].map(AGES)
        people["occupation"] = [OCCUPATIONS[int(number)] for number in people["occupation"]]
    return people


def _people(files: Files, name: str, separator: str, columns: tuple[str, ...]) -> pd.DataFrame | None:
    """What is known of the users, text, by user id; None where the file is not. Postal codes stay in the file."""
    if not files.has(name):
        return None
    rows = [line.split(separator) for line in _lines(files, name, "latin-1")]
    known = pd.DataFrame([row[1 : 1 + len(columns)] for row in rows], columns=list(columns))
    known.index = pd.Index([int(row[0]) for row in rows], name="user_id")
    return known[["gender", "age", "occupation"]]


def _with_people(data: Interactions, people: pd.DataFrame | None) -> Interactions:
    """The same interactions; their catalogue knows these users."""
    if people is None:
        return data
    return replace(data, catalogue=replace(data.catalogue, users=people.reindex(data.catalogue.user_ids)))


def _ratings(
    handle: BufferedIOBase, separator: str, columns: tuple[str, ...], *, header: bool = False, gaps: bool = False
) -> pd.DataFrame:
    """The columns as int64 and float32. ``gaps``: a ``::`` file read by ``:`` has an empty column after each."""
    names = [part for name in columns for part in ([name, f"gap_{name}"] if gaps else [name])]
    names = names[:-1] if gaps else names
    types = {name: pa.float32() if name == "rating" else pa.int64() for name in columns}
    table = csv.read_csv(
        handle,
        read_options=csv.ReadOptions(column_names=names, skip_rows=int(header)),
        parse_options=csv.ParseOptions(delimiter=separator, quote_char=False),
        convert_options=csv.ConvertOptions(column_types=types, include_columns=list(columns)),
    )
    return pd.DataFrame({name: table[name].to_numpy() for name in columns})


def _interactions(ratings: pd.DataFrame, movies: pd.DataFrame) -> Interactions:
    movies = movies.reindex(np.sort(ratings["item_id"].unique()))
    years = movies["title"].str.extract(r"\((\d{4})\)\s*$", expand=False)
    table = pd.DataFrame({"title": movies["title"], "year": years.astype(np.float64), "genres": movies["genres"]})
    table.index.name = "item_id"
    data = Interactions.from_frame(
        ratings, timestamp="timestamp" if "timestamp" in ratings.columns else None, items=table
    )
    return with_features(data, label_features(data.catalogue.items["genres"], "genre"))


def _lines(files: Files, name: str, encoding: str) -> list[Any]:
    with files.open(name) as handle:
        # split at newlines only: a title may hold other characters that str.splitlines takes for line ends
        return [line.rstrip("\r") for line in handle.read().decode(encoding).split("\n") if line.strip()]
