"""``simulate``: every algorithm under every protocol on many generated data sets, beside what is true of it."""

from __future__ import annotations

import itertools
import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pandas as pd
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.data.interactions import Float32, Float64, Int32, Interactions
from recsys_lab.data.synthetic import generate, truth_of
from recsys_lab.evaluation import evaluate
from recsys_lab.experiment import SplitSpec, hash_of
from recsys_lab.metrics.definitions import parse_metric
from recsys_lab.seeds import child_rng, child_seed
from recsys_lab.significance import paired_test
from recsys_lab.simulation.redraw import redraws
from recsys_lab.simulation.spec import Simulation
from recsys_lab.simulation.truth import true_values
from recsys_lab.splits import Split, split
from recsys_lab.tracking.environment import home

VERSION = 1  # raise it when the same file gives other numbers: what is kept of older ones is then not read
TRUTH = "truth"  # stands for the split in the rows of true values
EVERY_ROW = "every row"
WARM = ", warm users"  # after the name of a split: its test users with training rows alone


def simulate(
    spec: Simulation, folder: str | Path | None = None, *, jobs: int = 1, progress: bool = False
) -> pd.DataFrame:
    """One tidy table of everything that was measured and everything that is true; read it with ``protocols``.

    Rows have seed, split ("truth" for true values; "..., warm users" beside a split that tests users without rows too),
    relevance ("every row" or "rating >= 4"), metric (or "liked" and "next", see ``true_values``), first, second, value,
    low, high, expected.

    - second "": the value of the model ``first``, the mean over users.
    - else: the difference first - second with its paired t interval over users (the one of ``compare``).
    - expected: of a measured value or difference, its mean over test parts drawn anew (``redraws``) for the same users
      and the same fitted models. NaN for true values, which are expectations already.

    What is true belongs to an algorithm as one would deploy it: fitted on all rows. What is measured comes from fits on
    the train part of each split. So a protocol is asked what people ask it: which algorithm to deploy?

    Models that take a seed get one of the data set's own. With a ``folder`` each data set and split is kept there as
    one Parquet file, written whole, so that a study that was stopped goes on where it was; files of another study or
    version are not read. ``jobs`` processes share the work.
    """
    cells = [(seed, name) for seed in spec.seeds for name in (TRUTH, *(one.strategy for one in spec.splits))]
    place = None if folder is None else Path(folder) / f"{spec.name}-{_identity(spec)}"
    todo = [cell for cell in cells if place is None or not _file(place, *cell).is_file()]
    done: dict[tuple[int, str], pd.DataFrame] = {}
    if todo:
        from joblib import Parallel, delayed
        from tqdm import tqdm

        work = Parallel(n_jobs=jobs, return_as="generator")(delayed(_cell)(spec, place, *cell) for cell in todo)
        with tqdm(total=len(cells), initial=len(cells) - len(todo), disable=not progress, unit="cell") as bar:
            for cell, table in zip(todo, work):
                done[cell] = table
                bar.update()
    tables = [done[cell] if cell in done else pd.read_parquet(_file(place, *cell)) for cell in cells if place or done]
    return pd.concat(tables, ignore_index=True)


def results_folder() -> Path:
    """Where the command keeps what it finds: outputs/simulation."""
    return home() / "outputs" / "simulation"


def read_study(spec: Simulation, folder: str | Path | None = None) -> pd.DataFrame:
    """The table of a finished study in ``folder`` (None: ``results_folder()``).

    Raises LookupError, naming what to run, when a part of it is not there.
    """
    folder = results_folder() if folder is None else folder
    place = Path(folder) / f"{spec.name}-{_identity(spec)}"
    names = (TRUTH, *(one.strategy for one in spec.splits))
    missing = [name for seed in spec.seeds for name in names if not _file(place, seed, name).is_file()]
    if missing:
        n = spec.n_data_sets * len(names)
        raise LookupError(
            f"{len(missing)} of {n} parts of the study {spec.name!r} are missing; run recsys-lab simulate"
        )
    return simulate(spec, folder)


def _identity(spec: Simulation) -> str:
    """A hash of what decides the numbers of one data set, so that more data sets can be added to a study."""
    apart = {"question", "name", "n_data_sets", "first_seed"}
    return hash_of({"version": VERSION, **spec.model_dump(mode="json", exclude=apart, exclude_defaults=True)})[:12]


def _file(place: Path | None, seed: int, name: str) -> Path:
    assert place is not None
    return place / f"{seed:04d}-{name}.parquet"


def _cell(spec: Simulation, place: Path | None, seed: int, name: str) -> pd.DataFrame:
    """The rows of one data set and split (or of its truth), kept in ``place``."""
    data = generate(**spec.data.config(seed).to_dict())
    numba.set_num_threads(1)  # the processes share the cores; on data so small threads only wait for each other
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # of small test parts and lists cut within ties: what is studied here
        if name == TRUTH:
            table = _true(spec, data, seed)
        else:
            table = _measured(spec, data, seed, next(one for one in spec.splits if one.strategy == name))
    table.insert(0, "seed", seed)
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
        partial = place / f".{uuid.uuid4().hex}.parquet"
        table.to_parquet(partial)
        os.replace(partial, _file(place, seed, name))
    return table


