"""Files of published splits: pairs, lists, candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recsys_lab.data.lists import read_candidates, read_lists, read_pairs


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "part.txt").write_text(text, encoding="utf-8")
    return tmp_path / "part.txt"


@pytest.mark.parametrize("text", ["1 5\n2 6\n", "1\t5\r\n2\t6\r\n", "1,5\n\n2,6", "\ufeff1::5\n2::6\n"])
def test_pairs_in_all_separators(text: str, tmp_path: Path) -> None:
    frame = read_pairs(write(tmp_path, text))
    assert frame.columns.tolist() == ["user_id", "item_id"]
    assert frame.to_numpy().tolist() == [[1, 5], [2, 6]]
    assert frame["item_id"].dtype == np.int64


def test_pairs_with_ratings_and_times(tmp_path: Path) -> None:
    frame = read_pairs(write(tmp_path, "a\t007\t3.5\t881250949\nb\t12\t4\t1\n"))
    assert frame.to_numpy().tolist() == [["a", "007", 3.5, 881250949], ["b", "12", 4.0, 1]]
    assert frame["timestamp"].dtype == np.int64
    assert read_pairs(write(tmp_path, "1 2 3\n")).columns.tolist() == ["user_id", "item_id", "rating"]


def test_lists(tmp_path: Path) -> None:
    frame = read_lists(write(tmp_path, "7 3 1 2 \n8\n9 3\n"))
    assert frame.to_numpy().tolist() == [[7, 3], [7, 1], [7, 2], [9, 3]]


def test_candidates(tmp_path: Path) -> None:
    frame = read_candidates(write(tmp_path, "0\t9\t4\t5\t4\n1\t8\t4\n"))
    assert frame.to_numpy().tolist() == [
        [0, 9, True], [0, 4, False], [0, 5, False], [1, 8, True], [1, 4, False],
    ]  # fmt: skip
    assert frame["is_positive"].dtype == bool


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_pairs, "", "is empty"),
        (read_pairs, "1\n", "line 1: 1 values; expected user item"),
        (read_pairs, "1 2 3 4 5\n", "line 1: 5 values; expected user item"),
        (read_pairs, "1 2\n\n1 2 3\n", "line 3: 3 values, but the lines before have 2"),
        (read_pairs, "1 2 3\n1 3 x\n", "line 2: rating 'x' is not a finite number"),
        (read_pairs, "1 2 3 4\n1 3 4 nan\n", "line 2: timestamp 'nan' is not a finite number"),
        (read_lists, " \n", "is empty"),
        (read_lists, "1 2 3\n\n1 4\n", "line 3: user '1' already has line 1; write all items of a user on one line"),
        (read_lists, "1 2 3\n2 4 5 4\n", "line 2: user 2 has item 4 twice"),
        (read_candidates, "1 2\n", "line 1: 2 values; expected user positive negative"),
        (read_candidates, "1 2 3\n2 5 6 5\n", "line 2: the positive '5' stands among the negatives too"),
        (read_candidates, "1 2 3\n1 5 6\n", "line 2: user '1' already has line 1"),
    ],
)
def test_bad_lines_are_named(read: object, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path, text))  # type: ignore[operator]


def test_files_are_found_in_the_data_folder(data_home: Path) -> None:
    write(data_home, "1 5\n")
    assert len(read_pairs("part.txt")) == 1
    with pytest.raises(FileNotFoundError, match=r"no file 'parts\.txt'"):
        read_lists("parts.txt")


@pytest.mark.data
def test_the_real_candidates(real_data: Path) -> None:
    frame = read_candidates(real_data / "citeulike-a-loo" / "test_candidates.txt")
    assert frame["is_positive"].sum() == 5551
    assert frame.groupby("user_id").size().max() == 101
    assert len(read_pairs(real_data / "citeulike-a-loo" / "train.txt")) == 199_435
    assert len(read_pairs(real_data / "ml-100k" / "u1.base")) == 80_000
