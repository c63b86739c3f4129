"""Which version is meant, and its bundle: over HTTP by ``rest`` where that is enough, else by MLflow's client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from recsys_lab.data.folders import replace_folder
from recsys_lab.serving.bundle import MANIFEST, STATE, read_manifest
from recsys_lab.serving.model_store import client, rest
from recsys_lab.serving.model_store.version import Version, local, require_size

ARTIFACTS = "artifacts/bundle"  # where a pyfunc keeps the artifact called "bundle"
MOST_MANIFEST = 2_000_000  # bytes
SLOWEST = 1_000_000  # bytes a second below which a download is given up
LONGEST_DOWNLOAD = 600.0  # seconds that MLflow's client has to fetch a bundle
CLOUDS = ("s3", "gs", "wasbs", "abfss", "hdfs", "dbfs")  # stores whose own credentials MLflow's client uses
_DOWNLOAD = "import sys; from recsys_lab.serving.model_store.client import download; download(*sys.argv[1:])"


def version_of(uri: str, name: str, wanted: str) -> Version | None:
    """The version that ``wanted`` means: a number, or an alias. None where there is none.

    Raises an error when the registry cannot be asked.
    """
    ask = rest.version_of if rest.can_read(uri) else client.version_of
    return ask(uri, name, wanted)


def fetch_bundle(uri: str, version: Version, folder: Path, most: int = sys.maxsize) -> Path:
    """The bundle of a version, copied to ``folder`` in one step; ``folder`` itself is returned.

    The files are those of a bundle, each of the size that the manifest says and ``most`` bytes together, whatever else
    lies beside them; they are on the disk, and for this user only, when it returns. ValueError for a manifest that is
    none, and for a larger bundle.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _copy(uri, version.source.rstrip("/"), partial / "bundle", most)
        _keep(partial / "bundle")
        replace_folder(partial / "bundle", folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _copy(uri: str, source: str, folder: Path, most: int) -> None:
    """The bundle below ``source`` to ``folder``, which does not exist yet."""
    place = local(source)
    if place is None:
        _require_known(uri, source)
    if place is None and not rest.can_read(uri):
        client.download(uri, f"{source}/{ARTIFACTS}", str(folder), most)
    elif place is None and rest.path_of(source) is None:  # s3:, gs:, ...: in a process whose memory is given back
        command = [sys.executable, "-c", _DOWNLOAD, uri, f"{source}/{ARTIFACTS}", str(folder), str(most)]
        environ = dict(os.environ)
        if urlsplit(source).scheme in CLOUDS:  # the password of the registry is nothing to them
            environ = {name: value for name, value in environ.items() if not name.startswith("MLFLOW_TRACKING_")}
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=LONGEST_DOWNLOAD, check=False
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise OSError(f"MLflow's client cannot fetch {source}; it says: {said[:500]}")
    else:
        (folder / STATE).mkdir(parents=True)
        _copy_files(uri, source, place, folder, most)


def _require_known(uri: str, source: str) -> None:
    """ValueError for a source that would send this replica, and its password, to a host that a version names."""
    parts = urlsplit(source)
    own = parts.scheme == "mlflow-artifacts" and parts.netloc in ("", urlsplit(uri).netloc)
    if parts.scheme not in CLOUDS and not own:
        expected = f"mlflow-artifacts:/path of the registry's own server, or one of {', '.join(CLOUDS)}"
        raise ValueError(f"the version lies at {source[:100]!r}, expected {expected}")


def _copy_files(uri: str, source: str, place: Path | None, folder: Path, most: int) -> None:
    """The manifest, and the files that it names, from a folder of this machine or over HTTP."""
    path = f"{rest.path_of(source)}/{ARTIFACTS}"
    if place is None:
        text = rest.read(uri, f"{path}/{MANIFEST}", MOST_MANIFEST)
    else:
        text = (place / ARTIFACTS / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(text)
    files = {name: int(one["bytes"]) for name, one in read_manifest(text, source)["files"].items()}
    require_size(source, sum(files.values()), most)
    for name, n_bytes in files.items():
        if place is None:
            rest.fetch(uri, f"{path}/{STATE}/{name}", folder / STATE / name, n_bytes, rest.LOOK + n_bytes / SLOWEST)
        else:
            shutil.copyfile(place / ARTIFACTS / STATE / name, folder / STATE / name)


def _keep(folder: Path) -> None:
    """Let the files outlive a loss of power, and nobody else read them: they hold who has what."""
    for place in (*folder.rglob("*"), folder):
        place.chmod(0o700 if place.is_dir() else 0o600)
        opened = os.open(place, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
