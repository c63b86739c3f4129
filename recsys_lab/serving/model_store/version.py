"""A version of a registered model, as the registry describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname


@dataclass(frozen=True)
class Version:
    """One version of a registered model."""

    name: str
    number: str
    run_id: str
    source: str  # where its files are
    tags: dict[str, str]

    def __post_init__(self) -> None:
        """Raise ValueError for a number that is none: folders are named after it."""
        if not (self.number.isascii() and self.number.isdigit()):
            raise ValueError(f"{self.name} has a version {self.number[:50]!r}, expected a number")


def local(source: str) -> Path | None:
    """The folder behind a source on this machine; None for one that has to be fetched."""
    if source.startswith("file://"):
        return Path(url2pathname(urlparse(source).path))
    return (
        None if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:", source) else Path(source)
    )  # a scheme: mlflow-artifacts:, s3:, ...


def require_size(source: str, n_bytes: int, most: int) -> None:
    """ValueError for a bundle that is larger than this replica takes."""
    if n_bytes > most:
        raise ValueError(
            f"{source} has {n_bytes:,} bytes, and this replica takes {most:,}; RECSYS_LAB_MAX_BUNDLE_BYTES is the limit"
        )
