"""Tables with a header (CSV, TSV, Parquet) read as they stand, and where a row of them stands in the file."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

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


def read_table(path: Path, sep: str | None, encoding: str, columns: Sequence[str] | None) -> Table:
    """A text or Parquet file. ``sep=None``: tab for .tsv and .tab, else comma. ``columns`` names those of a file
    without a header."""
    name = path.name.removesuffix(".gz")
    if name.endswith(PARQUET):
        table = pq.read_table(path)
        return from_frame(table.to_pandas(), str(path))
    return _read_text(path, sep or ("\t" if name.endswith(TABS) else ","), encoding, columns)


def from_frame(frame: pd.DataFrame, where: str = "the frame") -> Table:
    """A table of a frame's columns; object columns become strings only where all values are strings."""
    columns = {}
    for name in frame.columns:
        series = frame[name]
        if isinstance(series.dtype, pd.CategoricalDtype):
            series = series.astype(series.cat.categories.dtype)
        if series.dtype == object:
            kinds = {type(value).__name__ for value in series.dropna()}
            if len(kinds) > 1:
                columns[str(name)] = pa.chunked_array([_tagged(series)])
                continue
        array = pa.array(series, from_pandas=True)
        columns[str(name)] = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return Table(columns, len(frame), lambda row: f"{where}, row {row} (index {frame.index[row]!r})", where)


def _tagged(series: pd.Series) -> pa.Array:
    """A column of mixed Python types as strings; ``rows.check_ids`` then tells the integers from the rest."""
    return pa.array([None if pd.isna(value) else str(value) for value in series], type=pa.string())


def _read_text(path: Path, sep: str, encoding: str, columns: Sequence[str] | None) -> Table:
    content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    content = _as_utf8(content, path, encoding)
    if not content.strip():
        raise ValueError(f"{path} is empty; expected a header line and one line for each interaction")
    header = next(_records(content, sep))[1] if columns is None else list(columns)
    names = [name.strip() for name in header]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}, line 1: column {twice!r} stands twice in the header; give each column one name")
    skipped = 0 if columns is not None else 1
    numbers: list[int] = []

    def place(row: int) -> str:
        if not numbers:
            numbers.extend(number for number, _ in _records(content, sep))
        return f"{path}, line {numbers[row + skipped]}"

    table = _parse(content, sep, names, skipped, path)
    return Table({name: table[name] for name in names}, len(table), place, str(path), sep)


def _as_utf8(content: bytes, path: Path, encoding: str) -> bytes:
    """``content`` in UTF-8; ValueError with the line where it is not in ``encoding``."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x} in {path}, line {line}, is not {encoding}"
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f'{found}; the file starts like UTF-16: pass encoding="utf-16"') from error
        hint = ' the file is probably latin-1: pass encoding="latin-1"' if "utf" in encoding.lower() else ""
        raise ValueError(f"{found};{hint or ' pass the encoding the file was written in'}") from error
    plain = text.removeprefix("\ufeff")
    return content if plain is text and encoding.lower() in ("utf-8", "utf8") else plain.encode()


def _parse(content: bytes, sep: str, names: list[str], skipped: int, path: Path) -> pa.Table:
    if len(sep) > 1:  # the parser takes one character
        content, sep = content.replace(sep.encode(), b"\x1f"), "\x1f"
    for newlines in (False, True):
        try:
            return pa_csv.read_csv(
                pa.BufferReader(content),
                read_options=pa_csv.ReadOptions(column_names=names, skip_rows_after_names=skipped),
                parse_options=pa_csv.ParseOptions(delimiter=sep, newlines_in_values=newlines),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            reason = error
            _check_widths(content, sep, len(names), path)
    raise ValueError(f"{path} cannot be read: {reason}") from reason


def _check_widths(content: bytes, sep: str, width: int, path: Path) -> None:
    for number, record in _records(content, sep):
        if len(record) != width:
            raise ValueError(
                f"{path}, line {number}: {len(record)} values, but there are {width} columns; "
                "a value that holds the separator must stand in double quotes"
            )


def _records(content: bytes, sep: str) -> Iterator[tuple[int, list[str]]]:
    """(line number where it begins, values) of every record; blank lines are passed over, as the parser does."""
    if len(sep) > 1:
        content, sep = content.replace(sep.encode(), b"\x1f"), "\x1f"
    reader = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=sep)
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
