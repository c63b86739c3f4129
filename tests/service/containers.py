"""Images and containers for the tests: built with buildah, run with podman and runc, as deploy/ says.

They lie in a store of their own, which is removed at the end, so that a run meets no image of another and leaves none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.service.parts import DEPLOY, needed

BASE = "localhost/recsys_lab-base:bookworm"
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


@contextmanager
def store(folder: Path) -> Iterator[None]:
    """An empty store of images and containers, gone at the end with all that runs from it."""
    folder.mkdir()
    config = folder / "storage.conf"
    places = f'runroot = "{folder}/run"\ngraphroot = "{folder}/images"'
    config.write_text(f'[storage]\ndriver = "overlay"\n{places}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_STORAGE_CONF", str(config))
        try:
            yield
            left = podman("ps", "--all", "--quiet", "--external").split()
            assert left == [], f"containers are left: {left}"
        finally:
            podman("rm", "--all", "--force", "--time", "0")
            subprocess.run(["buildah", "rm", "--all"], check=False, capture_output=True, timeout=120)
            for place in ("images/overlay", "run"):  # as the drivers have mounted them on themselves
                subprocess.run(["umount", folder / place], check=False, capture_output=True, timeout=60)
            shutil.rmtree(folder)


def podman(*words: str, text: str | None = None) -> str:
    """podman with runc and control groups of files, which need no systemd, and limits that nobody has to raise."""
    command = [needed("podman"), "--cgroup-manager", "cgroupfs", "--runtime", needed("runc"), *words]
    return run(*command, text=text, CONTAINERS_CONF=str(Path(__file__).with_name("containers.conf")))


def inspected(name: str) -> dict[str, Any]:
    """What podman knows of a container."""
    found: dict[str, Any] = json.loads(podman("container", "inspect", name))[0]
    return found


def built(target: str) -> str:
    """The name of the image of a target, built from this checkout on a base made of Debian's packages."""
    if os.geteuid():
        pytest.skip("needs root: the base is made with chroot, and control groups are written")
    for tool in ("buildah", "podman", "runc", "mmdebstrap"):
        needed(tool)
    if subprocess.run(["buildah", "inspect", BASE], capture_output=True).returncode:
        run(str(DEPLOY / "base.sh"), BASE, seconds=600)
    name = f"localhost/recsys_lab-{target}:0.1.0"
    run(str(DEPLOY / "build.sh"), target, name, "--build-arg", f"BASE={BASE}", seconds=1200)
    return name


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
