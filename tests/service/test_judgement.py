"""A judgement, a curve and an export from PostgreSQL are those from SQLite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_lab.judgement import judge_shadow, judge_split
from recsys_lab.judgement.report import as_dict
from recsys_lab.serving.export import export_feedback
from recsys_lab.serving.storage import Database
from tests.judgement.traffic import database_in, plant_shadow, plant_split

pytestmark = pytest.mark.service


def test_postgresql_says_what_sqlite_says(postgres: str, tmp_path: Path) -> None:
    found, exported = [], []
    for name, url in (("postgres", postgres), ("sqlite", str(database_in(tmp_path).engine.url))):
        database = Database(url)
        assert database.answering() == []
        with pytest.raises(LookupError, match="the database has no lists"):
            judge_split(database, 0.3)
        plant_split(database, np.random.default_rng(1), 400, 0.3, (0.1, 0.4))
        plant_shadow(database, np.random.default_rng(2), 60)
        found.append([as_dict(judge_split(database, 0.3)), as_dict(judge_shadow(database, challenger="2"))])
        export_feedback(url, tmp_path / f"{name}.parquet")
        frame = pd.read_parquet(tmp_path / f"{name}.parquet")
        exported.append(frame.sort_values(["user_id", "item_id"], ignore_index=True))
        database.close()
    assert found[0] == found[1]
    assert found[0][0]["metrics"]["lists_with_action"]["verdict"] == "better"
    pd.testing.assert_frame_equal(exported[0], exported[1])
