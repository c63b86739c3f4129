"""Experiment files: read, override, check; every error names the file, the key and what would be right."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from recsys_lab.data.sources import find_path
from recsys_lab.experiment.datasets import PATH_KEYS, FileDataset, FixedDataset, NamedDataset
from recsys_lab.experiment.models import (
    AlgorithmSpec,
    EvaluationSpec,
    Expected,
    Experiment,
)
from recsys_lab.experiment.split_spec import SplitSpec
from recsys_lab.experiment.tuning import TuningSpec

SMALL_EXPERIMENT = """
question: Which models rank the small generated data set best?
name: small
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
evaluation: {primary: ndcg@10}
baselines: [Random, Popularity, Oracle]
families:
  collaborative_filtering: [UserKNN, ItemKNN, EASE]
  content_based: [ContentKNN, UserProfile]
  factorization: [PureSVD, SVD]
"""

_MODEL_OF_KEY: dict[str, type[BaseModel]] = {
    "evaluation": EvaluationSpec,
    "expected": Expected,
    "split": SplitSpec,
    "tuning": TuningSpec,
    "named": NamedDataset,
    "file": FileDataset,
    "fixed": FixedDataset,
}


class ExperimentError(ValueError):
    """An experiment file that cannot be used; the message lists every mistake found."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number and a key that stands twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (str, int)) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice; write it once", key_node.start_mark
                )
            seen.add(key if isinstance(key, (str, int)) else str(key))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse_yaml(text: str) -> Any:
    """YAML to plain values; see ``_Loader`` for the two differences from plain PyYAML."""
    return yaml.load(text, Loader=_Loader)


def load_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment in ``path`` ("" = a small built-in one), with ``overrides`` (``evaluation.primary=ndcg@20``).

    An override's value is YAML, so it has a type, and it is checked like the file. Relative paths in the file are
    relative to the file. Raises ExperimentError naming the file, the key path and what would be right.
    """
    if not str(path) or str(path) == ".":
        return experiment_from_text(SMALL_EXPERIMENT, overrides=overrides)
    path = Path(path)
    if path.is_dir():
        raise ExperimentError(f"{path}: this is a folder; name an experiment file (YAML) in it")
    if not path.is_file():
        near = sorted(file.name for file in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise ExperimentError(f"{path}: no such experiment file{_did_you_mean(path.name, near)}")
    return experiment_from_text(path.read_text(encoding="utf-8"), path, overrides)


def experiment_from_text(text: str, path: Path | None = None, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment written in ``text``; ``path`` is where relative paths start and what errors name."""
    shown = str(path) if path else "built-in experiment"
    try:
        values = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ExperimentError(f"{shown}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ExperimentError(f"{shown}: expected keys such as question, dataset and families; found {values!r:.80}")
    for override in overrides:
        _apply(values, override)
    if not values.get("name") and path is not None:
        values["name"] = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem)
    _absolute_paths(values, path)
    _find_own_algorithms(path)
    _default_split(values, shown)
    try:
        experiment = Experiment.model_validate({**values, "path": path.absolute() if path else None})
    except ValidationError as error:
        raise ExperimentError("\n".join(f"{shown}: {line}" for line in explain(error))) from None
    from recsys_lab.experiment.check import mistakes  # it imports the catalogue of algorithms

    found = mistakes(experiment)
    if found:
        raise ExperimentError("\n".join(f"{shown}: {line}" for line in found))
    return experiment


def _apply(values: dict[str, Any], override: str) -> None:
    key_path, equals, text = override.partition("=")
    if not equals or not key_path.strip():
        raise ExperimentError(f"--set {override}: right would be key=value, such as evaluation.primary=ndcg@20")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ExperimentError(f"--set {override}: the value is not readable as YAML: {error}") from None
    *parents, last = key_path.strip().split(".")
    here: Any = values
    for key in parents:
        here = _step(here, key, override)
    if isinstance(here, list):
        here[_index(here, last, override)] = value
    else:
        here[last] = value


def _step(here: Any, key: str, override: str) -> Any:
    if isinstance(here, list):
        found = here[_index(here, key, override)]
    else:
        found = here.get(key)
        if found is None:
            found = here[key] = {}
    if not isinstance(found, (dict, list)):
        raise ExperimentError(f"--set {override}: {key} is the value {found!r}; it has no keys below it")
    return found


def _index(values: list[Any], key: str, override: str) -> int:
    if not key.isdigit() or int(key) >= len(values):
        raise ExperimentError(f"--set {override}: a list of {len(values)} needs a number from 0 on; found {key!r}")
    return int(key)


def _absolute_paths(values: dict[str, Any], path: Path | None) -> None:
    """Data files made absolute: relative to the experiment's file, else to RECSYS_LAB_DATA or the cache."""
    folder = path.absolute().parent if path else Path.cwd()
    dataset = values.get("dataset")
    if not isinstance(dataset, dict):
        return
    for key in PATH_KEYS:
        if not isinstance(dataset.get(key), str):
            continue
        beside = (folder / Path(dataset[key]).expanduser()).resolve()
        if not beside.is_file():
            with suppress(FileNotFoundError):
                beside = find_path(dataset[key]).resolve()
        dataset[key] = str(beside)


def _find_own_algorithms(path: Path | None) -> None:
    """Let "package.module:Class" be found beside the experiment's file; last, so that it hides no other module."""
    folder = str(path.absolute().parent if path else Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


def _default_split(values: dict[str, Any], shown: str) -> None:
    dataset = values.get("dataset")
    if not isinstance(dataset, dict) or not {"train", "test"} & set(dataset):
        return
    if values.get("split") is None:
        values["split"] = {"strategy": "fixed"}
    elif values["split"] not in ("fixed", {"strategy": "fixed"}):
        raise ExperimentError(f"{shown}: split: the data set gives train and test files; leave split out")


# pydantic's messages that speak of Python types, in the words of a YAML file
_RIGHT = {
    "tuple_type": "expected a list, such as [a, b]",
    "dict_type": "expected keys with values below it (key: value)",
    "model_type": "expected keys with values below it (key: value)",
    "model_attributes_type": "expected keys with values below it (key: value)",
    "string_type": "expected text (numbers as text stand in quotes)",
    "string_pattern_mismatch": "expected letters, digits and the signs _ . - only",
}


def explain(error: ValidationError, model: type[BaseModel] | None = None) -> Iterable[str]:
    """One line for each mistake in a file of ``model`` (None: an experiment), in the words of a YAML file."""
    for detail in error.errors(include_url=False):
        tags = {"named", "file", "fixed"}
        shown = ".".join(str(part) for part in detail["loc"] if part not in tags) or "the file"
        if detail["type"] == "extra_forbidden":
            known = _known_keys(detail["loc"][:-1], model or Experiment)
            yield f"{shown}: unknown key{_did_you_mean(str(detail['loc'][-1]), known)}; known: {', '.join(known)}"
        elif detail["type"] == "missing":
            yield f"{shown}: this key is needed"
        elif detail["type"] == "value_error":
            yield f"{shown}: {detail['ctx']['error']}"
        else:
            right = _RIGHT.get(detail["type"], detail["msg"])
            yield f"{shown}: {right}; found {detail['input']!r:.80}"


def _known_keys(parents: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    for part in parents:
        field = model.model_fields.get(str(part))
        nested = field.annotation if field is not None else None
        is_model = isinstance(nested, type) and issubclass(nested, BaseModel)
        model = nested if is_model else _MODEL_OF_KEY.get(str(part), model)  # type: ignore[assignment]
        if part == "families" or part == "baselines":
            model = AlgorithmSpec
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
