"""One notebook execution, in a process of its own; the only file that imports papermill.

``python -m recsys_lab.runner.execute JOB``, JOB being JSON with source, output, parameters, key and result (a path).
The environment (threads, MLflow run) is set by the parent before this process starts, so the kernel inherits it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from recsys_lab.runner.html import to_html
from recsys_lab.tracking.environment import die_with_parent

ATTEMPTS = 3  # a kernel may meet a port that another kernel has just taken


def execute(job: dict[str, Any]) -> dict[str, str]:
    """Run the notebook, write it and its HTML beside each other in one step each; {"status", "error"}.

    A notebook with a failing cell is written too, with papermill's error on top.
    """
    output = Path(job["output"])
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.stem}.{os.getpid()}.ipynb")
    try:
        error = _with_retries(job, partial)
        status = "failed" if error else "finished"
        if partial.is_file():
            notebook = _stamped(partial, job, status)
            _replace(output.with_suffix(".html"), to_html(notebook, output.stem))
            _replace(output, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    finally:
        partial.unlink(missing_ok=True)
    return {"status": status, "error": error}


def _with_retries(job: dict[str, Any], partial: Path) -> str:
    import papermill

    for attempt in range(1, ATTEMPTS + 1):
        try:
            papermill.execute_notebook(
                job["source"],
                str(partial),
                parameters=job["parameters"],
                kernel_name="python3",
                language="python",
                progress_bar=False,
                cwd=job.get("cwd"),
                start_timeout=120,
            )
            return ""
        except papermill.PapermillExecutionError as error:
            return f"cell {error.exec_count}: {error.ename}: {error.evalue}"
        except Exception as error:
            if attempt == ATTEMPTS or not _kernel_did_not_start(error, partial):
                return " ".join(f"{type(error).__name__}: {error}".split())
            time.sleep(attempt)
    raise AssertionError("unreachable")


def _kernel_did_not_start(error: Exception, partial: Path) -> bool:
    """Whether the kernel died before its first cell, as it does when its port is taken."""
    text = str(error)
    if not ("Address already in use" in text or "before replying" in text or "Kernel died" in text):
        return False
    if not partial.is_file():
        return True
    cells = json.loads(partial.read_text(encoding="utf-8"))["cells"]
    return not any(cell.get("execution_count") or cell.get("outputs") for cell in cells)


def _stamped(partial: Path, job: dict[str, Any], status: str) -> dict[str, Any]:
    """The notebook with our key, and without the paths of this machine that papermill writes down."""
    notebook: dict[str, Any] = json.loads(partial.read_text(encoding="utf-8"))
    notebook["metadata"]["recsys_lab"] = {"key": job["key"], "status": status}
    about = notebook["metadata"].get("papermill", {})
    about["input_path"], about["output_path"] = Path(job["source"]).name, Path(job["output"]).name
    return notebook


def _replace(path: Path, text: str) -> None:
    """Write beside ``path`` and move over it: a reader sees the old file or the new one, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main(argument: str) -> int:
    """Execute the job in ``argument`` (JSON) and leave its result in the file the job names."""
    die_with_parent()
    job = json.loads(argument)
    result = execute(job)
    _replace(Path(job["result"]), json.dumps(result))
    return 0 if result["status"] == "finished" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
