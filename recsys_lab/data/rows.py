"""Checks of the columns of own data: ids, ratings, times. An error names the place, what is there and what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recsys_lab.data.interactions import Bool, Float32, Int64

Place = Callable[[int], str]

# what programs write where nothing is known; "NA" and "None" may be ids
MISSING = ("", "nan", "NaN", "NULL", "null", "<NA>", "\\N")
WHOLE = r"^(0|-?[1-9][0-9]*)$"  # as int64 is written again: 007 and -0 are not
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
LATEST = 100_000_000_000  # seconds: the year 5138


def check_ids(
    column: pa.ChunkedArray, name: str, place: Place, kind: str = "auto", missing: Bool | None = None
) -> NDArray[Any]:
    """Ids as int64, or as str objects where one is not a whole number.

    ``missing`` marks rows without a value, beside those that are null or blank: the text of an id may be "nan".
    ``kind``: "auto", "int" or "str". Ids with leading zeros make the whole column strings. A column of whole numbers
    and other text is an error under "auto": nearly always one of both is a slip.
    """
    if kind not in ("auto", "int", "str"):
        raise ValueError(f'ids must be "auto", "int" or "str", found {kind!r}')
    if _is_text(column.type):
        none = pc.or_(column.is_null(), pc.is_in(_strings(column), value_set=pa.array([""]))).to_numpy()
        _refuse(none if missing is None else none | missing, column, name, place, "an id")
    else:
        _no_missing(column, name, place, "an id")
    if pa.types.is_integer(column.type):
        return _as_str(column) if kind == "str" else _as_int(column, name, place, kind)
    if pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
        raise ValueError(
            f"{place(0)}: column {name!r} holds {column.type} values, such as {column[0].as_py()!r}; "
            "ids are whole numbers or strings: cast the column before"
        )
    text = _strings(column)
    if kind == "str":
        return _as_str(text)
    numeric = pc.match_substring_regex(text, WHOLE).to_numpy()
    if numeric.all():
        return _as_int(text, name, place, kind)
    zeros = pc.match_substring_regex(text, r"^(-0[0-9]*|0[0-9]+)$").to_numpy()
    if kind == "auto" and (zeros.any() or not numeric.any()):
        _no_decimals(text, name, place)
        return _as_str(text)
    odd = numeric if numeric.sum() < len(numeric) / 2 and kind == "auto" else ~numeric
    row = int(np.argmax(odd))
    others = "whole numbers" if not numeric[row] else "text"
    advice = "" if kind == "int" else ' If both are meant, pass ids="str".'
    raise ValueError(
        f"{place(row)}: column {name!r} has the id {text[row].as_py()!r}, but most ids there are {others}; "
        f"ids must be of one kind.{advice}"
    )


def check_ratings(column: pa.ChunkedArray, name: str, place: Place) -> Float32:
    """Ratings as float32; ValueError for missing, non-numeric and non-finite ones."""
    _no_missing(column, name, place, "a rating")
    if not _is_number(column.type):
        text = _strings(column)
        values = _numbers(text)
        wrong = np.isnan(values)
        if wrong.any():
            row = int(np.argmax(wrong))
            found = text[row].as_py()
            comma = found.replace(",", "", 1).strip("+-").isdigit()
            advice = "write a point, not a comma" if comma else "expected a finite number"
            raise ValueError(f"{place(row)}: the {name} {found!r} is not a number; {advice}")
    else:
        values = column.cast(pa.float64()).to_numpy()
    with np.errstate(over="ignore"):
        ratings = values.astype(np.float32)
    wrong = ~np.isfinite(ratings)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{place(row)}: the {name} {values[row]} is not finite; expected a finite number (float32)")
    return ratings


def check_times(column: pa.ChunkedArray, name: str, place: Place, unit: str = "s") -> tuple[Int64, str]:
    """Unix seconds (int64), and in words how they were read.

    Numbers count ``unit`` ("s", "ms", "us", "ns") since 1970; fractions of seconds are cut off. Otherwise every value
    must be an ISO 8601 date or time, such as 2024-05-01 or 2024-05-01T12:30:00+02:00; UTC where no zone is given.
    """
    if unit not in UNITS:
        raise ValueError(f"time_unit must be one of {', '.join(UNITS)}; found {unit!r}")
    _no_missing(column, name, place, "a time")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        moments = pd.to_datetime(pd.Series(column.to_pandas()), utc=True)
        return _seconds(moments, name, place), f"dates in {name!r} converted to Unix seconds (UTC)"
    if _is_number(column.type):
        numbers = column.to_numpy()
    else:
        text = _strings(column)
        numbers = _numbers(text, whole=unit != "s")
        strange = np.isnan(numbers)
        if strange.any():
            return _iso(
                pd.Series(text.to_pandas()), strange, name, place
            ), f"ISO dates in {name!r} converted to Unix seconds (UTC)"
    with np.errstate(invalid="ignore"):  # infinite times are named below
        seconds = numbers // UNITS[unit]
    wrong = ~((seconds >= 0) & (seconds < LATEST))
    if wrong.any():
        row = int(np.argmax(wrong))
        late = np.isfinite(seconds[row]) and seconds[row] > 0 and unit == "s"
        advice = f"expected {UNIT_NAMES[unit]} since 1970, 0 or more"
        advice = 'it looks like milliseconds: pass time_unit="ms"' if late else advice
        raise ValueError(f"{place(row)}: the {name} {numbers[row]:.15g} is no time; {advice}")
    return seconds.astype(np.int64), f"{name!r} is in {UNIT_NAMES[unit]} since 1970"


def _iso(text: pd.Series, strange: Bool, name: str, place: Place) -> Int64:
    """Seconds of ISO dates. ``strange`` marks the values that are no numbers."""
    moments = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    wrong = moments.isna().to_numpy()
    if not strange.all():  # some are numbers: the minority is wrong
        wrong = ~strange if strange.mean() > 0.5 else strange
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{place(row)}: the {name} {text.iloc[row]!r} is no time like the others; expected Unix seconds in every "
            "row, or an ISO date such as 2024-05-01T12:30:00 in every row"
        )
    return _seconds(moments, name, place)


def _seconds(moments: pd.Series, name: str, place: Place) -> Int64:
    seconds: Int64 = moments.dt.tz_convert(None).to_numpy(dtype="datetime64[s]").astype(np.int64)
    if (seconds < 0).any():
        row = int(np.argmax(seconds < 0))
        raise ValueError(f"{place(row)}: the {name} {moments.iloc[row]} is before 1970; expected a later time")
    return seconds


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _numbers(text: pa.ChunkedArray, whole: bool = False) -> NDArray[Any]:
    """float64, NaN where a text is no number; int64 when ``whole`` and all are: nanoseconds do not fit into float64."""
    for kind in (pa.int64(), pa.float64()) if whole else (pa.float64(),):
        try:
            numbers: NDArray[Any] = text.cast(kind).to_numpy()
        except pa.ArrowInvalid:
            continue
        return numbers
    return pd.to_numeric(pd.Series(text.to_pandas()), errors="coerce").to_numpy(dtype=np.float64)


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(column.cast(pa.string()))


def _no_missing(column: pa.ChunkedArray, name: str, place: Place, what: str) -> None:
    if _is_text(column.type):
        missing = pc.or_(column.is_null(), pc.is_in(_strings(column), value_set=pa.array(MISSING)))
    else:
        missing = pc.is_null(column, nan_is_null=True)
    _refuse(missing.to_numpy(), column, name, place, what)


def _refuse(missing: Bool, column: pa.ChunkedArray, name: str, place: Place, what: str) -> None:
    if missing.any():
        row = int(np.argmax(missing))
        found = column[row].as_py()
        quotes = ", or put an id that is this text in double quotes" if what == "an id" and found else ""
        raise ValueError(
            f"{place(row)}: column {name!r} has no value ({found!r}), one of {missing.sum():,} such rows; "
            f"every row needs {what}: complete or remove these rows{quotes}"
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _no_decimals(text: pa.ChunkedArray, name: str, place: Place) -> None:
    decimal = pc.match_substring_regex(text, r"^-?[0-9]+\.[0-9]*$").to_numpy()
    if decimal.all():
        raise ValueError(
            f"{place(0)}: column {name!r} has ids like {text[0].as_py()!r}; write whole numbers, "
            'or pass ids="str" to take them as text'
        )


def _as_int(column: pa.ChunkedArray, name: str, place: Place, kind: str) -> NDArray[Any]:
    try:
        whole: NDArray[Any] = column.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        if kind == "int":
            raise ValueError(f'{place(0)}: column {name!r} has ids beyond 64 bits; pass ids="str"') from error
        return _as_str(column)
    return whole


def _as_str(column: pa.ChunkedArray) -> NDArray[Any]:
    values: NDArray[Any] = column.cast(pa.string()).to_numpy()
    return values
