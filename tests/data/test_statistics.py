"""Statistics of a data set, on cases worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_lab.data.interactions import Interactions
from recsys_lab.data.statistics import (
    describe,
    gini,
    main,
    markdown_table,
    rating_histogram,
    sessions,
    shares_user_and_time,
    top_share,
)
from recsys_lab.data.synthetic import load

HOUR = 3_600


@pytest.fixture
def data() -> Interactions:
    frame = pd.DataFrame(
        {
            "user_id": [1, 1, 1, 2, 2, 3],
            "item_id": [10, 11, 12, 10, 11, 10],
            "rating": [5.0, 3.0, 1.0, 4.0, 4.0, 3.0],
            "timestamp": [0, 0, HOUR, 0, HOUR - 1, 48 * HOUR],
        }
    )
    return Interactions.from_frame(frame, items=pd.DataFrame(index=pd.Index([10, 11, 12, 13])))


def test_worked_by_hand(data: Interactions) -> None:
    found = describe(data)
    expected = {
        "rows": 6,
        "users": 3,
        "items": 4,
        "items with rows": 3,
        "density, % of the pairs": 50,
        "rows per user, least": 1,
        "rows per user, median": 2,
        "rows per item, most": 3,
        "rows per item, Gini": 2 / 9,
        "rows of the top tenth of the items, %": 50,
        "rating, mean": 20 / 6,
        "rated 4, %": 100 / 3,
        "mean rating of a user, sd": np.std([3, 4, 3]),
        "mean rating of an item, sd": np.std([4, 3.5, 1]),
        "sd of the ratings of a user, mean": np.sqrt(8 / 3) / 3,
        "days from first to last row": 2,
        "rows that share user and time with another, %": 100 / 3,
        "sessions per user, mean": 4 / 3,
        "days from a user's first to last row, median": (HOUR - 1) / 86_400,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert found["correlation of an item's log rows and mean rating"] == pytest.approx(
        np.corrcoef(np.log([3, 2, 1]), [4, 3.5, 1])[0, 1]
    )


def test_gini() -> None:
    assert gini(np.asarray([4, 4, 4])) == 0
    assert gini(np.asarray([0, 0, 0, 8])) == pytest.approx(3 / 4)  # all on one of n: 1 - 1/n
    assert np.isnan(gini(np.zeros(3)))
    counts = np.random.default_rng(0).integers(0, 50, 30)
    by_definition = np.abs(counts[:, None] - counts).mean() / (2 * counts.mean())
    assert gini(counts) == pytest.approx(by_definition)


def test_top_share() -> None:
    assert top_share(np.asarray([1, 7, 2]), 0.34) == 0.9  # two of three, rounded up
    assert top_share(np.asarray([1, 7, 2]), 0.1) == 0.7
    assert np.isnan(top_share(np.zeros(2)))


def test_rating_histogram(data: Interactions) -> None:
    histogram = rating_histogram(data)
    assert histogram.to_dict() == pytest.approx({1.0: 1 / 6, 3.0: 2 / 6, 4.0: 2 / 6, 5.0: 1 / 6})


def test_times(data: Interactions) -> None:
    assert shares_user_and_time(data).tolist() == [True, True, False, False, False, False]
    assert sessions(data).tolist() == [2, 1, 1]
    assert sessions(data, gap=2 * HOUR).tolist() == [1, 1, 1]


def test_data_without_ratings_or_times() -> None:
    frame = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 1]})
    data = Interactions.from_frame(frame, rating=None, timestamp=None)
    found = describe(data)
    assert found["rating, mean"] == 1
    assert "rating, sd" not in found
    assert not [name for name in found.index if "session" in name or "days" in name]
    for statistic in (sessions, shares_user_and_time):
        with pytest.raises(ValueError, match="timestamps; this data set has none"):
            statistic(data)


def test_data_without_rows(data: Interactions) -> None:
    empty = describe(data.select(np.zeros(6, dtype=bool)))
    assert empty["rows"] == 0
    assert np.isnan(empty["rating, mean"])
    assert np.isnan(empty["rows per user, median"])


def test_markdown_table(data: Interactions) -> None:
    lines = markdown_table({"a": describe(data), "b": describe(data).drop("rating, mean")}).splitlines()
    assert lines[:3] == ["| | a | b |", "|---|---:|---:|", "| rows | 6 | 6 |"]
    assert "| rating, mean | 3.33 | – |" in lines


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["synthetic-small"])
    assert capsys.readouterr().out == markdown_table({"synthetic-small": describe(load("synthetic-small"))}) + "\n"


@pytest.mark.data
def test_the_table_in_the_docs_is_the_one_the_command_prints(
    real_data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RECSYS_LAB_CACHE", str(tmp_path))
    main(["synthetic-100k", "ml-100k"])
    page = Path(__file__).parents[2] / "docs" / "synthetic.md"
    assert capsys.readouterr().out in page.read_text(encoding="utf-8")
