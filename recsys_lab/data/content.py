"""Item content as sparse features: labels, counts of labels, words of titles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.data.interactions import Interactions

Features = tuple[sparse.csr_matrix, list[str]]  # (n_items, n_features) float32, names of the columns

_WORD = re.compile(r"\w+")


def label_features(values: Iterable[Any], kind: str, separator: str = "|") -> Features:
    """One-or-zero columns for strings such as ``Action|Comedy``, named ``genre:Action`` for ``kind="genre"``.

    An item without labels (empty, missing, or MovieLens's "(no genres listed)") has an empty row.
    """
    labels = [_labels(value, separator) for value in values]
    return _from_lists(labels, kind)


def word_features(texts: Iterable[Any], kind: str = "word") -> Features:
    """One-or-zero columns for the words of each text, in lower case, named ``word:...``."""
    return _from_lists([sorted(set(_WORD.findall(_text(text).lower()))) for text in texts], kind)


def count_features(rows: NDArray[Any], labels: Sequence[str], kind: str, n_items: int) -> Features:
    """How often each label stands with each item. ``rows`` (n,) item codes, ``labels`` (n,)."""
    codes, names = pd.factorize(np.asarray(labels, dtype=object), sort=True)
    ones = np.ones(len(codes), dtype=np.float32)
    matrix = sparse.csr_matrix((ones, (rows, codes)), shape=(n_items, len(names)))
    matrix.sum_duplicates()
    return matrix, [f"{kind}:{name}" for name in names]


def stack_features(parts: Sequence[Features]) -> Features:
    """Feature matrices side by side."""
    matrix = sparse.csr_matrix(sparse.hstack([part[0] for part in parts], format="csr"), dtype=np.float32)
    return matrix, [name for part in parts for name in part[1]]


def with_features(data: Interactions, features: Features) -> Interactions:
    """The same interactions; their catalogue has these item features."""
    matrix, names = features
    matrix.sort_indices()
    return replace(data, catalogue=replace(data.catalogue, item_features=matrix, feature_names=names))


def _labels(value: Any, separator: str) -> list[str]:
    text = _text(value)
    if text in ("", "(no genres listed)"):
        return []
    return sorted({part.strip() for part in text.split(separator)} - {""})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if pd.isna(value) else str(value)


def _from_lists(lists: Sequence[Sequence[str]], kind: str) -> Features:
    rows = np.repeat(np.arange(len(lists)), [len(labels) for labels in lists])
    return count_features(rows, [label for labels in lists for label in labels], kind, len(lists))
