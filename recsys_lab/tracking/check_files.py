"""The checks of a trial in MLflow: an artifact, a tag, and the count of looks at a test part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from recsys_lab.checks import Check
from recsys_lab.evaluation import Evaluation
from recsys_lab.tracking import store
from recsys_lab.tracking.store import Run

CHECKS = "checks.json"  # artifact
_NO_CHOICE = ("algorithm", "dataset", "split", "fold", "seed", "licence", "source", "random_state")


def write_checks(folder: Path, checks: Sequence[Check]) -> None:
    """Write the artifact into ``folder``."""
    text = json.dumps([asdict(check) for check in checks], indent=1, ensure_ascii=False)
    (folder / CHECKS).write_text(text + "\n", encoding="utf-8")


def load_checks(run: Run) -> tuple[Check, ...]:
    """The checks of a finished trial; none where it was recorded without, or the artifact is gone."""
    if not run.tags.get("checks"):
        return ()
    try:
        text = store.files_of(run, CHECKS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return tuple(Check(**row) for row in json.loads(text))


def count_looks(algorithm: str, evaluation: Evaluation) -> int:
    """Configurations of ``algorithm`` that any experiment of the store measured on this test part, this one included.

    Seeds are no configurations of their own.
    """
    condition = f"tags.algorithm = '{algorithm}' and tags.split_hash = '{evaluation.split_hash}'"
    runs = store.find_runs("", f"{condition} and attributes.status = 'FINISHED'")
    seen = {_configuration(run.params) for run in runs}
    return len(seen | {_configuration({key: str(value) for key, value in evaluation.parameters.items()})})


def _configuration(params: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in params.items() if key not in _NO_CHOICE))
