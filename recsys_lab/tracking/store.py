"""MLflow, and the only file that imports it (when it is first needed: it costs seconds): store, runs, artifacts.

Runs are written with explicit ids, so MLFLOW_RUN_ID of a surrounding ``mlflow run`` never redirects them.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from filelock import FileLock

from recsys_lab.tracking.environment import home, process_tags

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOG_UV_FILES": "false"}


@dataclass(frozen=True)
class Run:
    """A run as it is stored."""

    run_id: str
    experiment_id: str
    name: str
    status: str  # RUNNING, FINISHED, FAILED, KILLED
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    artifact_uri: str
    started: float  # Unix seconds


def tracking_uri() -> str:
    """Where runs go, always absolute: MLFLOW_TRACKING_URI, else mlflow.db in the project's folder."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        return f"sqlite:///{home() / 'mlflow.db'}"
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).expanduser().absolute()}"
    if "://" in uri or uri.startswith("databricks"):
        return uri
    raise ValueError(
        f"MLFLOW_TRACKING_URI is {uri!r}; right would be sqlite:///path/mlflow.db or http://host:5000 "
        "(MLflow no longer writes to plain folders)"
    )


def local_folder() -> Path:
    """The folder of the database; the project's folder when runs go to a server."""
    uri = tracking_uri()
    return Path(uri.removeprefix("sqlite:///")).parent if uri.startswith("sqlite:///") else home()


def lock(name: str, timeout: float = -1) -> FileLock:
    """A lock shared by all processes of this machine that use this store; the system frees it when one dies."""
    uri = tracking_uri()
    base = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else home() / "mlflow.db"
    folder = base.with_name(f"{base.name}.locks")
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock", timeout=timeout)


def store_exists() -> bool:
    """Whether there is something to read, so that looking does not create a database."""
    uri = tracking_uri()
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).is_file()


@cache
def _client(uri: str) -> Any:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for noisy in ("mlflow.store.db.utils", "alembic"):  # "Creating initial MLflow database tables..." says nothing new
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if uri.startswith("sqlite:///"):
        with lock("store"):  # several processes making or migrating one sqlite database at once end in errors
            _make_database(Path(uri.removeprefix("sqlite:///")))
            opened = MlflowClient(tracking_uri=uri)
            opened.search_experiments(max_results=1)  # migrates the database of an older MLflow
            return opened
    return MlflowClient(tracking_uri=uri)


def _make_database(file: Path) -> None:
    """Make the database beside its place and move it there whole: a kill in between leaves no half of one."""
    if file.is_file():
        return
    from mlflow import MlflowClient

    partial = file.with_name(f"{file.name}.{os.getpid()}.new")
    partial.unlink(missing_ok=True)
    fresh = MlflowClient(tracking_uri=f"sqlite:///{partial}")
    fresh.search_experiments(max_results=1)
    with suppress(AttributeError):
        fresh._tracking_client.store.engine.dispose()  # close its connections before the file moves
    partial.replace(file)


def client() -> Any:
    """The MLflow client of ``tracking_uri()``; makes the database if there is none, so ask ``store_exists`` first."""
    return _client(tracking_uri())


def init_store(experiment: str) -> str:
    """Create the database and the experiment if they are missing, one process at a time; the experiment's id."""
    return _init_store(tracking_uri(), experiment)


@cache
def _init_store(uri: str, experiment: str) -> str:
    opened = _client(uri)
    with lock("store"):
        found = opened.get_experiment_by_name(experiment)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                opened.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        location = local_folder() / "mlartifacts" / experiment if uri.startswith("sqlite:///") else None
        tags = {"mlflow.experimentKind": "custom_model_development"}  # open on runs, not on traces
        return str(opened.create_experiment(experiment, artifact_location=location and location.as_uri(), tags=tags))


def experiment_id(experiment: str) -> str | None:
    """The id of an experiment, or None; creates nothing."""
    found = client().get_experiment_by_name(experiment) if store_exists() else None
    return None if found is None else str(found.experiment_id)


