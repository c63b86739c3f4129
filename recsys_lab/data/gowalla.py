"""Published splits as one data set: Gowalla (LightGCN), and other files of lists or pairs, without times.

The rows stand part after part (train, validation, test), in the order of the files. The parts themselves are read with
``recsys_lab.data.lists`` and joined by ``fixed_split``.
"""

from __future__ import annotations

import pandas as pd

from recsys_lab.data.interactions import Interactions
from recsys_lab.data.lists import parse_lists
from recsys_lab.data.sources import Files


def read_gowalla(files: Files) -> Interactions:
    """train.txt and test.txt: ``user item item ...``."""
    return _read_lists(files, ("train.txt", "test.txt"))


def read_spectralcf(files: Files) -> Interactions:
    """train_users.dat and test_users.dat: ``user item item ...``."""
    return _read_lists(files, ("train_users.dat", "test_users.dat"))


def read_lightgcnpp(files: Files) -> Interactions:
    """train.txt, valid.txt and test.txt: ``user item item ...``."""
    return _read_lists(files, ("train.txt", "valid.txt", "test.txt"))


def read_leave_one_out(files: Files) -> Interactions:
    """train.txt (``user item``) and the positives of test_candidates.txt (``user positive negative ...``).

    The negatives stay in the catalogue's item ids only where some row has them.
    """
    with files.open("train.txt") as handle:
        train = pd.read_csv(handle, sep="\t", header=None, names=["user_id", "item_id"], dtype="int64")
    with files.open("test_candidates.txt") as handle:
        test = pd.read_csv(handle, sep="\t", header=None, usecols=[0, 1], dtype="int64")
    test.columns = train.columns
    return Interactions.from_frame(pd.concat([train, test], ignore_index=True), rating=None, timestamp=None)


def _read_lists(files: Files, names: tuple[str, ...]) -> Interactions:
    parts = []
    for name in names:
        with files.open(name) as handle:
            parts.append(parse_lists(handle.read(), str(files.path / name)))
    return Interactions.from_frame(pd.concat(parts, ignore_index=True), rating=None, timestamp=None)
