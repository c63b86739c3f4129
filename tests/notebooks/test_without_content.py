"""The content notebook on data whose items have no attributes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "11_content_based.ipynb"
YAML = """
question: What does content say without content?
dataset: {path: own.csv, rating: null, timestamp: null}
split: {strategy: random_user}
baselines: [Popularity]
families: {content_based: [ContentKNN]}
"""


def test_it_ends_with_what_to_add(tmp_path: Path) -> None:
    rows = [f"u{user},i{(user + step) % 9}" for user in range(20) for step in range(5)]
    (tmp_path / "own.csv").write_text("\n".join(["user_id,item_id", *rows]), encoding="utf-8")
    (tmp_path / "own.yaml").write_text(YAML, encoding="utf-8")
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    first, *others = ("".join(cell["source"]) for cell in cells)
    names: dict[str, object] = {}
    exec(first, names)
    names["experiment"] = str(tmp_path / "own.yaml")
    with warnings.catch_warnings():
        exec(others[0] + "\n" + others[1], names)
        with pytest.raises(ValueError, match=r"the items have no attributes.*dataset\.items"):
            exec(others[2], names)
    assert list(names["evaluations"]) == ["Popularity"]  # type: ignore[call-overload]
