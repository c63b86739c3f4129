"""What the tests of the data share: a cache of their own, and no data of the machine unless a test asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has its own cache folder, so nothing is written outside tmp_path."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RECSYS_LAB_CACHE", str(folder))
    return folder


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder which RECSYS_LAB_DATA names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("RECSYS_LAB_DATA", str(folder))
    return folder
