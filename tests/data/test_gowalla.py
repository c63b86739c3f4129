"""Published splits read as one data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.gowalla import read_gowalla, read_leave_one_out, read_lightgcnpp, read_spectralcf
from recsys_lab.data.sources import FolderFiles


@pytest.mark.parametrize(
    ("read", "names"),
    [
        (read_gowalla, ["train.txt", "test.txt"]),
        (read_spectralcf, ["train_users.dat", "test_users.dat"]),
        (read_lightgcnpp, ["train.txt", "valid.txt", "test.txt"]),
    ],
)
def test_parts_follow_each_other(read: object, names: list[str], tmp_path: Path) -> None:
    for number, name in enumerate(names):
        (tmp_path / name).write_text(f"5 {number} 9{number} \n2 {number}\n")
    data = read(FolderFiles(tmp_path))  # type: ignore[operator]
    expected = [[u, i, 1] for n in range(len(names)) for u, i in ((5, n), (5, 90 + n), (2, n))]
    assert data.to_frame().to_numpy().tolist() == expected
    assert data.timestamps is None


def test_leave_one_out_takes_the_positives(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0\t7\n1\t8\n")
    (tmp_path / "test_candidates.txt").write_text("0\t8\t1\t2\n1\t7\t3\t4\n")
    data = read_leave_one_out(FolderFiles(tmp_path))
    assert data.to_frame().to_numpy().tolist() == [[0, 7, 1], [1, 8, 1], [0, 8, 1], [1, 7, 1]]
    assert data.catalogue.item_ids.tolist() == [7, 8]


@pytest.mark.data
def test_the_real_gowalla(real_data: Path) -> None:
    data = load_dataset("gowalla")
    assert (len(data), data.n_users, data.n_items) == (1_027_370, 29_858, 40_981)
    assert data.to_frame().iloc[810_128].tolist() == [0, 7580, 1]  # the first test row follows the last of train
