"""Where a version's files are: a folder of this machine, or something that MLflow has to fetch."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_lab.serving.model_store.version import local


@pytest.mark.parametrize(
    "source",
    ["mlflow-artifacts:/0/abc/artifacts/model-1", "models:/m-1", "s3://bucket/model", "http://host/model", "runs:/r/m"],
)
def test_a_source_with_a_scheme_is_fetched(source: str) -> None:
    assert local(source) is None


def test_a_folder_is_read_where_it_is(tmp_path: Path) -> None:
    assert local(str(tmp_path / "model")) == tmp_path / "model"
    assert local((tmp_path / "a model").as_uri()) == tmp_path / "a model"
