"""What a run of these tests leaves behind: processes, and files beside those that pytest keeps of a failure."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psutil

from tests.service.parts import ROOT

MARK = "RUN_OF_SERVICE_TESTS"  # an environment variable that all that is started here inherits


class Leftovers:
    """Marks what is started and made from now on; ``found`` says what of it is still there."""

    def __init__(self) -> None:
        self.mark = os.environ[MARK] = uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix="recsys_lab_service_"))
        self.folder.chmod(0o755)  # PostgreSQL's user has its folder in it
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.folder)
        self._files = _untracked()

    def found(self, seconds: float = 10.0) -> list[str]:
        """Processes that do not end within ``seconds``, and files."""
        until = time.monotonic() + seconds
        while (processes := self._processes()) and time.monotonic() < until:
            time.sleep(0.2)
        files = sorted(str(path) for path in self.folder.iterdir())
        return processes + files + sorted(_untracked() - self._files)

    def _processes(self) -> list[str]:
        left = []
        for one in psutil.process_iter(["pid", "cmdline", "environ"]):
            marked = (one.info["environ"] or {}).get(MARK) == self.mark
            if marked and one.pid != os.getpid():
                left.append(f"process {one.pid}: {' '.join(one.info['cmdline'] or [])}")
        return left


def _untracked() -> set[str]:
    """Files in the checkout that git does not know, caches left out."""
    command = ["git", "status", "--porcelain", "--ignored", "--untracked-files=normal"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    names = {line[3:] for line in lines if line[:2] in ("??", "!!")}
    return {name for name in names if "cache" not in name}
