"""Where and by what a run was made: process, commit, package versions, folders."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

MOST_DIRTY = 20  # files that are named in a run's tags
PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_WAIT_POLICY")
_NUMERICAL = (
    "recsys_lab", "numpy", "scipy", "pandas", "numba", "scikit-learn", "scikit-surprise", "torch", "implicit",
)  # fmt: skip


def home() -> Path:
    """The folder of outputs/ and, by default, of mlflow.db.

    RECSYS_LAB_HOME, else the folder of the sqlite database in MLFLOW_TRACKING_URI, else the checkout, else the
    working directory.
    """
    if os.environ.get("RECSYS_LAB_HOME"):
        return Path(os.environ["RECSYS_LAB_HOME"]).expanduser().absolute()
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith("sqlite:///"):
        return Path(uri.removeprefix("sqlite:///")).expanduser().absolute().parent
    return PACKAGE_PARENT if (PACKAGE_PARENT / "pyproject.toml").is_file() else Path.cwd()


def process_tags() -> dict[str, str]:
    """What tells this process from every other one, also after a restart with the same number."""
    return {"host": socket.gethostname(), "pid": str(os.getpid()), "pid_started": _started(os.getpid())}


def _started(pid: int) -> str:
    return f"{psutil.Process(pid).create_time():.1f}"


def is_dead(tags: dict[str, str]) -> bool:
    """Whether the process of ``process_tags`` has ended; False when it ran on another machine, as nobody knows."""
    if tags.get("host") != socket.gethostname() or not tags.get("pid", "").isdigit():
        return False
    try:
        process = psutil.Process(int(tags["pid"]))
        started = float(tags.get("pid_started") or "nan")
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - started) > 2.0
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


@cache
def git_tags() -> dict[str, str]:
    """Commit and dirty flag of the checkout, and which files were dirty; "unknown" outside one."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {"git_commit": "unknown", "git_dirty": "unknown"}
    dirty = [line[2:].strip() for line in _git("status", "--porcelain").splitlines()]
    tags = {"git_commit": commit, "git_dirty": str(bool(dirty)).lower()}
    return tags | ({"git_dirty_files": json.dumps(dirty[:MOST_DIRTY])} if dirty else {})


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGE_PARENT, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


@cache
def packages() -> dict[str, str]:
    """Every installed package with its version, by name without case."""
    found = {dist.metadata["Name"]: dist.version for dist in metadata.distributions() if dist.metadata["Name"]}
    return {name: found[name] for name in sorted(found, key=str.lower)}


def facts() -> dict[str, Any]:
    """What can change the last bits of a number: Python, system, processor, threads, BLAS, GPU, the main packages."""
    from threadpoolctl import threadpool_info

    pools = threadpool_info()
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name(0) if torch is not None and torch.cuda.is_available() else None
    chosen = {name: value for name in _THREADS if (value := os.environ.get(name))}
    installed = packages()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "n_cores": psutil.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": chosen | {str(pool["internal_api"]): int(pool["num_threads"]) for pool in pools},
        "blas": sorted({f"{p['internal_api']} {p['version']}" for p in pools if p["user_api"] == "blas"}),
        "gpu": gpu,
        "packages": {name: installed[name] for name in _NUMERICAL if name in installed},
    }


def _processor() -> str:
    """The name of the processor; what ``platform`` says where the system has no better."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def versions() -> str:
    """Python, platform and every installed package with its version, one a line."""
    lines = [f"{name}=={version}" for name, version in packages().items()]
    return "\n".join([f"# Python {platform.python_version()} on {platform.platform()}", *lines]) + "\n"


def die_with_parent() -> None:
    """Ask the system to kill this process when its parent dies, so that kill -9 leaves nothing behind (Linux)."""
    if sys.platform != "linux":
        return  # elsewhere the kernel looks for its parent every second by itself
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before the call
        os._exit(1)
