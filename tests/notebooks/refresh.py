"""Run notebooks and store the outputs of their checked cells, and nothing else.

With --check nothing is written; the exit code is 1 when a file would change.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
MARK = "NBVAL_CHECK_OUTPUT"


def refreshed(path: Path) -> str:
    """The notebook's text with new outputs in the checked cells and none elsewhere."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
        if cell.cell_type == "code" and MARK not in cell.source:  # nbval needs the counts of checked cells
            cell.execution_count, cell.outputs = None, []
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return nbformat.writes(notebook) + "\n"


def main() -> int:
    """Refresh the given notebooks, or all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    changed = False
    os.environ.setdefault("PYTHONWARNINGS", "default")
    for path in arguments.files or sorted((ROOT / "notebooks").glob("*.ipynb")):
        started = time.perf_counter()
        before, after = path.read_text(encoding="utf-8"), refreshed(path)
        if before != after:
            changed = True
            if not arguments.check:
                path.write_text(after, encoding="utf-8")
        print(f"{path.name}: {'changed' if before != after else 'as before'}, {time.perf_counter() - started:.1f} s")
    return int(changed and arguments.check)


if __name__ == "__main__":
    sys.exit(main())
