"""From an experiment to its trials: every split, fold, seed, algorithm and grid point, each with a stable id."""

from __future__ import annotations

import dataclasses
import itertools
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE, algorithm_class, make_algorithm
from recsys_lab.algorithms.hybrid import PARAMETERS, all_parts, is_stochastic, parts_of
from recsys_lab.experiment.datasets import Parameters
from recsys_lab.experiment.identity import code_version, data_identity, hash_of, own_source, protocol_identity
from recsys_lab.experiment.models import AlgorithmSpec, Experiment
from recsys_lab.seeds import child_seed

BASELINE = "baseline"


@dataclass(frozen=True)
class Trial:
    """One fit and evaluation. ``parameters`` holds the hyper-parameters as written, and the seed when there is one."""

    experiment: str
    family: str  # "baseline", or the family of the notebook that runs it
    dataset: str
    algorithm: str  # name in the catalogue, or "package.module:Class"
    parameters: Parameters
    label: str  # "ItemKNN", or "ItemKNN n_neighbors=50" when several variants are compared
    split: int  # which entry of the experiment's splits
    fold: int | None
    seed: int
    stochastic: bool
    trial_id: str

    @property
    def is_baseline(self) -> bool:
        return self.family == BASELINE

    @property
    def run_name(self) -> str:
        """How MLflow shows the run: "EASE · ml-100k · s42"; with the fold of a k-fold split."""
        fold = "" if self.fold is None else f" · fold {self.fold}"
        return f"{self.label} · {self.dataset}{fold} · s{self.seed}"

    def make(self) -> Algorithm:
        """The algorithm, not yet fitted."""
        return make_algorithm(self.algorithm, **self.parameters)


@dataclass(frozen=True)
class _Variant:
    family: str
    algorithm: str
    hyper_parameters: Parameters
    label: str


def expand(experiment: Experiment) -> list[Trial]:
    """All trials, each once; deterministic algorithms at the first seed only.

    Baselines belong to the family "baseline". Order: split, fold, seed, then as written.
    """
    variants = _variants(experiment)
    common = [data_identity(experiment), protocol_identity(experiment), code_version()]
    trials = []
    for index, split in enumerate(experiment.split):
        for fold in split.chosen_folds:
            place = [split.model_dump(mode="json", exclude={"folds"}), fold]
            for seed in experiment.seeds:
                for variant in variants:
                    trial = _trial(experiment, variant, [common, place], (index, fold, seed))
                    if trial is not None:
                        trials.append(trial)
    return trials


def select(
    trials: Sequence[Trial], *, family: str | None, split: int = 0, fold: int = -1, seed: int | None = None
) -> list[Trial]:
    """The trials of one notebook: its family and the baselines, at one split and seed, of one fold or (-1) of all.

    Deterministic trials belong to every seed. ``family=None``: all families; ``seed=None``: all seeds.
    """
    return [
        trial
        for trial in trials
        if (family is None or trial.family in (family, BASELINE))
        and trial.split == split
        and (fold == -1 or trial.fold == fold)
        and (seed is None or trial.seed == seed or not trial.stochastic)
    ]


def labels(experiment: Experiment) -> list[str]:
    """What the trials are called in tables."""
    return [variant.label for variant in _variants(experiment)]


def _trial(
    experiment: Experiment, variant: _Variant, spec: list[Any], place: tuple[int, int | None, int]
) -> Trial | None:
    split, fold, seed = place
    parameters = {**_oracle_defaults(experiment, variant.algorithm, split), **variant.hyper_parameters}
    model = make_algorithm(variant.algorithm, **parameters)
    algorithm = type(model)
    entry = CATALOGUE.get(variant.algorithm)
    seeded = "random_state" in _fields(algorithm) and "random_state" not in parameters
    stochastic = seeded and (entry is None or entry.stochastic) and is_stochastic(model)
    if not stochastic and seed != experiment.seeds[0]:
        return None
    if stochastic:
        parameters["random_state"] = child_seed(seed, f"fit/{variant.algorithm}")
    sources = [own_source(type(part)) for part in (model, *all_parts(model))]
    identity = [spec, variant.algorithm, parameters, sources, seed if stochastic else None]
    return Trial(
        experiment=experiment.name,
        family=variant.family,
        dataset=experiment.dataset_name,
        algorithm=variant.algorithm,
        parameters=parameters,
        label=variant.label,
        split=split,
        fold=fold,
        seed=seed,
        stochastic=stochastic,
        trial_id=hash_of(identity),
    )


