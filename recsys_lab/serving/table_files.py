"""Tables of feedback as files: written and read a few rows at a time, for this user of the machine only."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any, TypeAlias

from recsys_lab.serving.private import PARTIAL, make_private_folder, only_writer, written_privately

ENDINGS = (".parquet", ".csv", ".csv.gz")
COLUMNS = {"user_id": "string", "item_id": "string", "rating": "float32", "timestamp": "int64", "event": "string"}
CHUNK = 50_000  # rows in memory
Columns: TypeAlias = Mapping[str, Sequence[Any]]


def ending_of(file: Path) -> str:
    """The ending of a name, which says how the file is written; ValueError for another one."""
    for ending in ENDINGS:
        if file.name.endswith(ending):
            return ending
    raise ValueError(f"{file} ends in {file.suffix or 'nothing'!r}; expected {', '.join(ENDINGS)}")


@contextmanager
def held(file: Path) -> Iterator[Path]:
    """The file behind the links in the name of a table, which nobody else reads or replaces to change it meanwhile.

    What a process that was killed left of it half-written is removed.
    """
    real = Path(os.path.realpath(file))
    with only_writer(real.parent) as locked:
        if locked:
            for partial in real.parent.glob(f"{PARTIAL}{escape(real.name)}.{'[0-9a-f]' * 32}"):
                partial.unlink()
        yield real


@contextmanager
def written_table(file: Path) -> Iterator[Callable[[Columns], None]]:
    """A function that writes some rows of ``COLUMNS``; they take the place of ``file`` when the block ends well."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    ending = ending_of(file)
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
    if not file.parent.exists():
        make_private_folder(file.parent)
    with written_privately(file) as stream:
        target = gzip.GzipFile(fileobj=stream, mode="wb") if ending == ".csv.gz" else stream
        writer = parquet.ParquetWriter(target, schema) if ending == ".parquet" else csv.CSVWriter(target, schema)
        with writer:
            yield lambda columns: writer.write_batch(pa.record_batch(dict(columns), schema=schema))
        if target is not stream:
            target.close()


def read_table(file: Path) -> Iterator[Columns]:
    """The rows of a file that ``written_table`` wrote, CHUNK at a time. OSError and ValueError for another one."""
    from pyarrow import csv, parquet

    if file.exists() and not file.is_file():  # a pipe would never end
        raise ValueError(f"{file} is not a regular file")
    if ending_of(file) == ".parquet":
        with parquet.ParquetFile(file) as opened:
            _require(file, opened.schema_arrow.names)
            for batch in opened.iter_batches(CHUNK):
                yield batch.to_pydict()
    else:
        with csv.open_csv(file, convert_options=csv.ConvertOptions(column_types=COLUMNS)) as reader:
            _require(file, reader.schema.names)
            for batch in reader:
                yield batch.to_pydict()


def _require(file: Path, names: Sequence[str]) -> None:
    if list(names) != list(COLUMNS):
        raise ValueError(f"{file} has the columns {', '.join(names)}; expected {', '.join(COLUMNS)}")
