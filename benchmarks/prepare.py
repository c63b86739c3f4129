"""Writes the inputs of all contenders into a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from scipy import sparse

SAMPLE_USERS = 20  # whom the slow predict loops rank for


def names(quick: bool) -> dict[str, str]:
    """The data sets: MovieLens where RECSYS_LAB_DATA names it, else synthetic ones of the same size."""
    real = bool(os.environ.get("RECSYS_LAB_DATA"))
    small, large = ("ml-100k", "ml-1m-untimed") if real else ("synthetic-100k", "synthetic-1m")
    return {"ranking": small if quick else large, "ratings": small}


def prepare(folder: Path, quick: bool) -> None:
    """train, test, lists, factors, fold and settings, made by fixed seeds."""
    from benchmarks.inputs import Inputs
    from benchmarks.sides.ours import cut, ranked
    from benchmarks.sides.ours_ratings import cut as cut_ratings
    from recsys_lab.algorithms.factorization import PureSVD

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(names(quick)), encoding="utf-8")
    inputs = Inputs(folder)
    parts = cut(inputs.settings["ranking"])
    sparse.save_npz(folder / "train.npz", _int32(parts.train.matrix), compressed=False)
    sparse.save_npz(folder / "test.npz", _int32(parts.test.matrix), compressed=False)
    model = PureSVD(n_factors=64, n_iterations=2).fit(parts.train)
    users = (parts.train.matrix @ model.item_factors_).astype(np.float32)
    np.savez(folder / "factors.npz", users=users, items=model.item_factors_)
    np.save(folder / "lists.npy", ranked(model, inputs, 20))
    fold = cut_ratings(inputs)
    train, test = fold.train.canonical(), fold.test  # stochastic gradients depend on the order of the rows
    np.savez(
        folder / "fold.npz",
        users=train.users,
        items=train.items,
        ratings=train.ratings.astype(np.float64),
        test_users=test.users,
        test_items=test.items,
        sample_users=np.unique(train.users)[:: max(1, train.n_users // SAMPLE_USERS)][:SAMPLE_USERS],
        known_items=np.unique(train.items),
    )


def _int32(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """int32 pointers and indices, which every library takes."""
    arrays = matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return sparse.csr_matrix(arrays, shape=matrix.shape)
