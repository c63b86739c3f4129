"""Own data: a CSV, TSV or Parquet file, or a frame, checked row by row and turned into Interactions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys_lab.data import filters
from recsys_lab.data.content import Features, label_features, stack_features, with_features, word_features
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.rows import check_ids, check_ratings, check_times
from recsys_lab.data.sources import find_path
from recsys_lab.data.text_files import SEPARATORS, Table, from_frame, guess_separator, read_table

LABELS = {"genres": "genre", "tags": "tag"}  # columns of an items table that become features by themselves


def read_interactions(
    path_or_frame: str | Path | pd.DataFrame,
    *,
    user: str = "user_id",
    item: str = "item_id",
    rating: str | None = "rating",
    timestamp: str | None = "timestamp",
    sep: str | None = None,
    duplicates: str = "error",
    encoding: str = "utf-8",
    columns: Sequence[str] | None = None,
    ids: str = "auto",
    time_unit: str = "s",
    items: str | Path | pd.DataFrame | None = None,
    labels: Sequence[str] | None = None,
    content: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Interactions:
    """Interactions from a file or frame of one row an interaction; columns that are not named here are ignored.

    ``user``, ``item``, ``rating``, ``timestamp`` name the columns; ``rating=None`` for implicit feedback (every rating
    is 1), ``timestamp=None`` when there are no times. ``sep=None``: Parquet for .parquet and .pq, tab for .tsv, .tab,
    else comma; .gz is unpacked. ``columns`` names those of a file without a header. ``duplicates``: what becomes of a
    pair in several rows: "error", "keep_last", "keep_first" (by time, else by position), "mean" or "sum" of ratings.
    ``ids``: "auto" takes whole numbers as int64 (007 stays text), else text; "str" takes all as text. An id that is a
    word for a missing value, such as nan or NULL, is one in double quotes, in Parquet and in frames. Times are numbers
    in ``time_unit`` ("s", "ms", "us", "ns") since 1970, or ISO dates (UTC where no zone is given): Unix seconds result.

    ``items`` is a file or frame of one row an item, with a column named as ``item``; its other columns come along, and
    items without interactions join the catalogue. ``labels`` names its columns of labels (``Drama|Comedy``); None takes
    genres and tags where they exist, else the words of the titles. They become ``item_features``. ``content`` declares
    its columns "static" (known before any user came) or "train_derived" (made from what users did); see check L06.

    A row that is not right is a ValueError with file, line and what would be right. Nothing is dropped silently: what
    the duplicates policy joined is in ``catalogue.info["filters"]``.
    """
    filters.check_policy(duplicates)
    if user is None or item is None:
        raise ValueError("user and item must name columns; only rating and timestamp may be None")
    table, info = _open(path_or_frame, sep, encoding, columns, name)
    roles = {"user": user, "item": item, "rating": rating, "timestamp": timestamp}
    frame = _checked(table, roles, ids, time_unit, info)
    known = None if items is None else _items_table(items, item, frame[item], encoding, ids)
    data = Interactions.from_frame(frame, **roles, items=known, info=info)  # type: ignore[arg-type]
    data = data if known is None else _declared(_with_content(data, labels), content or {})
    if duplicates != "error":
        return filters.duplicates(data, duplicates)
    _no_duplicates(data, table)
    return data


def _open(
    source: str | Path | pd.DataFrame, sep: str | None, encoding: str, columns: Sequence[str] | None, name: str | None
) -> tuple[Table, dict[str, Any]]:
    info: dict[str, Any] = {"name": name or "own data", "version": "", "url": "", "licence": "", "filters": []}
    if isinstance(source, pd.DataFrame):
        table = from_frame(source)
        info["source"] = "a frame"
    else:
        path = find_path(source)
        table = read_table(path, sep, encoding, columns)
        with path.open("rb") as handle:
            info["raw_sha256"] = hashlib.file_digest(handle, "sha256").hexdigest()
        info.update(name=name or path.stem, source=str(path))
    if not table.n_rows:
        raise ValueError(f"{table.where} has no rows; expected one for each interaction")
    return table, info


def _checked(
    table: Table, roles: dict[str, str | None], ids: str, time_unit: str, info: dict[str, Any]
) -> pd.DataFrame:
    """The columns of ``roles``, checked and typed; ``info["times"]`` says how times were read."""
    _check_columns(table, roles)
    frame = pd.DataFrame(index=pd.RangeIndex(table.n_rows))
    for role, column in roles.items():
        if column is None:
            continue
        values = table.columns[column]
        if role == "rating":
            frame[column] = check_ratings(values, column, table.place)
        elif role == "timestamp":
            frame[column], info["times"] = check_times(values, column, table.place, time_unit)
        else:
            frame[column] = _ids(table, column, ids)
    return frame


def _ids(table: Table, column: str, ids: str) -> NDArray[Any]:
    if column in table.mixed and ids != "str":
        row = table.mixed[column]
        raise ValueError(
            f"{table.place(row)}: column {column!r} mixes values of several types, such as int and str, from this row "
            'on; ids must be of one type: convert the column, or pass ids="str"'
        )
    return check_ids(table.columns[column], column, table.place, ids, table.without(column))


def _check_columns(table: Table, wanted: dict[str, str | None]) -> None:
    named = [column for column in wanted.values() if column is not None]
    found = list(table.columns)
    for role, column in wanted.items():
        if column is None or column in table.columns:
            continue
        if len(found) == 1 and table.separator is not None:
            sep = guess_separator(found[0], named)
            if sep is not None and sep != table.separator:
                raise ValueError(
                    f"{table.where}, line 1: one column {found[0]!r} was found with the separator "
                    f"{SEPARATORS.get(table.separator, repr(table.separator))}; the file seems to be separated by "
                    f"{SEPARATORS[sep]}: pass sep={sep!r}"
                )
        without = f", or pass {role}=None if the data have none" if role in ("rating", "timestamp") else ""
        headless = table.separator is not None and all(name.replace(".", "", 1).isdigit() for name in found)
        header = " The first line looks like data: name the columns with columns=[...]." if headless else ""
        raise ValueError(
            f"{table.where} has no column {column!r}{filters.suggestion(column, found)} Its columns: "
            f"{filters.known(found)}. Name the right one with {role}='...'{without}.{header}"
        )
    if len(set(named)) != len(named):
        raise ValueError(f"user, item, rating and timestamp must be different columns, found {filters.known(named)}")


def _no_duplicates(data: Interactions, table: Table) -> None:
    pairs = pd.Series(data.users.astype(np.int64) * data.n_items + data.items)
    again = pairs.duplicated().to_numpy()
    if not again.any():
        return
    second = int(np.argmax(again))
    first = int(np.argmax(pairs.to_numpy() == pairs.iloc[second]))
    user, item = filters.pair_of(data, first)
    raise ValueError(
        f"{table.place(second)}: user {user!r} has item {item!r} a second time (first: {table.place(first)}); "
        f"{again.sum():,} rows repeat a pair. Pass duplicates= {filters.known(filters.POLICIES[1:])}"
    )


def _items_table(
    source: str | Path | pd.DataFrame, item: str, used: pd.Series, encoding: str, ids: str
) -> pd.DataFrame:
    """The items table, indexed by item id of the same kind as in the interactions."""
    if isinstance(source, pd.DataFrame) and item not in source.columns and source.index.name == item:
        source = source.reset_index()
    table = from_frame(source, "the items frame") if isinstance(source, pd.DataFrame) else None
    if table is None:
        path = find_path(source)  # type: ignore[arg-type]
        table = read_table(path, None, encoding, None)
    _check_columns(table, {"item": item})
    text = used.dtype == object or pd.api.types.is_string_dtype(used.dtype)
    index = _ids(table, item, "str" if text else ids)
    if not text and index.dtype == object:
        raise ValueError(
            f"{table.where}: the ids in {item!r} are text, such as {str(index[0])!r}, but whole numbers in the "
            'interactions; make them one kind, or pass ids="str"'
        )
    again = pd.Index(index).duplicated()
    if again.any():
        row = int(np.argmax(again))
        raise ValueError(
            f"{table.place(row)}: item {index[[row]].tolist()[0]!r} stands there a second time; give each item one row"
        )
    others = {name: column.to_pandas() for name, column in table.columns.items() if name != item}
    return pd.DataFrame({name: column.to_numpy() for name, column in others.items()}, index=pd.Index(index, name=item))


def _declared(data: Interactions, content: Mapping[str, str]) -> Interactions:
    """The same rows; ``catalogue.info["content"]`` says what the columns of the items are made of."""
    columns = data.catalogue.items.columns
    for name, origin in content.items():
        if name not in columns:
            raise ValueError(
                f"content: the items have no column {name!r}{filters.suggestion(name, columns)} "
                f"Their columns: {filters.known(columns)}"
            )
        if origin not in ("static", "train_derived"):
            raise ValueError(f"content of {name!r} is 'static' or 'train_derived'; found {origin!r}")
    return replace(data, catalogue=replace(data.catalogue, info={**data.catalogue.info, "content": dict(content)}))


def _with_content(data: Interactions, labels: Sequence[str] | None) -> Interactions:
    table = data.catalogue.items
    chosen = [name for name in LABELS if name in table.columns] if labels is None else list(labels)
    for name in chosen:
        if name not in table.columns:
            raise ValueError(
                f"the items have no column {name!r}{filters.suggestion(name, table.columns)} "
                f"Their columns: {filters.known(table.columns)}"
            )
    parts: list[Features] = [label_features(table[name], LABELS.get(name, name)) for name in chosen]
    if labels is None and not chosen and "title" in table.columns:
        parts = [word_features(table["title"])]
    if not parts:
        return data
    data = with_features(data, stack_features(parts))
    return replace(data, catalogue=replace(data.catalogue, info={**data.catalogue.info, "labels": chosen or ["title"]}))
