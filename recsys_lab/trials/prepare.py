"""An experiment's data and splits, loaded once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from recsys_lab.checks import leak_check, require_passed
from recsys_lab.data.interactions import Interactions
from recsys_lab.experiment import Experiment, FileDataset, FixedDataset, NamedDataset
from recsys_lab.splits import Split, fixed_split, split, without_validation
from recsys_lab.tuning import sealed


def load_data(experiment: Experiment) -> Interactions:
    """The rows the experiment names, filters applied; of given parts: all of them together."""
    dataset = experiment.dataset
    if isinstance(dataset, FixedDataset):
        return _all_rows(_fixed(experiment, dataset))
    if isinstance(dataset, FileDataset):
        from recsys_lab.data.files import read_interactions
        from recsys_lab.data.filters import apply_filters

        own = dataset.model_dump(include={"encoding", "columns", "ids", "time_unit", "items", "labels", "content"})
        data = read_interactions(dataset.path, name=experiment.dataset_name, **dataset.columns_read, **own)
        info = {**data.catalogue.info, **dataset.about}
        return apply_filters(replace(data, catalogue=replace(data.catalogue, info=info)), dataset.filters)
    from recsys_lab.data.datasets import load_dataset

    return load_dataset(dataset.name, **dataset.filters)


def make_splits(experiment: Experiment, index: int, fold: int = -1, data: Interactions | None = None) -> list[Split]:
    """The experiment's ``index``-th split: one Split, or one for each chosen fold of a k_fold or window of a
    rolling back-test (or only ``fold``).

    With ``tuning`` these are the splits of the final fits: train holds the rows of validation too, which stand apart in
    ``search_splits``. Raises ValueError when there is no such split or fold.
    """
    made = _made(experiment, index, fold, data, validation=experiment.tuning is None)
    return made if experiment.tuning is None else [without_validation(one) for one in made]


def search_splits(experiment: Experiment, index: int, fold: int = -1, data: Interactions | None = None) -> list[Split]:
    """The same splits with their validation parts, to search hyper-parameters on; their test parts are sealed."""
    return [sealed(one) for one in _made(experiment, index, fold, data, validation=True)]


def _made(experiment: Experiment, index: int, fold: int, data: Interactions | None, *, validation: bool) -> list[Split]:
    if not 0 <= index < len(experiment.split):
        raise ValueError(f"split {index} does not exist; the experiment has splits 0 ... {len(experiment.split) - 1}")
    spec = experiment.split[index]
    if fold != -1 and fold not in spec.chosen_folds:
        known = "no folds" if spec.fold_keys is None else f"{spec.fold_keys.chosen} {list(spec.chosen_folds)}"
        raise ValueError(f"fold {fold} does not exist; split {index} ({spec.strategy}) has {known}; -1 means all")
    if isinstance(experiment.dataset, FixedDataset):
        return [_fixed(experiment, experiment.dataset)]
    data = load_data(experiment) if data is None else data
    common: dict[str, Any] = {"test": spec.test, "seed": spec.seed, **spec.options}
    common["validation"] = spec.validation if validation else 0.0
    keys = spec.fold_keys
    if keys is None:
        return [split(data, spec.strategy, **common)]
    chosen = spec.chosen_folds if fold == -1 else (fold,)
    common[keys.count] = spec.fold_count
    return [split(data, spec.strategy, **{**common, keys.one: one}) for one in chosen]


def try_data(experiment: Experiment) -> None:
    """Load the data and make the first part of each split, then let them go: what is wrong shows before any model.

    Also fetches and prepares a published data set once, where its progress is seen. Generated data cannot be wrong and
    are not made. Raises what ``load_data`` and ``make_splits`` raise, ValueError when no test row is relevant, and
    LeakError when a check of level E of a split fails.
    """
    if isinstance(experiment.dataset, NamedDataset) and experiment.dataset.name.startswith("synthetic-"):
        return
    data = None if isinstance(experiment.dataset, FixedDataset) else load_data(experiment)
    threshold = experiment.evaluation.relevance_threshold
    for index, spec in enumerate(experiment.split):
        part = make_splits(experiment, index, -1 if spec.chosen_folds[0] is None else spec.chosen_folds[0], data)[0]
        found = leak_check(part, repeat_consumption=not experiment.evaluation.exclude_seen)
        require_passed(found, f"split {index}: {spec.strategy}")
        if experiment.evaluation.task == "ranking" and threshold is not None:
            best = float(part.test.ratings.max())
            if best < threshold:
                raise ValueError(
                    f"evaluation.relevance_threshold is {threshold:g}, but the test ratings of split {index} "
                    f"({spec.strategy}) end at {best:g}, so nothing would be relevant; choose a lower threshold"
                )


def _fixed(experiment: Experiment, dataset: FixedDataset) -> Split:
    return fixed_split(
        dataset.train,
        dataset.test,
        dataset.validation,
        candidates=dataset.candidates,
        format=dataset.format,
        drop_seen_candidates=dataset.drop_seen_candidates,
        row_order=dataset.row_order,
        info={"name": experiment.dataset_name, **dataset.about},
        **dataset.columns_read,
    )


def _all_rows(parts: Split) -> Interactions:
    both = [parts.history, parts.test]
    times = [part.timestamps for part in both]
    return Interactions(
        np.concatenate([part.users for part in both]),
        np.concatenate([part.items for part in both]),
        np.concatenate([part.ratings for part in both]),
        None if any(time is None for time in times) else np.concatenate([time for time in times if time is not None]),
        parts.train.catalogue,
    )