def _fitted(spec: Simulation, train: Interactions, seed: int) -> dict[str, Algorithm]:
    fitted = {}
    for one in spec.algorithms:
        model = make_algorithm(one.name, **one.hyper_parameters)
        if "random_state" in model.get_params() and "random_state" not in one.hyper_parameters:
            model.set_params(random_state=child_seed(seed, f"simulation/{one.name}"))
        fitted[one.name] = model.fit(train)
    return fitted


def _true(spec: Simulation, data: Interactions, seed: int) -> pd.DataFrame:
    truth = truth_of(data.catalogue.info)
    values = {
        name: true_values(model, data, truth, k=spec.k, liked_from=spec.liked_from)
        for name, model in _fitted(spec, data, seed).items()
    }
    table = _tidy(values, spec)
    table.insert(0, "split", TRUTH)
    table.insert(1, "relevance", EVERY_ROW)
    table["expected"] = np.nan
    return table


def _measured(spec: Simulation, data: Interactions, seed: int, one: SplitSpec) -> pd.DataFrame:
    parts = split(data, one.strategy, test=one.test, seed=child_seed(seed, "simulation/split"), **one.options)
    users = np.arange(data.n_users, dtype=np.int32)
    frozen = {
        name: _Frozen(model.score(users, parts.history.matrix))
        for name, model in _fitted(spec, parts.train, seed).items()
    }
    truth = truth_of(data.catalogue.info)
    tables = []
    for threshold in spec.relevance_thresholds:
        label = EVERY_ROW if threshold is None else f"rating >= {threshold:g}"
        rng = child_rng(seed, f"simulation/redraw/{one.strategy}/{label}")
        found = _per_user(spec, frozen, parts, threshold, seed)
        again = [
            _per_user(spec, frozen, replace(parts, test=test), threshold, seed)
            for test in redraws(data, parts, truth, spec.n_redraws, rng, threshold)
        ]
        cold = next(iter(found.values()))["is_cold"]
        for name, tested in {one.strategy: cold.index, one.strategy + WARM: cold.index[~cold]}.items():
            if name == one.strategy or 1 < len(tested) < len(cold):
                table = _tidy({model: frame.loc[tested] for model, frame in found.items()}, spec)
                table["expected"] = _expected(table, again, tested)
                table.insert(0, "split", name)
                table.insert(1, "relevance", label)
                tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _expected(table: pd.DataFrame, again: Sequence[Mapping[str, pd.DataFrame]], users: pd.Index[Any]) -> Float64:
    """What each row of ``table`` is on average over the test parts drawn anew, (n_rows,)."""
    means = [pd.DataFrame({name: frame.loc[users].mean() for name, frame in drawn.items()}) for drawn in again]
    expected = pd.concat(means).groupby(level=0).mean().stack()
    values = expected.loc[pd.MultiIndex.from_frame(table[["metric", "first"]])].to_numpy(dtype=np.float64)
    others = expected.reindex(pd.MultiIndex.from_frame(table[["metric", "second"]])).to_numpy(dtype=np.float64)
    result: Float64 = values - np.where(table["second"].ne(""), others, 0.0)
    return result


def _per_user(
    spec: Simulation, frozen: Mapping[str, Algorithm], parts: Split, threshold: float | None, seed: int
) -> dict[str, pd.DataFrame]:
    """The metrics of each model, and is_cold, one row a user."""
    asked: dict[str, Any] = {"cutoffs": [parse_metric(name)[1] or spec.k for name in spec.metrics]}
    asked |= {"metrics": list(spec.metrics), "relevance_threshold": threshold, "fit": False}
    asked["tie_seed"] = child_seed(seed, "simulation/ties")
    columns = [*spec.metrics, "is_cold"]
    return {name: evaluate(model, parts, **asked).per_user[columns] for name, model in frozen.items()}


def _tidy(values: Mapping[str, pd.DataFrame], spec: Simulation) -> pd.DataFrame:
    """Means of models and differences of pairs, with intervals over users; columns as in ``simulate``."""
    rows: list[tuple[str, str, str, float, float, float]] = []
    for metric in next(iter(values.values())).columns.drop("is_cold", errors="ignore"):
        by_model: dict[str, Float64] = {name: frame[metric].dropna().to_numpy() for name, frame in values.items()}
        if not len(next(iter(by_model.values()))):
            continue  # no user has a relevant row
        rows += [(metric, name, "", float(own.mean()), np.nan, np.nan) for name, own in by_model.items()]
        for first, second in itertools.combinations(by_model, 2):
            test = paired_test(by_model[first], by_model[second], spec.level)
            rows.append((metric, first, second, test.difference, test.low, test.high))
    return pd.DataFrame(rows, columns=["metric", "first", "second", "value", "low", "high"])


class _Frozen(Algorithm):
    """The scores of a fitted model for the users of one split, which are asked for again and again."""

    def __init__(self, scores: Float32) -> None:
        self.scores = scores

    def fit(self, train: Interactions) -> _Frozen:
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        return self.scores[users]
