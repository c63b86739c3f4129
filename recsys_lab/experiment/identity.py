"""What makes two trials the same: hashes of data, code and specification."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from recsys_lab import __version__
from recsys_lab.experiment.datasets import PATH_KEYS, NamedDataset
from recsys_lab.experiment.models import Experiment

PACKAGE = Path(__file__).resolve().parents[1]
# files that can change a number; a new plot or command line does not redo a trial
_NUMBERS = ("seeds", "data", "metrics", "splits", "algorithms", "evaluation", "significance")


def hash_of(value: Any, length: int = 20) -> str:
    """The first ``length`` hex digits of the sha256 of a value's canonical JSON (keys sorted, paths as text)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def code_version() -> str:
    """Package version and a hash of the source files that can change a number."""
    return f"{__version__}+{_digest_of(_NUMBERS)}"


@cache
def _digest_of(parts: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        files = [PACKAGE / f"{part}.py", *sorted((PACKAGE / part).rglob("*.py"))]
        for file in files:
            if file.is_file():
                digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def own_source(algorithm: type) -> str:
    """A hash of the file of an algorithm that is not ours, so that editing it makes new trials; "" for ours."""
    module = sys.modules.get(algorithm.__module__)
    file = getattr(module, "__file__", None)
    if algorithm.__module__.startswith("recsys_lab.") or not file:
        return ""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:20]


def data_identity(experiment: Experiment) -> dict[str, Any]:
    """What decides the rows: name and filters, or the contents of the files and how they are read."""
    dataset = experiment.dataset
    if isinstance(dataset, NamedDataset):
        return dataset.model_dump(mode="json")
    spec = dataset.model_dump(mode="json", exclude={"name", "licence", "source", "content"})
    for key in PATH_KEYS:
        if spec.get(key):
            spec[key] = _hash_of_file(Path(spec[key]))
    return spec


def _hash_of_file(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. Paths in dataset are relative to the experiment's file, "
            "or to the folder named by RECSYS_LAB_DATA"
        )
    return _hash_of_contents(path, path.stat().st_mtime_ns, path.stat().st_size)


@cache
def _hash_of_contents(path: Path, modified: int, size: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def protocol_identity(experiment: Experiment) -> dict[str, Any]:
    """What decides how a model is measured. The primary metric is a matter of reading, not of measuring."""
    return experiment.evaluation.model_dump(mode="json", exclude={"primary"})


def tuning_identity(experiment: Experiment) -> dict[str, Any]:
    """What decides the outcome of a search: budget, seed, metric and the code of the search; {} without tuning."""
    if experiment.tuning is None:
        return {}
    metric = {"metric": experiment.evaluation.primary, "code": _digest_of(("tuning",))}
    return {**experiment.tuning.model_dump(mode="json"), **metric}


def sweep_id(experiment: Experiment) -> str:
    """The same for all trials of an experiment that can stand in one table, before and after adding an algorithm."""
    spec = [data_identity(experiment), protocol_identity(experiment), code_version()]
    return f"{experiment.name}-{hash_of(spec, 8)}"
