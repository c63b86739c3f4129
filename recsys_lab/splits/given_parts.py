"""Reading the parts of a given split: files, frames or Interactions become frames with the same four columns."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from recsys_lab.data.files import read_interactions
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.lists import read_candidates, read_lists, read_pairs
from recsys_lab.data.sources import find_path

Part: TypeAlias = "str | Path | pd.DataFrame | Interactions"

FORMATS = ("pairs", "lists", "candidates")
TABLES = (".csv", ".tsv", ".tab", ".parquet", ".pq")  # files of these kinds have a header


@dataclass(frozen=True)
class Columns:
    """Names of the columns in files with a header and in frames; rating and timestamp may be None, or just missing."""

    user: str = "user_id"
    item: str = "item_id"
    rating: str | None = "rating"
    timestamp: str | None = "timestamp"
    sep: str | None = None
    duplicates: str = "error"


def part_formats(form: str | Mapping[str, str]) -> dict[str, str]:
    """The format of each part. One word holds for all; but "candidates" is for test, and the others are pairs then."""
    if isinstance(form, str):
        form = {"rows": "pairs"}.get(form, form)
        first = "pairs" if form == "candidates" else form
        formats = {"train": first, "validation": first, "test": form}
    else:
        formats = {"train": "pairs", "validation": "pairs", "test": "pairs", **form}
    for name, value in formats.items():
        if name not in ("train", "validation", "test"):
            raise ValueError(f"format is for train, validation and test; found {name!r}")
        if value not in FORMATS or (value == "candidates" and name != "test"):
            raise ValueError(f"the {name} part has format pairs, lists or (test only) candidates; found {value!r}")
    return formats


def read_part(part: Part, form: str, columns: Columns) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A frame with user_id, item_id and, where there are any, rating, timestamp and (candidates) is_positive.

    Beside it what identifies the source: file name and sha256 of a file, the fingerprint of Interactions.
    """
    if isinstance(part, Interactions):
        return part.to_frame(), {"fingerprint": part.fingerprint}
    if isinstance(part, pd.DataFrame):
        if form == "candidates":
            wanted = {"user_id", "item_id", "is_positive"}
            if not wanted <= set(part.columns):
                raise ValueError(f"candidates need the columns {sorted(wanted)}; found {list(part.columns)}")
            return part, {}
        return _read_table(part, list(part.columns), columns), {}
    if not isinstance(part, str | Path):
        raise TypeError(f"a part of a split is a path, a frame or Interactions; found {type(part).__name__}")
    path = find_path(part)
    with path.open("rb") as handle:
        source = {"file": path.name, "sha256": hashlib.file_digest(handle, "sha256").hexdigest()}
    if form == "lists":
        return read_lists(path), source
    if form == "candidates":
        return read_candidates(path), source
    names = _header(path, columns)
    if names is not None:
        return _read_table(path, names, columns), source
    frame = read_pairs(path)
    twice = frame.duplicated(["user_id", "item_id"])
    if columns.duplicates == "error" and twice.any():
        user, item = (frame.loc[twice, name].tolist()[0] for name in ("user_id", "item_id"))
        raise ValueError(
            f"{path}: user {user!r} has item {item!r} twice ({int(twice.sum())} such rows); list each pair once"
        )
    return frame, source


def _header(path: Path, columns: Columns) -> list[str] | None:
    """The column names of a file with a header, None for a file without one."""
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind in (".parquet", ".pq"):
        return list(pd.read_parquet(path).columns)
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as handle:
        line = handle.readline().decode("utf-8-sig", errors="replace").strip("\r\n")
    sep = columns.sep or ("," if kind == ".csv" else "\t" if kind in (".tsv", ".tab") else None)
    names = [name.strip().strip('"') for name in line.split(sep)]
    if {columns.user, columns.item} & set(names):
        return names
    if kind in TABLES and not all(_is_number(name) for name in names):
        return names  # a header with other names: read_interactions says which columns are missing
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_table(table: Path | pd.DataFrame, names: list[str], columns: Columns) -> pd.DataFrame:
    """One row an interaction, by column names. The usual names of rating and timestamp may be missing."""
    rating = None if columns.rating == "rating" and "rating" not in names else columns.rating
    timestamp = None if columns.timestamp == "timestamp" and "timestamp" not in names else columns.timestamp
    data = read_interactions(
        table,
        user=columns.user,
        item=columns.item,
        rating=rating,
        timestamp=timestamp,
        sep=columns.sep,
        duplicates=columns.duplicates,
    )
    frame = data.to_frame()
    return frame if rating is not None else frame.drop(columns="rating")
