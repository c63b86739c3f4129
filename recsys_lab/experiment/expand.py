"""From an experiment to its trials: every split, fold, seed, algorithm and grid point, each with a stable id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE, algorithm_class, make_algorithm
from recsys_lab.algorithms.entries.entry import Space
from recsys_lab.algorithms.hybrid import PARAMETERS, all_parts, is_stochastic, parts_of
from recsys_lab.experiment.datasets import Parameters
from recsys_lab.experiment.grids import fields_of, grid
from recsys_lab.experiment.identity import (
    code_version,
    data_identity,
    hash_of,
    own_source,
    protocol_identity,
    tuning_identity,
)
from recsys_lab.experiment.models import AlgorithmSpec, Experiment
from recsys_lab.experiment.tuning import places
from recsys_lab.seeds import child_seed
from recsys_lab.splits import STRATEGIES
from recsys_lab.tuning.space import in_words, space_of

BASELINE = "baseline"
TUNED, FIXED, DEFAULT = "tuned", "fixed", "default"


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
    origin: str = DEFAULT  # of the hyper-parameters: "tuned", "fixed" in the file, or the algorithm's "default"
    space: Space = field(default_factory=dict)  # what is searched before the fit; empty: nothing

    @property
    def is_baseline(self) -> bool:
        return self.family == BASELINE

    @property
    def run_name(self) -> str:
        """How MLflow shows the run: "EASE · ml-100k · s42"; with the fold of a k-fold split."""
        fold = "" if self.fold is None else f" · fold {self.fold}"
        return f"{self.label} · {self.dataset}{fold} · s{self.seed}"

    def make(self, found: Parameters | None = None) -> Algorithm:
        """The algorithm, not yet fitted; ``found`` are the hyper-parameters that a search has chosen."""
        return make_algorithm(self.algorithm, **{**self.parameters, **(found or {})})


@dataclass(frozen=True)
class _Variant:
    family: str
    algorithm: str
    hyper_parameters: Parameters
    label: str
    origin: str
    space: Space


def expand(experiment: Experiment) -> list[Trial]:
    """All trials, each once; deterministic algorithms at the first seed only.

    Baselines belong to the family "baseline". Order: split, fold, seed, then as written.
    """
    variants = _variants(experiment)
    common = [data_identity(experiment), protocol_identity(experiment), code_version()]
    if experiment.tuning is not None:
        common.append(tuning_identity(experiment))
    trials = []
    for index, split in enumerate(experiment.split):
        for fold in split.chosen_folds:
            place = [split.model_dump(mode="json", exclude={"folds", "windows"}), fold]
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
    seeded = "random_state" in fields_of(algorithm) and "random_state" not in parameters
    stochastic = seeded and (entry is None or entry.stochastic) and is_stochastic(model)
    if not stochastic and seed != experiment.seeds[0]:
        return None
    if stochastic:
        parameters["random_state"] = child_seed(seed, f"fit/{variant.algorithm}")
    sources = [own_source(type(part)) for part in (model, *all_parts(model))]
    identity = [spec, variant.algorithm, parameters, sources, seed if stochastic else None]
    if variant.space:
        identity.append(in_words(variant.space))
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
        origin=variant.origin,
        space=variant.space,
    )


def _oracle_defaults(experiment: Experiment, name: str, split: int) -> Parameters:
    """What the Oracle must know of the protocol to be the best attainable score."""
    if name != "Oracle":
        return {}
    strategy = STRATEGIES[experiment.split[split].strategy]
    moment = "end" if strategy.in_time else "last" if strategy.tests_latest else "mean"
    threshold = experiment.evaluation.relevance_threshold
    return {"moment": moment} | ({} if threshold is None else {"relevance_threshold": threshold})


def _variants(experiment: Experiment) -> list[_Variant]:
    """Every algorithm with every grid point, labelled by what tells it from the others of its name."""
    written = [(BASELINE, spec) for spec in experiment.baselines]
    written += [(family, spec) for family, specs in experiment.families.items() for spec in specs]
    points: list[tuple[str, AlgorithmSpec, Parameters]] = []
    for family, spec in written:
        for parameters in grid(spec):
            if not any((known.name, known.tune, p) == (spec.name, spec.tune, parameters) for _, known, p in points):
                points.append((family, spec, parameters))
    variants = []
    for family, spec, parameters in points:
        label = _label(spec.name, parameters, [p for _, other, p in points if other.name == spec.name])
        origin, space = _search(experiment, spec, parameters)
        variants.append(_Variant(family, spec.name, parameters, label, origin, space))
    names = [variant.label for variant in variants]
    return [
        replace(variant, label=f"{variant.label} ({variant.origin})") if names.count(variant.label) > 1 else variant
        for variant in variants
    ]


def _search(experiment: Experiment, spec: AlgorithmSpec, parameters: Parameters) -> tuple[str, Space]:
    """Where the hyper-parameters come from, and what is searched. Who has nothing to search counts as tuned."""
    own = FIXED if set(parameters) - {"random_state"} else DEFAULT
    if experiment.tuning is None or spec.tune is False:
        return own, {}
    space = space_of(spec.name, parameters, places(spec.tune))
    entry = CATALOGUE.get(spec.name)
    return (TUNED if space or (entry and not entry.space and own == DEFAULT) else own), space


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
