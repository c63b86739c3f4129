"""Where and by what a run was made: process, commit, package versions, folders."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

PACKAGE_PARENT = Path(__file__).resolve().parents[2]


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
    """Commit and dirty flag of the checkout; "unknown" outside one."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {"git_commit": "unknown", "git_dirty": "unknown"}
    return {"git_commit": commit, "git_dirty": str(bool(_git("status", "--porcelain"))).lower()}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PACKAGE_PARENT, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


@cache
def versions() -> str:
    """Python, platform and every installed package with its version, one a line."""
    packages = {dist.metadata["Name"]: dist.version for dist in metadata.distributions() if dist.metadata["Name"]}
    lines = [f"{name}=={packages[name]}" for name in sorted(packages, key=str.lower)]
    return "\n".join([f"# Python {platform.python_version()} on {platform.platform()}", *lines]) + "\n"


def die_with_parent() -> None:
    """Ask the system to kill this process when its parent dies, so that kill -9 leaves nothing behind (Linux)."""
    if sys.platform != "linux":
        return  # elsewhere the kernel looks for its parent every second by itself
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before the call
        os._exit(1)
