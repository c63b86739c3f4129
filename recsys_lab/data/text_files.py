"""Tables with a header (CSV, TSV, Parquet) read as they stand, and where a row of them stands in the file."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from recsys_lab.data.interactions import Bool
from recsys_lab.data.rows import MISSING

TABS = (".tsv", ".tab")
PARQUET = (".parquet", ".pq")
SEPARATORS = {",": "','", "\t": "'\\t' (tab)", ";": "';'", "|": "'|'", "::": "'::'", " ": "' ' (blank)"}


@dataclass(frozen=True)
class Table:
    """The columns of a file or frame, and a function that says where a row is, for errors."""

    columns: dict[str, pa.ChunkedArray]  # of text files: strings, blanks around them removed
    n_rows: int
    place: Callable[[int], str]  # row number (0-based) -> "ratings.csv, line 17"
    where: str
    separator: str | None = None
    mixed: dict[str, int] = field(default_factory=dict)  # columns of several Python types: the row where another begins
    without: Callable[[str], Bool | None] = lambda _: None  # column -> rows whose text means that there is no value


def read_table(path: Path, sep: str | None, encoding: str, columns: Sequence[str] | None) -> Table:
    """A text or Parquet file. ``sep=None``: tab for .tsv and .tab, else comma. ``columns`` names those of a file
    without a header."""
    name = path.name.removesuffix(".gz")
    if name.endswith(PARQUET):
        try:
            table = pq.read_table(path)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is no whole Parquet file: {error}") from None
        return from_frame(table.to_pandas(), str(path))
    return _read_text(path, sep or ("\t" if name.endswith(TABS) else ","), encoding, columns)


def from_frame(frame: pd.DataFrame, where: str = "the frame") -> Table:
    """A table of a frame's columns; a column of several Python types becomes strings, and is noted in ``mixed``."""
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"{where} has column {twice!r} twice; give each column one name")
    columns: dict[str, pa.ChunkedArray] = {}
    mixed: dict[str, int] = {}
    for name in frame.columns:
        series = frame[name]
        if isinstance(series.dtype, pd.CategoricalDtype):
            series = series.astype(series.cat.categories.dtype)
        if isinstance(series.dtype, pd.DatetimeTZDtype):
            series = series.dt.tz_convert(None)  # in UTC
        if series.dtype == object:
            kinds = [_kind(value) for value in series]
            if len(set(kinds) - {None}) > 1:
                first = next(kind for kind in kinds if kind is not None)
                mixed[str(name)] = next(row for row, kind in enumerate(kinds) if kind not in (None, first))
                texts = [None if kind is None else str(value) for kind, value in zip(kinds, series, strict=True)]
                columns[str(name)] = pa.chunked_array([pa.array(texts, type=pa.string())])
                continue
        array = pa.array(series, from_pandas=True)
        columns[str(name)] = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])

    def place(row: int) -> str:
        return f"{where}, row {row} (index {frame.index[[row]].tolist()[0]!r})"

    return Table(columns, len(frame), place, where, mixed=mixed)


def _kind(value: Any) -> type | None:
    if isinstance(value, Integral):
        return bool if value is True or value is False else int  # NumPy's integers are integers too
    return None if value is None or value != value or value is pd.NA else type(value)


