"""One virtual environment a peer, made when first asked for from its requirements file."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIME_LIMIT_S = 300


@dataclass(frozen=True)
class Environment:
    """The Python of a peer, or why there is none."""

    python: str | None
    version: str = ""
    missing: str = ""


def environment(peer: str | None, root: Path = HERE) -> Environment:
    """The peer's environment below ``root``/.peers, installed if need be; None is the project's own."""
    if peer is None:
        return Environment(sys.executable)
    wanted = root / "peers" / f"{peer}.txt"
    folder = root / ".peers" / peer
    python, stamp = folder / "bin" / "python", folder / ".installed"
    try:
        if not stamp.is_file() or stamp.read_text() != wanted.read_text():
            print(f"Installing {peer} into its own environment ...", flush=True)
            _run(sys.executable, "-m", "venv", str(folder))
            _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted))
            stamp.write_text(wanted.read_text())
        package = wanted.read_text().split("==")[0].split(">=")[0].strip()
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return Environment(str(python), _run(str(python), "-c", code).strip())
    except (OSError, subprocess.SubprocessError) as failure:
        return Environment(None, missing=_reason(failure))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIME_LIMIT_S, env=os.environ)
    return done.stdout


def _reason(failure: Exception) -> str:
    """The last telling line of what went wrong."""
    text = getattr(failure, "stderr", None) or str(failure)
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return (next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "unknown"))[:200]


if __name__ == "__main__":  # make peers: the named environments, all without names
    for name in sys.argv[1:] or sorted(path.stem for path in (HERE / "peers").glob("*.txt")):
        found = environment(name)
        print(f"{name} {found.version}" if found.python else f"{name}: not installed, {found.missing}")
