"""The ``dataset`` key of an experiment: a name, an own file, or the given parts of a published split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Parameters = dict[str, Any]
PATH_KEYS = ("path", "items", "train", "test", "validation", "candidates")


class Strict(BaseModel):
    """No unknown keys, no changes after loading, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NamedDataset(Strict):
    """A data set by its name (``recsys-lab datasets`` lists them)."""

    name: str
    filters: Parameters = Field(default_factory=dict)  # minimum_rating, k_core, ...: passed to load_dataset


class _Columns(Strict):
    """How the columns of own files are named, and what may be said about the data."""

    name: str = ""  # shown in tables; the file's stem, or the folder of the given parts, when empty
    user: str = "user_id"
    item: str = "item_id"
    rating: str | None = "rating"  # null: implicit feedback
    timestamp: str | None = "timestamp"  # null: no times
    sep: str | None = None  # null: by the file's ending
    duplicates: Literal["error", "keep_last", "keep_first", "mean", "sum"] = "error"
    licence: str = ""  # licence and source are shown in MLflow
    source: str = ""

    @property
    def columns_read(self) -> Parameters:
        """The keys above that say how to read."""
        return self.model_dump(include={"user", "item", "rating", "timestamp", "sep", "duplicates"})

    @property
    def about(self) -> dict[str, str]:
        """Licence and source, as far as they are given."""
        about = {"licence": self.licence, "url": self.source}
        return {key: value for key, value in about.items() if value}


class FileDataset(_Columns):
    """An own CSV, TSV or Parquet file; see ``read_interactions`` for the keys."""

    path: Path
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None  # names of the columns of a file without a header
    ids: Literal["auto", "str"] = "auto"
    time_unit: Literal["s", "ms", "us", "ns"] = "s"
    items: Path | None = None  # a file of one row an item: title, genres, ...
    labels: tuple[str, ...] | None = None  # its columns of labels; null = found out
    content: dict[str, Literal["static", "train_derived"]] = Field(default_factory=dict)  # what its columns are made of
    filters: Parameters = Field(default_factory=dict)


class FixedDataset(_Columns):
    """Given parts of a published split; see ``fixed_split`` for the keys."""

    train: Path
    test: Path
    validation: Path | None = None
    candidates: Path | None = None
    format: Literal["pairs", "lists", "candidates"] | dict[str, str] = "pairs"
    drop_seen_candidates: bool = True
    row_order: Literal["canonical", "file"] = "canonical"


def _kind_of_dataset(value: Any) -> str:
    if isinstance(value, BaseModel):
        return {FileDataset: "file", FixedDataset: "fixed"}.get(type(value), "named")
    keys = set(value) if isinstance(value, dict) else set()
    if keys & {"train", "test"}:
        return "fixed"
    return "file" if "path" in keys else "named"


Dataset = Annotated[
    Annotated[NamedDataset, Tag("named")] | Annotated[FileDataset, Tag("file")] | Annotated[FixedDataset, Tag("fixed")],
    Discriminator(_kind_of_dataset),
]
