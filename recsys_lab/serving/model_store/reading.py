"""Which version is meant, and its bundle: over HTTP by ``rest`` where that is enough, else by MLflow's client."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from recsys_lab.data.folders import replace_folder
from recsys_lab.serving.model_store import client, rest
from recsys_lab.serving.model_store.version import Version, local

ARTIFACTS = "artifacts/bundle"  # where a pyfunc keeps the artifact called "bundle"
LONGEST_DOWNLOAD = 600.0  # seconds that MLflow's client has to fetch a bundle
_DOWNLOAD = "import sys; from recsys_lab.serving.model_store.client import download; download(*sys.argv[1:])"


def version_of(uri: str, name: str, wanted: str) -> Version | None:
    """The version that ``wanted`` means: a number, or an alias. None where there is none.

    Raises an error when the registry cannot be asked.
    """
    ask = rest.version_of if rest.can_read(uri) else client.version_of
    return ask(uri, name, wanted)


def fetch_bundle(uri: str, version: Version, folder: Path) -> Path:
    """The bundle of a version, copied to ``folder`` in one step; ``folder`` itself is returned."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _copy(uri, version.source.rstrip("/"), partial / "bundle")
        replace_folder(partial / "bundle", folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _copy(uri: str, source: str, folder: Path) -> None:
    """The bundle below ``source`` to ``folder``, which does not exist yet."""
    place = local(source)
    if place is not None:
        shutil.copytree(place / ARTIFACTS, folder)
    elif not rest.can_read(uri):
        client.download(uri, f"{source}/{ARTIFACTS}", str(folder))
    elif (path := rest.path_of(source)) is not None:
        rest.fetch(uri, f"{path}/{ARTIFACTS}", folder)
    else:  # s3:, gs:, ...: by MLflow's client, in a process whose memory is given back
        command = [sys.executable, "-c", _DOWNLOAD, uri, f"{source}/{ARTIFACTS}", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_DOWNLOAD, check=False)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise OSError(f"MLflow's client cannot fetch {source}; it says: {said[:500]}")
