"""The logged experiment that a test file names as YAML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_lab import tracking
from recsys_lab.experiment import experiment_from_text
from recsys_lab.tracking import Run
from recsys_lab.trials import open_family


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Run]]]:
    """Finished runs by label; the store stays the current one while a module's tests run."""
    folder: Path = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        for name in ("MLFLOW_RUN_ID", "RECSYS_LAB_NOTEBOOK", "RECSYS_LAB_HOME"):
            patch.delenv(name, raising=False)
        experiment = experiment_from_text(request.module.YAML)
        for seed in (1, 2):
            work = open_family(experiment, family=None, seed=seed, log=True)
            work.run(progress=False)
            assert work.failures == {}
        found: dict[str, list[Run]] = {}
        for run in tracking.find_trials("cards").values():
            found.setdefault(run.tags["label"], []).append(run)
        yield found
