"""CiteULike-t (Wang, Chen and Li, IJCAI 2013): libraries of articles, with a bag of words and tags of each article."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.data.content import Features, stack_features, with_features
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.sources import Files


def read_citeulike_t(files: Files) -> Interactions:
    """users.dat (one library a line), mult.dat (bag of words of each article), tag-item.dat (articles of each tag).

    User and item ids are 0-based line numbers. The catalogue holds all articles of mult.dat, also the few which no
    library has. Features: counts of words (``word:...``) and one-or-zero tags (``tag:...``).
    """
    users, items = _counted_lists(files, "users.dat")
    words = _bag_of_words(files)
    n_items = words[0].shape[0]
    tag_numbers, tagged = _counted_lists(files, "tag-item.dat")
    names = _lines(files, "tags.dat")
    ones = np.ones(len(tagged), dtype=np.float32)
    tags = sparse.csr_matrix((ones, (tagged, tag_numbers)), shape=(n_items, len(names)))
    frame = pd.DataFrame({"user_id": users, "item_id": items})
    articles = pd.DataFrame(index=pd.RangeIndex(n_items, name="item_id"))
    data = Interactions.from_frame(frame, rating=None, timestamp=None, items=articles)
    return with_features(data, stack_features([words, (tags, [f"tag:{name}" for name in names])]))


def _bag_of_words(files: Files) -> Features:
    rows = [line.split()[1:] for line in _lines(files, "mult.dat")]
    entries = np.asarray([entry.split(":") for row in rows for entry in row], dtype=np.int64).reshape(-1, 2)
    names = _lines(files, "vocabulary.dat")
    row_numbers = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    counts = entries[:, 1].astype(np.float32)
    matrix = sparse.csr_matrix((counts, (row_numbers, entries[:, 0])), shape=(len(rows), len(names)))
    return matrix, [f"word:{name}" for name in names]


def _counted_lists(files: Files, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(line number, member) of lines ``count member member ...``; ValueError where the count is wrong."""
    rows = [line.split() for line in _lines(files, name)]
    for number, row in enumerate(rows, 1):
        if int(row[0]) != len(row) - 1:
            raise ValueError(f"{files.path / name}, line {number}: says {row[0]} members, has {len(row) - 1}")
    lengths = [len(row) - 1 for row in rows]
    members = np.asarray([member for row in rows for member in row[1:]], dtype=np.int64)
    return np.repeat(np.arange(len(rows)), lengths), members


def _lines(files: Files, name: str) -> list[str]:
    with files.open(name) as handle:
        lines = handle.read().decode("utf-8").split("\n")
    return [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
