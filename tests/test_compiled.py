"""An edited loop is compiled again, and so is every loop that calls it, in other files too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_lab import compiled

ROOT = Path(__file__).resolve().parents[1]
CHILD = """
import numpy as np
from recsys_lab.algorithms.sequential_kernels import hashes  # which calls a loop of top_k
print(hashes(np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32)).tolist())
"""


def _hashes(folder: Path, child: str, **environ: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", child]
    every = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    every |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environ}
    done = subprocess.run(command, cwd=folder, env=every, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "place", ["in the package", "where NUMBA_CACHE_DIR says", "a package that cannot be written to"]
)
def test_an_edited_loop_changes_the_loops_of_other_files_that_call_it(tmp_path: Path, place: str) -> None:
    package = tmp_path / "recsys_lab"
    shutil.copytree(ROOT / "recsys_lab", package, ignore=shutil.ignore_patterns("__pycache__"))
    environ, child = {"XDG_CACHE_HOME": str(tmp_path / "cache")}, CHILD
    if place.startswith("where"):
        environ["NUMBA_CACHE_DIR"] = str(tmp_path / "named")
    if place.startswith("a package"):
        child = f"import os\nos.access = lambda *given: False\n{CHILD}"  # root may write everywhere
    before = _hashes(tmp_path, child, **environ)
    assert _hashes(tmp_path, child, **environ) == before
    folders = [one for one in tmp_path.rglob(f"{compiled.PREFIX}*") if any(one.rglob("*.nbi"))]
    assert len(folders) == 1
    assert (tmp_path / "cache" in folders[0].parents) == place.startswith("a package")
    file = package / "algorithms" / "top_k.py"
    file.write_text(re.sub(r"np\.uint64\(0x[0-9A-F]+\)", "np.uint64(3)", file.read_text(), count=1))
    after = _hashes(tmp_path, child, **environ)
    assert after != before
    assert after == _hashes(tmp_path, child, **environ, NUMBA_DISABLE_JIT="1")
    kept = [one for one in tmp_path.rglob(f"{compiled.PREFIX}*") if any(one.rglob("*.nbi"))]
    assert len(kept) == (2 if "NUMBA_CACHE_DIR" in environ else 1), "of sources that are no more nothing is kept"


def test_every_loop_of_the_package_is_among_the_sources() -> None:
    loops = [
        file for file in (ROOT / "recsys_lab").rglob("*.py") if re.search(r"^@.*njit", file.read_text(), re.MULTILINE)
    ]
    assert sorted(loops) == list(compiled.sources())
    for file in loops:
        assert "from recsys_lab.compiled import" in file.read_text(), file
        assert not re.search(r"^from numba import .*njit|numba\.njit|cache=True", file.read_text(), re.MULTILINE), file
