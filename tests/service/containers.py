"""Images and containers for the tests: built with buildah, run with podman and runc, as deploy/ says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.service.parts import DEPLOY, needed

BASE = "localhost/recsys_lab-base:bookworm"
IMAGE = "localhost/recsys_lab-api:0.1.0"
HARDENED = [
    *("--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--tmpfs", "/tmp:size=64m,mode=1777"),
]


def run(*command: str, text: str | None = None, seconds: float = 120, **environ: str) -> str:
    """What a command says on standard output; the test fails with all it says when it fails."""
    every = {**os.environ, **environ}
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, env=every)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def podman(*words: str, text: str | None = None) -> str:
    """podman with runc and control groups of files, which need no systemd, and limits that nobody has to raise."""
    command = [needed("podman"), "--cgroup-manager", "cgroupfs", "--runtime", needed("runc"), *words]
    return run(*command, text=text, CONTAINERS_CONF=str(Path(__file__).with_name("containers.conf")))


def inspected(name: str) -> dict[str, Any]:
    """What podman knows of a container."""
    found: dict[str, Any] = json.loads(podman("container", "inspect", name))[0]
    return found


def built() -> str:
    """The name of the image, built from this checkout; what has not changed comes from the layers of the last time."""
    if os.geteuid():
        pytest.skip("needs root: the base is made with chroot, and control groups are written")
    for tool in ("buildah", "podman", "runc"):
        needed(tool)
    if subprocess.run(["buildah", "inspect", BASE], capture_output=True).returncode:
        needed("mmdebstrap")
        run(str(DEPLOY / "base.sh"), BASE, seconds=1800)
    run(str(DEPLOY / "build.sh"), "api", IMAGE, "--build-arg", f"BASE={BASE}", seconds=3000)
    return IMAGE


def secrets(folder: Path, values: dict[str, str]) -> Path:
    """A folder with a file for each secret, which the user of the container can read."""
    folder.mkdir()
    for name, value in values.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o444)
    return folder


def replace_once(text: str, old: str, new: str) -> str:
    """``text`` with ``new`` for ``old``, which must be there exactly once."""
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)
