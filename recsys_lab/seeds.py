"""Seeds by name: adding one more random thing does not shift the others' streams."""

from __future__ import annotations

import hashlib

import numpy as np


def child_seed(root: int, name: str) -> int:
    """A seed in 0 ... 2**32 - 1 for ``name`` (such as "fit/EASE/3"), the same in every process."""
    return int(_sequence(root, name).generate_state(1)[0])


def child_rng(root: int, name: str) -> np.random.Generator:
    """A generator for ``name``, independent of the generators of all other names."""
    return np.random.default_rng(_sequence(root, name))


def _sequence(root: int, name: str) -> np.random.SeedSequence:
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4")
    return np.random.SeedSequence([root, *words.tolist()])
