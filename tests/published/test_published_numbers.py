"""Published numbers come out: every row under ``expected`` of every file in experiments/published."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab.algorithms.catalogue import CATALOGUE, make_algorithm
from recsys_lab.evaluation import evaluate
from recsys_lab.experiment import load_experiment
from recsys_lab.experiment.load import parse_yaml
from recsys_lab.trials import Checked, open_family

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "published"
pytestmark = pytest.mark.filterwarnings("ignore:.*items of equal score:UserWarning")
FILES = [*sorted(FOLDER.glob("*.yaml")), *sorted((FOLDER / "slow").glob("*.yaml"))]
SLOW = {"gf_cf_gowalla"}  # minutes: 256 exact singular vectors of 29,858 users


def _rows() -> list[Any]:
    """One case for each algorithm of each file."""
    cases = []
    for file in FILES:
        labels = dict.fromkeys(row["algorithm"] for row in parse_yaml(file.read_text(encoding="utf-8"))["expected"])
        marks = [pytest.mark.slow] if file.stem in SLOW or file.parent.name == "slow" else []
        cases += [pytest.param(file, label, id=f"{file.stem}-{label}", marks=marks) for label in labels]
    return cases


@cache
def _work(file: Path, data: Path) -> Any:
    """The family work of an experiment on the data in ``data``; nothing is run yet."""
    return open_family(file, log=False)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_LAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.data
@pytest.mark.parametrize(("file", "label"), _rows())
def test_what_was_published_comes_out(file: Path, label: str, real_data: Path) -> None:
    _require_extras(file)
    work = _work(file, real_data)
    spec = work.experiment.evaluation
    options = spec.model_dump(exclude={"primary"})
    evaluations = [
        evaluate(trial.make(), part, **options)
        for trial in work.trials
        if trial.label == label
        for part in work.splits
        if part.card.fold == trial.fold
    ]
    rows = [row for row in work.experiment.expected if row.algorithm == label]
    found = {row.metric: float(np.mean([entry.summary[row.metric] for entry in evaluations])) for row in rows}
    assert rows
    assert len(evaluations) == len(work.splits)
    checked = [Checked(row, found[row.metric]) for row in rows]
    assert all(one.passed for one in checked), "\n".join(map(str, checked))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_published_experiment_is_sound_and_expects_something(file: Path) -> None:
    _require_extras(file)
    experiment = load_experiment(file)
    assert len(experiment.expected) >= 2
    if file.parent.name == "slow":  # other draws, or a shortened search: its header says why
        assert all(row.tolerance <= 0.03 * row.value for row in experiment.expected)
    else:
        assert all(row.tolerance <= 0.001 for row in experiment.expected)


def _require_extras(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for name, entry in CATALOGUE.items():
        if entry.extra and f"- {name}" in text:
            pytest.importorskip(entry.extra, reason=f"{name} needs the extra {entry.extra}")


@pytest.mark.data
def test_popularity_comes_out_whatever_the_order_of_ties(real_data: Path) -> None:
    """The file names one tie seed; this is the mean over twelve others."""
    work = _work(FOLDER / "popularity_ml100k.yaml", real_data)
    options = work.experiment.evaluation.model_dump(exclude={"primary", "tie_seed"})
    popularity = make_algorithm("Popularity")
    seeds = range(100, 112)
    found = [evaluate(popularity, work.split, tie_seed=seed, **options).summary for seed in seeds]
    for row in work.experiment.expected:
        assert np.mean([summary[row.metric] for summary in found]) == pytest.approx(row.value, rel=0, abs=row.tolerance)


@pytest.mark.data
def test_random_ratings_come_out_whatever_the_seed(real_data: Path) -> None:
    """The file names one seed; over seeds the published numbers lie within two standard deviations of the mean."""
    work = _work(FOLDER / "surprise_ml100k.yaml", real_data)
    expected = {row.metric: row.value for row in work.experiment.expected if row.algorithm == "NormalPredictor"}
    found: dict[str, list[float]] = {"rmse": [], "mae": []}
    for seed in range(100, 116):
        algorithm = make_algorithm("NormalPredictor", random_state=seed)
        summaries = [evaluate(algorithm, part, task="rating").summary for part in work.splits]
        for metric, values in found.items():
            values.append(float(np.mean([summary[metric] for summary in summaries])))
    for metric, values in found.items():
        assert abs(np.mean(values) - expected[metric]) < 2 * np.std(values, ddof=1)
        assert np.std(values, ddof=1) < 0.005
