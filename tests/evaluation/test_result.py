"""An evaluation survives pickling and the disk, to the last digit."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys_lab.evaluation import Evaluation, evaluate


def assert_equal(one: Evaluation, other: Evaluation) -> None:
    assert list(one.summary) == list(other.summary)
    np.testing.assert_array_equal(list(one.summary.values()), list(other.summary.values()))
    pd.testing.assert_frame_equal(one.per_user, other.per_user, check_exact=True)
    np.testing.assert_array_equal(
        [one.cost.fit_s, one.cost.ms_per_user, one.cost.peak_rss_mb],
        [other.cost.fit_s, other.cost.ms_per_user, other.cost.peak_rss_mb],
    )
    for name in ("protocol", "dataset_hash", "split_hash", "algorithm", "parameters", "warnings"):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.lists is None) == (other.lists is None)
    if one.lists is not None and other.lists is not None:
        for name in ("users", "items", "scores", "tied_at_cutoff"):
            np.testing.assert_array_equal(getattr(one.lists, name), getattr(other.lists, name))


@pytest.fixture(params=["ranking", "rating"])
def evaluation(request: Any, make_split: Any, fixed: Any) -> Evaluation:
    rng = np.random.default_rng(3)
    split = make_split([("z", f"i{i}", i % 5) for i in range(20)], [(f"u{u}", f"i{3 * u}", u % 5) for u in range(6)])
    scores = rng.random((7, 20)) / 3
    if request.param == "rating":
        return evaluate(fixed(scores), split, task="rating")
    scores[0] = -np.inf
    return evaluate(fixed(scores), split, cutoffs=[3, 7], relevance_threshold=1, fit=False)


def test_the_round_trip_loses_nothing(evaluation: Evaluation, tmp_path: Path) -> None:
    assert_equal(Evaluation.load(evaluation.save(tmp_path / "deep" / "run")), evaluation)
    assert_equal(pickle.loads(pickle.dumps(evaluation)), evaluation)


def test_the_summary_is_strict_json_with_null_for_what_is_not_defined(evaluation: Evaluation, tmp_path: Path) -> None:
    text = (evaluation.save(tmp_path / "run") / "summary.json").read_text(encoding="utf-8")
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    nulls = {name for name, value in record["summary"].items() if value is None}
    assert nulls == {name for name, value in evaluation.summary.items() if math.isnan(value)}


def test_saving_again_replaces_the_folder_and_leaves_nothing_beside_it(evaluation: Evaluation, tmp_path: Path) -> None:
    folder = evaluation.save(tmp_path / "run")
    (folder / "stray").write_text("old")
    evaluation.save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not (folder / "stray").exists()


def test_a_failed_save_leaves_the_old_one(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = evaluation.save(tmp_path / "run")

    def fail(*args: Any, **options: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        evaluation.save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert_equal(Evaluation.load(folder), evaluation)


def test_what_is_no_evaluation_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"summary\.json is missing"):
        Evaluation.load(tmp_path)
    folder = evaluation.save(tmp_path / "run")
    text = (folder / "summary.json").read_text(encoding="utf-8")
    (folder / "summary.json").write_text(text.replace('"format": 1', '"format": 99'), encoding="utf-8")
    with pytest.raises(ValueError, match="written in format 99; this version reads format 1"):
        Evaluation.load(folder)
