"""MLflow's registry through its own client: all that is written, and what ``rest`` cannot read."""

from __future__ import annotations

import logging
import os
import tempfile
import uuid
import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from recsys_lab.serving.model_store.version import Version, local, require_size

_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOG_UV_FILES": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@cache
def _client(uri: str) -> Any:
    for name, value in _BOUNDS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for noisy in ("mlflow.store.db.utils", "mlflow.utils.uv_utils", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def version_of(uri: str, name: str, wanted: str) -> Version | None:
    """The version that ``wanted`` means: a number, or an alias. None where there is none.

    Raises MLflow's exception when the registry cannot be asked.
    """
    from mlflow.exceptions import MlflowException

    client = _client(uri)
    try:
        found = (
            client.get_model_version(name, wanted)
            if wanted.isdigit()
            else client.get_model_version_by_alias(name, wanted)
        )
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return _as_version(found)


def _as_version(found: Any) -> Version:
    return Version(found.name, str(found.version), found.run_id or "", str(found.source), dict(found.tags or {}))


def download(uri: str, source: str, folder: str, most: int | str) -> None:
    """The bundle at ``source`` as ``folder``, which does not exist yet; the folder around it is there.

    ValueError where its files have more than ``most`` bytes.
    """
    from mlflow.artifacts import download_artifacts, list_artifacts

    _client(uri)
    listed = [one for below in ("", "/state") for one in list_artifacts(artifact_uri=source + below, tracking_uri=uri)]
    require_size(source, sum(one.file_size or 0 for one in listed), int(most))
    target = Path(folder)
    with tempfile.TemporaryDirectory(prefix=".download.", dir=target.parent) as partial:
        found = Path(download_artifacts(artifact_uri=source, dst_path=partial, tracking_uri=uri))
        require_size(source, sum(one.stat().st_size for one in found.rglob("*") if one.is_file()), int(most))
        found.rename(target)


def log_version(
    uri: str, name: str, bundle: Path, *, run_id: str, tags: Mapping[str, str], own_modules: tuple[str, ...] = ()
) -> Version:
    """Log ``bundle`` as a pyfunc among the run's artifacts and register it under ``name``; no alias is moved."""
    client = _client(uri)
    with tempfile.TemporaryDirectory(prefix="recsys_lab_") as folder:
        save_pyfunc(Path(folder) / "model", bundle, own_modules)
        place = f"model-{uuid.uuid4().hex[:8]}"  # a run may be promoted more than once
        client.log_artifacts(run_id, str(Path(folder) / "model"), place)
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # it is there already
        client.create_registered_model(
            name, description="Promoted by recsys-lab promote; serve it with recsys-lab serve."
        )
    run = client.get_run(run_id)
    source = f"{run.info.artifact_uri.rstrip('/')}/{place}"
    return _as_version(client.create_model_version(name, source, run_id=run_id, tags=dict(tags)))


def save_pyfunc(folder: Path, bundle: Path, own_modules: tuple[str, ...]) -> None:
    """Write a pyfunc to ``folder``. ``bundle`` must be a folder called "bundle": MLflow keeps the name."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    listed = {"user_id": "string", "rank": "long", "item_id": "string", "score": "double", "source": "string"}
    signature = ModelSignature(
        Schema([ColSpec("string", "user_id")]),
        Schema([ColSpec(kind, name) for name, kind in listed.items()]),
        ParamSchema([ParamSpec("k", "long", 10), ParamSpec("exclude_seen", "boolean", True)]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for an example of the input, which the signature says already
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(Path(__file__).parents[1] / "pyfunc.py"),
            artifacts={"bundle": str(bundle)},
            model_config={"own_modules": list(own_modules)},
            signature=signature,
            pip_requirements=["recsys_lab"],
        )


def load_pyfunc(uri: str, version: Version) -> Any:
    """The version as MLflow serves it, loaded from where it is stored."""
    import mlflow.pyfunc

    _client(uri)
    source = local(version.source)
    if source is not None:
        return mlflow.pyfunc.load_model(str(source))
    from mlflow.artifacts import download_artifacts

    folder = download_artifacts(artifact_uri=version.source, tracking_uri=uri)
    return mlflow.pyfunc.load_model(folder)


def set_alias(uri: str, name: str, alias: str, number: str) -> None:
    """Move ``alias`` to a version and remember on that version which one had it before, for the way back."""
    client = _client(uri)
    before = version_of(uri, name, alias)
    if before is not None and before.number != number:
        client.set_model_version_tag(name, number, f"before_{alias}", before.number)
    client.set_registered_model_alias(name, alias, number)


def move_back(uri: str, name: str, alias: str, number: str) -> None:
    """Move ``alias`` to an earlier version, without changing what that version says came before it."""
    _client(uri).set_registered_model_alias(name, alias, number)
