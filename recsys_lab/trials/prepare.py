"""An experiment's data and splits, loaded once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recsys_lab.data.interactions import Interactions
from recsys_lab.experiment import Experiment, FileDataset, FixedDataset
from recsys_lab.splits import Split, fixed_split, split


def load_data(experiment: Experiment) -> Interactions:
    """The rows the experiment names, filters applied; of given parts: all of them together."""
    dataset = experiment.dataset
    if isinstance(dataset, FixedDataset):
        return _all_rows(_fixed(dataset))
    if isinstance(dataset, FileDataset):
        from recsys_lab.data.files import read_interactions
        from recsys_lab.data.filters import apply_filters

        data = read_interactions(
            dataset.path,
            user=dataset.user,
            item=dataset.item,
            rating=dataset.rating,
            timestamp=dataset.timestamp,
            sep=dataset.sep,
        )
        about = {"licence": dataset.licence, "url": dataset.source}
        return apply_filters(_named(data, experiment.dataset_name, about), dataset.filters)
    from recsys_lab.data.datasets import load_dataset

    return load_dataset(dataset.name, **dataset.filters)


def make_splits(experiment: Experiment, index: int, fold: int = -1, data: Interactions | None = None) -> list[Split]:
    """The experiment's ``index``-th split: one Split, or one for each chosen fold of a k_fold (or only ``fold``).

    Raises ValueError when there is no such split or fold.
    """
    if not 0 <= index < len(experiment.split):
        raise ValueError(f"split {index} does not exist; the experiment has splits 0 ... {len(experiment.split) - 1}")
    spec = experiment.split[index]
    if fold != -1 and fold not in spec.chosen_folds:
        folds = "no folds" if spec.strategy != "k_fold" else f"folds {list(spec.chosen_folds)}"
        raise ValueError(f"fold {fold} does not exist; split {index} ({spec.strategy}) has {folds}; -1 means all")
    if isinstance(experiment.dataset, FixedDataset):
        return [_fixed(experiment.dataset)]
    data = load_data(experiment) if data is None else data
    common: dict[str, Any] = {"validation": spec.validation, "seed": spec.seed, **spec.options}
    if spec.strategy != "k_fold":
        return [split(data, spec.strategy, test=spec.test, **common)]
    folds = spec.chosen_folds if fold == -1 else (fold,)
    return [split(data, "k_fold", fold=number, n_folds=spec.fold_count, **common) for number in folds]


def _fixed(dataset: FixedDataset) -> Split:
    parts = fixed_split(dataset.train, dataset.test, dataset.validation, format=dataset.format, **dataset.options)
    about = {"licence": dataset.licence, "url": dataset.source}
    name = dataset.name or dataset.train.parent.name
    info = _info(parts.train, name, about)
    catalogue = replace(parts.train.catalogue, info=info)
    named = {
        part: None if getattr(parts, part) is None else replace(getattr(parts, part), catalogue=catalogue)
        for part in ("train", "validation", "test", "history")
    }
    return replace(parts, **named)  # type: ignore[arg-type]


def _all_rows(parts: Split) -> Interactions:
    import numpy as np

    both = [parts.history, parts.test]
    times = [part.timestamps for part in both]
    return Interactions(
        np.concatenate([part.users for part in both]),
        np.concatenate([part.items for part in both]),
        np.concatenate([part.ratings for part in both]),
        None if any(time is None for time in times) else np.concatenate([time for time in times if time is not None]),
        parts.train.catalogue,
    )


def _named(data: Interactions, name: str, about: dict[str, str]) -> Interactions:
    return replace(data, catalogue=replace(data.catalogue, info=_info(data, name, about)))


def _info(data: Interactions, name: str, about: dict[str, str]) -> dict[str, Any]:
    return {**data.catalogue.info, "name": name, **{key: value for key, value in about.items() if value}}
