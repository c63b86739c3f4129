"""Files without a header, as published splits have them: pairs, lists and candidates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys_lab.data.sources import find_path

COLUMNS = ("user_id", "item_id", "rating", "timestamp")


def read_pairs(path: str | Path) -> pd.DataFrame:
    """Lines ``user item [rating [timestamp]]``, separated by blanks, tabs, commas or ``::``; no header.

    Returns the columns user_id, item_id and, where the file has them, rating (float64) and timestamp (int64).
    Ids are int64 when all are whole numbers without leading zeros, else str. Rows keep the file's order.
    """
    numbers, rows = _tokens(path)
    width = len(rows[0])
    if not 2 <= width <= 4:
        raise ValueError(
            f"{path}, line {numbers[0]}: {width} values; expected user item [rating [timestamp]], without a header"
        )
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != width:
            raise ValueError(f"{path}, line {number}: {len(row)} values, but the lines before have {width}")
    columns = list(zip(*rows, strict=True))
    frame = {name: _ids(column) for name, column in zip(COLUMNS[:2], columns[:2], strict=True)}
    if width > 2:
        frame["rating"] = _numbers(columns[2], path, numbers, "rating")
    if width > 3:
        frame["timestamp"] = _numbers(columns[3], path, numbers, "timestamp").astype(np.int64)
    return pd.DataFrame(frame)


def read_lists(path: str | Path) -> pd.DataFrame:
    """Lines ``user item item ...``: columns user_id, item_id, one row an item, in the file's order.

    A user without items adds no row; a user on two lines, or an item twice on a line, is an error.
    """
    return parse_lists(find_path(path).read_bytes(), str(path))


def parse_lists(content: bytes, where: str) -> pd.DataFrame:
    """``read_lists`` of bytes; ``where`` names the file in errors."""
    numbers, rows = _split(content, where)
    _one_line_a_user(rows, numbers, where)
    users = _ids([row[0] for row in rows])
    lengths = [len(row) - 1 for row in rows]
    items = _ids([item for row in rows for item in row[1:]])
    frame = pd.DataFrame({"user_id": np.repeat(users, lengths), "item_id": items})
    _no_pair_twice(frame, np.repeat(numbers, lengths), where)
    return frame


def read_candidates(path: str | Path) -> pd.DataFrame:
    """Lines ``user positive negative negative ...``: columns user_id, item_id, is_positive (bool).

    The first item of a line is the withheld one, the others are the candidates it is ranked against. A negative that
    stands twice on a line is listed once; a negative equal to the positive is an error.
    """
    numbers, rows = _tokens(path)
    for number, row in zip(numbers, rows, strict=True):
        if len(row) < 3:
            raise ValueError(f"{path}, line {number}: {len(row)} values; expected user positive negative ...")
        if row[1] in row[2:]:
            raise ValueError(f"{path}, line {number}: the positive {row[1].decode()!r} stands among the negatives too")
    _one_line_a_user(rows, numbers, str(path))
    lengths = [len(row) - 1 for row in rows]
    frame = pd.DataFrame(
        {
            "user_id": np.repeat(_ids([row[0] for row in rows]), lengths),
            "item_id": _ids([item for row in rows for item in row[1:]]),
            "is_positive": np.concatenate([np.arange(length) == 0 for length in lengths]),
        }
    )
    return frame.drop_duplicates(["user_id", "item_id"]).reset_index(drop=True)


def _tokens(path: str | Path) -> tuple[list[int], list[list[bytes]]]:
    return _split(find_path(path).read_bytes(), str(path))


def _split(content: bytes, where: str) -> tuple[list[int], list[list[bytes]]]:
    """Line numbers (1-based) and values of the lines which are not blank."""
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"::", b" ").replace(b",", b" ")
    found = [(number, row) for number, line in enumerate(content.split(b"\n"), 1) if (row := line.split())]
    if not found:
        raise ValueError(f"{where} is empty; expected one line a user, or one line a pair")
    return [number for number, _ in found], [row for _, row in found]


def _ids(values: Any) -> NDArray[Any]:
    array = np.asarray(values, dtype=bytes) if len(values) else np.empty(0, dtype="S1")
    try:
        whole = array.astype(np.int64)
    except (ValueError, OverflowError):
        return np.asarray([value.decode() for value in values], dtype=object)
    if np.array_equal(whole.astype(array.dtype), array):  # 007 is not 7
        return whole
    return np.asarray([value.decode() for value in values], dtype=object)


def _numbers(values: Any, path: str | Path, lines: list[int], name: str) -> NDArray[np.float64]:
    found = pd.to_numeric(pd.Series([value.decode() for value in values]), errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(found)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{path}, line {lines[row]}: {name} {values[row].decode()!r} is not a finite number")
    return found


def _one_line_a_user(rows: list[list[bytes]], numbers: list[int], where: str) -> None:
    first: dict[bytes, int] = {}
    for number, row in zip(numbers, rows, strict=True):
        if row[0] in first:
            raise ValueError(
                f"{where}, line {number}: user {row[0].decode()!r} already has line {first[row[0]]}; "
                "write all items of a user on one line, or read pairs"
            )
        first[row[0]] = number


def _no_pair_twice(frame: pd.DataFrame, lines: NDArray[Any], where: str) -> None:
    twice = frame.duplicated().to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        user, item = frame.iloc[row]
        raise ValueError(f"{where}, line {lines[row]}: user {user!r} has item {item!r} twice; list each item once")
