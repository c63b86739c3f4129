"""Two users who stand everywhere, and where they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from tests.serving.apps import bundle_of, stored

USER, OTHER = str(bundle_of().user_ids[3]), f"{bundle_of().user_ids[3]}999"  # one id is a part of the other


def users_in(folder: Path) -> dict[str, set[str]]:
    """Who stands where."""
    tables = {name: {row["user_id"] for row in stored(folder, name)} for name in ("feedback", "impressions")}
    files = {
        "parquet": pd.read_parquet(folder / "out" / "table.parquet"),
        "csv": pd.read_csv(folder / "out" / "table.csv", dtype=str),
        "csv.gz": pd.read_csv(folder / "out" / "table.csv.gz", dtype=str),
    }
    spool = {json.loads(line)[1]["user_id"] for file in folder.glob("bundles/spool/*.jsonl") for line in file.open()}
    return {**tables, **{name: set(frame["user_id"]) for name, frame in files.items()}, "spool": spool}