def _oracle_defaults(experiment: Experiment, name: str, split: int) -> Parameters:
    """What the Oracle must know of the protocol to be the best attainable score."""
    if name != "Oracle":
        return {}
    timed = experiment.split[split].strategy in ("temporal_global", "temporal_user", "leave_last_one_out")
    threshold = experiment.evaluation.relevance_threshold
    return {"moment": "last" if timed else "mean"} | ({} if threshold is None else {"relevance_threshold": threshold})


def _variants(experiment: Experiment) -> list[_Variant]:
    """Every algorithm with every grid point, labelled by what tells it from the others of its name."""
    written = [(BASELINE, spec) for spec in experiment.baselines]
    written += [(family, spec) for family, specs in experiment.families.items() for spec in specs]
    points: list[tuple[str, str, Parameters]] = []
    for family, spec in written:
        for parameters in grid(spec):
            if not any(name == spec.name and known == parameters for _, name, known in points):
                points.append((family, spec.name, parameters))
    return [
        _Variant(family, name, parameters, _label(name, parameters, [p for _, n, p in points if n == name]))
        for family, name, parameters in points
    ]


def _label(name: str, parameters: Parameters, same_name: list[Parameters]) -> str:
    short = name.rpartition(":")[2]
    named = [str(parameters[part]).rpartition(":")[2] for part in parts_of(algorithm_class(name)) if part in parameters]
    if named:  # Calibrated(EASE), Blend(EASE, ContentKNN)
        short += f"({', '.join(named)})"
    values, others = _flat(parameters), [_flat(other) for other in same_name]
    missing = object()
    varied = [key for key in values if any(other.get(key, missing) != values[key] for other in others)]
    return " ".join([short, *(f"{key}={values[key]}" for key in varied if key not in parts_of(algorithm_class(name)))])


def _flat(parameters: Parameters) -> Parameters:
    """Hyper-parameters of parts by one name: {"base_parameters": {"n_factors": 5}} is {"base.n_factors": 5}."""
    flat: Parameters = {}
    for key, value in parameters.items():
        if key.endswith(PARAMETERS) and isinstance(value, dict):
            flat |= {f"{key.removesuffix(PARAMETERS)}.{inner}": part for inner, part in _flat(value).items()}
        else:
            flat[key] = value
    return flat


def grid(spec: AlgorithmSpec) -> Iterator[Parameters]:
    """The grid points of an algorithm: a list stands for several values where the field takes a single one.

    The hyper-parameters of a part (``base_parameters``) are a grid of that part.
    """
    model = make_algorithm(spec.name)
    fields = _fields(type(model))
    axes = []
    for key, value in spec.hyper_parameters.items():
        part = key.removesuffix(PARAMETERS)
        if part != key and part in parts_of(type(model)) and isinstance(value, dict):
            name = spec.hyper_parameters.get(part, getattr(model, part))
            if isinstance(name, str):
                inner = AlgorithmSpec(name=name, hyper_parameters=value)
                axes.append([(key, point) for point in grid(inner)])
                continue
        several = isinstance(value, list) and (not _takes_a_list(fields.get(key)) or _is_list_of_lists(value))
        axes.append([(key, point) for point in value] if several else [(key, value)])
    for point in itertools.product(*axes):
        yield dict(point)


def _fields(algorithm: type) -> dict[str, Any]:
    """Names and types of an algorithm's hyper-parameters."""
    if not dataclasses.is_dataclass(algorithm):
        return {}
    try:
        hints = typing.get_type_hints(algorithm)
    except (NameError, TypeError):
        hints = {}
    return {field.name: hints.get(field.name, field.type) for field in dataclasses.fields(algorithm)}


def _takes_a_list(annotation: Any) -> bool:
    return any(word in str(annotation).lower() for word in ("list[", "tuple[", "sequence["))


def _is_list_of_lists(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(entry, list) for entry in value)
