"""Is everything as it should be: Python, packages, kernel, data, store, stale runs, unfinished files."""

from __future__ import annotations

import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from recsys_lab import __version__, tracking
from recsys_lab.data.sources import cache_folder, data_folder

PACKAGES = ("numpy", "scipy", "pandas", "numba", "scikit-surprise", "mlflow", "papermill", "ipykernel", "nbconvert")
FREE_GB = 2.0
OLD_S = 3600.0  # an unfinished file that nobody touched for an hour belongs to nobody


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Literal["ok", "note", "fixed", "problem"]
    text: str

    def __str__(self) -> str:
        return f"{self.level:<8} {self.text}"


def examine(*, fix: bool = False) -> list[Finding]:
    """All findings; ``fix`` closes stale runs and removes unfinished files. Creates no database and no folder."""
    return [*_python(), *_packages(), *_kernel(), *_data(), *_store(fix), *_unfinished(fix), *_disk()]


def warm_up() -> str:
    """Fit and evaluate every model of the small built-in experiment once; says how long it took."""
    from recsys_lab.trials import open_family

    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work = open_family("", family=None, log=False)
        work.run(progress=False)
    return f"compiled and cached in {time.monotonic() - start:.0f} s ({len(work.evaluations)} models tried)"


def _python() -> Iterator[Finding]:
    yield Finding("ok", f"recsys_lab {__version__}, Python {'.'.join(map(str, sys.version_info[:3]))}")


def _packages() -> Iterator[Finding]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding("problem", f"not installed: {', '.join(missing)}; run make setup")
    yield Finding("ok", ", ".join(found))


def _kernel() -> Iterator[Finding]:
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:
        yield Finding("problem", f"no Jupyter kernel python3: {error}; run make setup")
        return
    same = not os.path.isabs(command) or Path(command).resolve() == Path(sys.executable).resolve()
    if same:
        yield Finding("ok", "Jupyter kernel python3 is this Python")
    else:
        yield Finding("note", f"another kernel python3 is installed for {command}; the runner takes this Python's own")


def _data() -> Iterator[Finding]:
    try:
        folder = data_folder()
    except OSError as error:
        yield Finding("problem", str(error))
        return
    where = f"RECSYS_LAB_DATA is {folder}" if folder else "RECSYS_LAB_DATA is not set"
    yield Finding("ok", f"{where}; downloads are kept in {cache_folder()}; synthetic-* need neither")


def _store(fix: bool) -> Iterator[Finding]:
    try:
        uri = tracking.tracking_uri()
    except ValueError as error:
        yield Finding("problem", str(error))
        return
    if not tracking.store_exists():
        yield Finding("note", f"{uri} does not exist yet; the first run creates it")
        return
    if (tracking.local_folder() / "mlruns").is_dir():
        yield Finding("note", "a folder mlruns/ of an older MLflow lies beside the database; it is not used")
    try:
        stale = tracking.close_stale_runs() if fix else tracking.stale_runs()
    except Exception as error:
        yield Finding("problem", f"{uri} cannot be read: {error}")
        return
    yield Finding("ok", f"results are in {uri}")
    if stale and fix:
        yield Finding("fixed", f"closed {len(stale)} runs whose process had ended")
    elif stale:
        yield Finding("problem", f"{len(stale)} runs are marked RUNNING but their process has ended; use --fix")


def _unfinished(fix: bool) -> Iterator[Finding]:
    """Files with a leading dot that an execution writes before it renames them."""
    folder = tracking.home() / "outputs"
    now = time.time()
    left = [
        file
        for pattern in (".*.ipynb", ".*.tmp", ".leaderboard.*")
        for file in folder.glob(f"*/{pattern}")
        if now - file.stat().st_mtime > OLD_S
    ]
    if left and fix:
        for file in left:
            file.unlink(missing_ok=True)
        yield Finding("fixed", f"removed {len(left)} unfinished files below {folder}")
    elif left:
        yield Finding("note", f"{len(left)} unfinished files of stopped runs below {folder}; --fix removes them")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(tracking.home() if tracking.home().is_dir() else Path.cwd()).free / 1e9
    level: Literal["ok", "problem"] = "ok" if free > FREE_GB else "problem"
    yield Finding(level, f"{free:.0f} GB free for results")
