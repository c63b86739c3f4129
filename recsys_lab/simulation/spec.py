"""The file of a simulation study as strict frozen models: an unknown key is an error with a suggestion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.data.synthetic import SyntheticConfig, parse_name
from recsys_lab.experiment import ExperimentError, SplitSpec, parse_yaml
from recsys_lab.experiment.check import did_you_mean
from recsys_lab.experiment.datasets import Strict
from recsys_lab.experiment.load import explain
from recsys_lab.experiment.models import AlgorithmSpec
from recsys_lab.metrics.definitions import parse_metric
from recsys_lab.splits import STRATEGIES, check_share

SMALL_SIMULATION = """
question: Does offline evaluation tell the truth?
data: {name: synthetic-small}
n_data_sets: 2
splits: [temporal_global, temporal_user, random_user]
relevance_thresholds: [null, 4]
metrics: [ndcg@10, recall@10, "sampled_ndcg@10[n=99]"]
n_redraws: 4
algorithms: [Popularity, ItemKNN, EASE, PureSVD, Bias]
"""


class DataSpec(Strict):
    """The generator of the data sets; the seed is what differs between them (docs/synthetic.md)."""

    name: str = "synthetic-small"  # its size
    taste: float = SyntheticConfig.taste
    liking: float = SyntheticConfig.liking
    noise: float = SyntheticConfig.noise
    drift: float = SyntheticConfig.drift
    n_days: int = SyntheticConfig.n_days

    def config(self, seed: int) -> SyntheticConfig:
        """The configuration of one data set."""
        n_interactions, n_users, n_items = parse_name(self.name)
        options = self.model_dump(exclude={"name"})
        return SyntheticConfig(n_users=n_users, n_items=n_items, n_interactions=n_interactions, seed=seed, **options)

    @model_validator(mode="after")
    def _can_exist(self) -> DataSpec:
        self.config(0)
        return self


def _by_name(value: Any) -> Any:
    return {"strategy": value} if isinstance(value, str) else value


Split = Annotated[SplitSpec, BeforeValidator(_by_name)]


class Simulation(Strict):
    """Data sets that are generated, protocols that are judged, and algorithms that are ranked."""

    question: str
    name: str = Field(default="simulation", pattern=r"^[A-Za-z0-9_.-]+$")  # of the folder of results
    data: DataSpec = DataSpec()
    n_data_sets: int = Field(default=20, ge=2)  # of seeds first_seed, first_seed + 1, ...
    first_seed: int = Field(default=0, ge=0)
    splits: tuple[Split, ...] = Field(min_length=1)
    relevance_thresholds: tuple[float | None, ...] = Field(default=(None,), min_length=1)  # null: every test row counts
    metrics: tuple[str, ...] = Field(default=("ndcg@10",), min_length=1)  # sampled ones too: "sampled_ndcg@10[n=99]"
    k: int = Field(default=10, ge=1)  # length of the lists whose true value is taken
    liked_from: float = 4.0  # a true rating from here on is one of an item that is liked
    n_redraws: int = Field(default=30, ge=1)  # test parts drawn anew to know what a protocol expects
    level: float = Field(default=0.95, gt=0, lt=1)  # of the intervals
    algorithms: tuple[AlgorithmSpec, ...] = Field(min_length=2)

    @property
    def seeds(self) -> range:
        """Of the data sets."""
        return range(self.first_seed, self.first_seed + self.n_data_sets)

    @field_validator("splits")
    @classmethod
    def _known_splits(cls, splits: tuple[SplitSpec, ...]) -> tuple[SplitSpec, ...]:
        for split in splits:
            if split.strategy not in STRATEGIES or split.strategy in ("k_fold", "cold_users", "cold_items"):
                near = did_you_mean(split.strategy, STRATEGIES)
                raise ValueError(
                    f"{split.strategy!r} is no split of a simulation{near}; known: {', '.join(STRATEGIES)}"
                )
            check_share(split.strategy, "test", split.test)
        if len({split.strategy for split in splits}) < len(splits):
            raise ValueError("each split strategy may stand once; results are kept by its name")
        return splits

    @field_validator("metrics")
    @classmethod
    def _measurable(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for name in metrics:
            metric, cutoff = parse_metric(name)
            if metric.kind not in ("ranking", "sampled") or metric.better != "higher" or not cutoff:
                raise ValueError(f"{name!r}: right would be a metric of rankings with its cut-off, such as ndcg@10")
        return metrics

    @field_validator("algorithms")
    @classmethod
    def _known_algorithms(cls, algorithms: tuple[AlgorithmSpec, ...]) -> tuple[AlgorithmSpec, ...]:
        names = [spec.name for spec in algorithms]
        if len(set(names)) < len(names):
            raise ValueError(f"each algorithm may stand once; found {names}")
        for spec in algorithms:
            if make_algorithm(spec.name, **spec.hyper_parameters).reorders:
                raise ValueError(f"{spec.name} lists items in another order than its scores; leave it out")
        return algorithms


def load_simulation(path: str | Path = "") -> Simulation:
    """The study in a YAML file ("" = a small built-in one). ExperimentError names file, key and what would be right."""
    path = Path(path)
    built_in = not path.name
    if not built_in and not path.is_file():
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.yaml")])
        raise ExperimentError(f"{path}: no such file{near}")
    shown = "built-in simulation" if built_in else str(path)
    try:
        values = parse_yaml(SMALL_SIMULATION if built_in else path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ExperimentError(f"{shown}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ExperimentError(f"{shown}: expected keys such as question, splits and algorithms; found {values!r:.80}")
    name = "small" if built_in else path.stem
    try:
        return Simulation.model_validate({"name": name, **values})
    except ValidationError as error:
        lines = explain(error, Simulation)
        raise ExperimentError("\n".join(f"{shown}: {line}" for line in lines)) from None
