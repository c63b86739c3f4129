"""A folder is there whole, as it was, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_lab.data.folders import written_whole


def test_a_folder_is_written_and_replaced_and_leaves_nothing_else(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with written_whole(tmp_path / "deep" / "kept") as fresh:
            (fresh / "file").write_text(text)
    assert (tmp_path / "deep" / "kept" / "file").read_text() == "second"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["kept"]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    with written_whole(tmp_path / "kept") as fresh:
        (fresh / "file").write_text("old")
    with pytest.raises(IsADirectoryError), written_whole(tmp_path / "kept") as fresh:
        fresh.write_text("half")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").read_text() == "old"