def _read_text(path: Path, sep: str, encoding: str, columns: Sequence[str] | None) -> Table:
    try:
        content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is no whole gzip file ({error}); pack it again, or drop .gz from its name") from None
    content = _as_utf8(content, path, encoding)
    if not content.strip():
        raise ValueError(f"{path} is empty; expected a header line and one line for each interaction")
    header = next(_records(content, sep))[1] if columns is None else list(columns)
    names = [name.strip() for name in header]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        headless = all(name.replace(".", "", 1).isdigit() for name in names)
        right = "it looks like data: name the columns with columns=[...]" if headless else "give each column one name"
        raise ValueError(f"{path}, line 1: column {twice!r} stands twice in the header; {right}")
    skipped = 0 if columns is not None else 1
    numbers: list[int] = []

    def place(row: int) -> str:
        if not numbers:
            numbers.extend(number for number, _ in _records(content, sep))
        return f"{path}, line {numbers[row + skipped]}"

    table = _parse(content, sep, names, skipped, path)
    if len(table) + skipped != content.count(b"\n") + (not content.endswith(b"\n")):
        _check_widths(content, sep, len(names), path)  # blank lines, or quotes over several lines: are they closed?

    def without(name: str) -> Bool | None:
        """Rows where a word such as NULL stands bare: in quotes it is text. Blanks around it are none of its own."""
        trimmed = pc.utf8_trim_whitespace(table[name])
        words: Bool = pc.is_in(trimmed, value_set=pa.array(MISSING)).to_numpy()
        if not words.any():
            return None
        bare = _parse(content, sep, names, skipped, path, only=name)[name].is_null()
        blanks = pc.not_equal(trimmed, table[name])
        missing: Bool = words & pc.or_(bare, blanks).to_numpy()
        return missing

    return Table({name: table[name] for name in names}, len(table), place, str(path), sep, without=without)


def _as_utf8(content: bytes, path: Path, encoding: str) -> bytes:
    """``content`` in UTF-8; ValueError with the line where it is not in ``encoding``."""
    try:
        text = content.decode(encoding)
    except LookupError:
        raise ValueError(f'unknown encoding {encoding!r}; right would be "utf-8", "latin-1", "cp1252", ...') from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x} in {path}, line {line}, is not {encoding}"
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f'{found}; the file starts like UTF-16: pass encoding="utf-16"') from error
        hint = ' the file is probably latin-1: pass encoding="latin-1"' if "utf" in encoding.lower() else ""
        raise ValueError(f"{found};{hint or ' pass the encoding the file was written in'}") from error
    plain = text.removeprefix("\ufeff")
    return content if plain is text and encoding.lower() in ("utf-8", "utf8") else plain.encode()


def _parse(content: bytes, sep: str, names: list[str], skipped: int, path: Path, only: str | None = None) -> pa.Table:
    """The columns as text; with ``only`` this one, in which words for a missing value are null without quotes."""
    if len(sep) > 1:  # the parser takes one character
        content, sep = content.replace(sep.encode(), b"\x1f"), "\x1f"
    for newlines in (False, True):
        try:
            return pa_csv.read_csv(
                pa.BufferReader(content),
                read_options=pa_csv.ReadOptions(column_names=names, skip_rows_after_names=skipped),
                parse_options=pa_csv.ParseOptions(delimiter=sep, newlines_in_values=newlines),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=None if only is None else [only],
                    null_values=list(MISSING),
                    strings_can_be_null=only is not None,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            reason = error
            _check_widths(content, sep, len(names), path)
    raise ValueError(f"{path} cannot be read: {reason}") from reason


def _check_widths(content: bytes, sep: str, width: int, path: Path) -> None:
    number = 0
    try:
        for number, record in _records(content, sep):
            if len(record) != width:
                raise ValueError(
                    f"{path}, line {number}: {len(record)} values, but there are {width} columns; "
                    "a value that holds the separator must stand in double quotes"
                )
    except csv.Error as error:
        raise ValueError(f"{path}, after line {number}: {error}; is a double quote left open?") from error


def _records(content: bytes, sep: str) -> Iterator[tuple[int, list[str]]]:
    """(line number where it begins, values) of every record; blank lines are passed over, as the parser does."""
    if len(sep) > 1:
        content, sep = content.replace(sep.encode(), b"\x1f"), "\x1f"
    reader = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=sep, strict=True)
    before = 0
    for record in reader:
        if record:
            yield before + 1, record
        before = reader.line_num


def guess_separator(header: str, wanted: Sequence[str]) -> str | None:
    """The separator that splits ``header`` into the ``wanted`` columns, else into most columns, or None."""
    found = {sep: [name.strip() for name in header.split(sep)] for sep in SEPARATORS}
    whole = [sep for sep, names in found.items() if set(wanted) <= set(names)]
    if whole:
        return whole[0]
    best = max(found, key=lambda sep: len(found[sep]))
    return best if len(found[best]) > 1 else None
