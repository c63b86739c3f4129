"""The rehearsal of a new version: it is loaded and tried in a process of its own, which may die, hang or run full.

``python -m recsys_lab.serving.rehearsal FOLDER OWN_MODULES``: exit code 0, or 1 with what is wrong as the last line.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

SECONDS = 120.0  # for loading and the trial
MEMORY = 1 << 30  # bytes beside those of the bundle
TIMES = 8  # bytes in memory for one of the bundle
GONE_FIRST = "1000"  # when memory runs out, the kernel ends this process and not the replica


def rehearse(folder: Path, own_modules: tuple[str, ...], seconds: float = SECONDS) -> None:
    """Raise ValueError unless the bundle in ``folder`` loads and passes its trial within the limits."""
    command = [sys.executable, "-m", "recsys_lab.serving.rehearsal", str(folder), ",".join(own_modules)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"the trial did not end within {seconds:g} s") from None
    if done.returncode < 0:
        raise ValueError(f"the trial's process ended by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        raise ValueError((done.stderr.strip().splitlines() or ["the trial ended without a word"])[-1][:2000])


def main(folder: str, own_modules: str) -> int:
    """Load and try the bundle within bounds on memory and files."""
    from recsys_lab.serving.model_store import Version
    from recsys_lab.serving.models import open_model

    with suppress(OSError):  # not on Linux
        Path("/proc/self/oom_score_adj").write_text(GONE_FIRST)
    n_bytes = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    _bound(resource.RLIMIT_DATA, _data() + MEMORY + TIMES * n_bytes)
    _bound(resource.RLIMIT_CORE, 0)
    try:
        modules = tuple(filter(None, own_modules.split(",")))
        open_model("challenger", Version("rehearsal", "0", "", "", {}), Path(folder), modules)
    except MemoryError:
        print("the model needs more memory than its size allows", file=sys.stderr)
        return 1
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\n", " "), file=sys.stderr)
        return 1
    return 0


def _data() -> int:
    """Bytes of private memory that this process may write; 0 where nobody says."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmData:"):
                return 1024 * int(line.split()[1])
    return 0


def _bound(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # what the model did to this process's heap is nobody's business
