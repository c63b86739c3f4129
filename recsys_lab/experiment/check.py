"""Mistakes in an experiment that only the catalogue of algorithms, the splits and the metrics can see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from recsys_lab.algorithms.base import RatingPredictor
from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.hybrid import all_parts
from recsys_lab.data.datasets import SYNTHETIC
from recsys_lab.data.filters import FILTERS
from recsys_lab.data.published import DATASETS
from recsys_lab.experiment.datasets import FixedDataset, NamedDataset
from recsys_lab.experiment.expand import labels
from recsys_lab.experiment.grids import grid
from recsys_lab.experiment.models import FAMILIES, AlgorithmSpec, EvaluationSpec, Experiment
from recsys_lab.experiment.tuning import places
from recsys_lab.metrics.definitions import METRICS, parse_metric, refuse_sampled
from recsys_lab.splits import STRATEGIES, check_options, check_share
from recsys_lab.tuning import space_of

PER_USER = {"ranking": ("ranking", "list", "score"), "rating": ("rating",)}  # kinds of metrics with a value a user


def mistakes(experiment: Experiment) -> list[str]:
    """One line for each mistake: the key, what was found and what would be right."""
    found = [
        *_dataset(experiment),
        *_families(experiment),
        *_splits(experiment),
        *_metrics(experiment),
        *_algorithms(experiment),
        *_oracle(experiment),
        *_tuning(experiment),
    ]
    if not found:
        found.extend(_expected(experiment))
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" when something known is near, else ""."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def _dataset(experiment: Experiment) -> Iterator[str]:
    dataset = experiment.dataset
    if isinstance(dataset, FixedDataset):
        return
    if isinstance(dataset, NamedDataset) and not dataset.name.startswith("synthetic-") and dataset.name not in DATASETS:
        names = (*SYNTHETIC, *DATASETS)
        near = did_you_mean(dataset.name, names)
        yield f"dataset.name: unknown data set {dataset.name!r}{near}; known: {', '.join(names)}; an own file has path"
    for name in dataset.filters:
        if name not in FILTERS:
            yield f"dataset.filters.{name}: unknown filter{did_you_mean(name, FILTERS)}; known: {', '.join(FILTERS)}"


def _families(experiment: Experiment) -> Iterator[str]:
    for family in experiment.families:
        if family not in FAMILIES:
            yield f"families.{family}: unknown family{did_you_mean(family, FAMILIES)}; known: {', '.join(FAMILIES)}"


def _splits(experiment: Experiment) -> Iterator[str]:
    given_parts = isinstance(experiment.dataset, FixedDataset)
    for index, spec in enumerate(experiment.split):
        if given_parts:
            continue
        if spec.strategy not in STRATEGIES:
            near = did_you_mean(spec.strategy, STRATEGIES)
            yield f"split.{index}.strategy: unknown strategy {spec.strategy!r}{near}; known: {', '.join(STRATEGIES)}"
            continue
        keys = spec.fold_keys
        own = () if keys is None else (keys.one, keys.count)
        known = [name for name in STRATEGIES[spec.strategy].options if name not in own]
        unknown = [name for name in spec.options if name not in known]
        for name in unknown:
            every = ["strategy", "test", "validation", "seed", *known]
            every += [] if keys is None else [keys.count, keys.chosen]
            yield f"split.{index}.{name}: unknown key{did_you_mean(name, every)}; known: {', '.join(every)}"
        try:
            check_options(spec.strategy, {name: value for name, value in spec.options.items() if name in known})
        except (TypeError, ValueError) as error:
            yield f"split.{index}.{error}"
        for name, share in (("test", spec.test), ("validation", spec.validation)):
            try:
                check_share(spec.strategy, name, share)
            except ValueError as error:
                yield f"split.{index}.{error}"


def _metrics(experiment: Experiment) -> Iterator[str]:
    spec = experiment.evaluation
    named = [("evaluation.primary", spec.primary)]
    named += [
        (f"evaluation.metrics.{index}", name) for index, name in enumerate(spec.metrics or ()) if name != "default"
    ]
    named += [(f"expected.{index}.metric", expected.metric) for index, expected in enumerate(experiment.expected)]
    for place, name in named:
        try:
            parse_metric(name)
        except ValueError as error:
            yield f"{place}: {error}"
            return
    try:
        refuse_sampled(spec.primary)
    except ValueError as error:
        yield f"evaluation.primary: {error}"
        return
    yield from _primary(spec)


def _primary(spec: EvaluationSpec) -> Iterator[str]:
    """The primary metric must be one that is measured, for each user, and that has a better side."""
    metric, _ = parse_metric(spec.primary)
    per_user = [name for name, card in METRICS.items() if card.kind in PER_USER[spec.task] and card.better != "neither"]
    if metric.name not in per_user:
        yield (
            f"evaluation.primary: {spec.primary!r} cannot decide between models: it has no value for each user, or "
            f"neither high nor low is better; right would be one of {', '.join(per_user)}"
        )
    elif spec.task == "ranking" and spec.metrics and not {spec.primary, metric.name, "default"} & set(spec.metrics):
        yield f"evaluation.metrics: the primary metric {spec.primary!r} is not among them; add {metric.name!r}"


def _places(experiment: Experiment) -> Iterator[tuple[str, AlgorithmSpec]]:
    for index, spec in enumerate(experiment.baselines):
        yield f"baselines.{index}", spec
    for family, specs in experiment.families.items():
        for index, spec in enumerate(specs):
            yield f"families.{family}.{index}", spec


def _algorithms(experiment: Experiment) -> Iterator[str]:
    for place, spec in _places(experiment):
        try:
            points = [make_algorithm(spec.name, **parameters) for parameters in grid(spec)]
            for point in points:
                all_parts(point)  # names and hyper-parameters of what it is made of
        except (ValueError, TypeError, ImportError, AttributeError) as error:
            yield f"{place}: {error}"
            continue
        if not points:
            yield f"{place}: {spec.name} has an empty grid; give at least one value"
        elif experiment.evaluation.task == "rating" and not isinstance(points[0], RatingPredictor):
            yield f"{place}: {spec.name} does not predict ratings; leave it out, or use evaluation.task: ranking"


def _tuning(experiment: Experiment) -> Iterator[str]:
    dataset = experiment.dataset
    if experiment.tuning is not None and isinstance(dataset, FixedDataset) and dataset.validation is None:
        yield "tuning: the given split has no validation part to search on; name one: dataset.validation"
    for place, spec in _places(experiment):
        if experiment.tuning is None and spec.tune is not True:
            yield f"{place}.tune: nothing is searched in this experiment; add the key tuning, such as {{n_trials: 20}}"
        elif spec.tune is not True and spec.tune is not False:
            try:
                space_of(spec.name, spec.hyper_parameters, places(spec.tune))
            except (ValueError, ImportError) as error:
                yield f"{place}.tune: {error}"


def _oracle(experiment: Experiment) -> Iterator[str]:
    dataset = experiment.dataset
    generated = isinstance(dataset, NamedDataset) and dataset.name.startswith("synthetic-")
    for place, spec in _places(experiment):
        if spec.name == "Oracle" and not generated:
            yield f"{place}: Oracle knows the truth of generated data only (synthetic-...); leave it out here"


def _expected(experiment: Experiment) -> Iterator[str]:
    known = labels(experiment)
    for index, expected in enumerate(experiment.expected):
        if expected.algorithm not in known:
            near = did_you_mean(expected.algorithm, known)
            yield f"expected.{index}.algorithm: no trial is called {expected.algorithm!r}{near}; there are {known}"
        if expected.split >= len(experiment.split):
            yield f"expected.{index}.split: {expected.split} is none of the {len(experiment.split)} splits"