def describe_experiment(experiment: str, markdown: str) -> None:
    """The text that stands above an experiment's runs."""
    client().set_experiment_tag(init_store(experiment), "mlflow.note.content", markdown[:5000])


def experiments() -> list[str]:
    """The names of all experiments in the store; creates nothing."""
    return [str(found.name) for found in client().search_experiments()] if store_exists() else []


def start_run(experiment: str, name: str, tags: Mapping[str, str]) -> Run:
    """A new RUNNING run, tagged with this process so that it can be closed if the process dies."""
    run = client().create_run(init_store(experiment), run_name=name, tags={**process_tags(), **tags})
    return _as_run(run)


def log(
    run: Run,
    *,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Everything in one batch: one call costs what one metric costs."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    client().log_batch(
        run.run_id,
        metrics=[Metric(key, float(value), now, 0) for key, value in (metrics or {}).items()],
        params=[Param(key, str(value)[:6000]) for key, value in (params or {}).items()],
        tags=[RunTag(key, str(value)[:5000]) for key, value in (tags or {}).items()],
    )


def log_dataset(run: Run, *, name: str, digest: str, source: str, profile: str, context: str) -> None:
    """The data as an input with OUR digest: MLflow's own looks at the first 10,000 rows only."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(name=name, digest=digest[:36], source_type="code", source=source, profile=profile)
    tags = [InputTag(key="mlflow.data.context", value=context)]
    client().log_inputs(run.run_id, datasets=[DatasetInput(dataset=dataset, tags=tags)])


def log_files(run: Run, folder: Path, into: str | None = None) -> None:
    """All files of ``folder`` as artifacts, under the folder ``into`` of the run."""
    client().log_artifacts(run.run_id, str(folder), into)


def log_file(run: Run, file: Path, into: str | None = None) -> None:
    """One file as an artifact, under the folder ``into`` of the run."""
    client().log_artifact(run.run_id, str(file), into)


def log_text(run: Run, text: str, name: str) -> None:
    """A text as the artifact ``name``."""
    client().log_text(run.run_id, text, name)


def finish(run: Run, status: str) -> None:
    """Close a run as FINISHED, FAILED or KILLED."""
    client().set_terminated(run.run_id, status=status)


def find_runs(experiment: str, condition: str = "") -> list[Run]:
    """The runs of an experiment ("": of all), newest first; ``condition`` in MLflow's language. Creates nothing."""
    found = [experiment_id(experiment)] if experiment else [one.experiment_id for one in client().search_experiments()]
    if None in found:
        return []
    runs: list[Run] = []
    token = None
    while True:
        pages = client().search_runs(
            found, condition, max_results=1000, order_by=["attributes.start_time DESC"], page_token=token
        )
        runs.extend(_as_run(run) for run in pages)
        token = pages.token
        if not token:
            return runs


def files_of(run: Run, path: str) -> Path:
    """A local folder or file of a run's artifact; fetched when the store is elsewhere. FileNotFoundError when gone."""
    uri = run.artifact_uri
    if uri.startswith("file://") or "://" not in uri:
        written = Path(url2pathname(urlparse(uri).path) if uri.startswith("file://") else uri)
        beside = local_folder().joinpath("mlartifacts", *written.parts[-3:])  # the folder was moved with its database
        for place in (written / path, beside / path):
            if place.exists():
                return place
        raise FileNotFoundError(f"{written / path}: the artifact of run {run.name!r} is gone")
    from mlflow.artifacts import download_artifacts

    target = tempfile.mkdtemp(prefix="recsys_lab_")
    return Path(download_artifacts(run_id=run.run_id, artifact_path=path, dst_path=target, tracking_uri=tracking_uri()))


def _as_run(run: Any) -> Run:
    info = run.info
    return Run(
        run_id=info.run_id,
        experiment_id=str(info.experiment_id),
        name=info.run_name or "",
        status=info.status,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
        artifact_uri=str(info.artifact_uri),
        started=info.start_time / 1000,
    )
