"""A process that holds one contender: ``python benchmarks/worker.py SIDE JOB FOLDER``, commands on standard input.

"run" does the job once and answers {phase: {"s": seconds, "cpu": seconds of all threads, "mb": rise of the peak
memory}}; "result PATH" writes what the job led to; anything that fails is answered as {"error": text}. The process
waits between commands and costs nothing then, so that contenders take turns, each warm.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main(arguments: list[str]) -> None:
    """Answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    side, job_name, folder = arguments
    try:
        from benchmarks.inputs import Inputs

        job = importlib.import_module(f"benchmarks.sides.{side}").JOBS[job_name](Inputs(Path(folder)))
    except Exception:
        _answer(answers, {"error": traceback.format_exc()})
        return
    _answer(answers, {"ready": True})
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        try:
            if command == "run":
                _answer(answers, run_once(job.phases))
            else:
                np.savez(path, **job.result())
                _answer(answers, {"written": path})
        except Exception:
            _answer(answers, {"error": traceback.format_exc()})


def run_once(phases: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Seconds, CPU seconds and rise of the peak memory of each phase; a phase may return numbers of its own."""
    measured = {}
    for name, phase in phases.items():
        gc.collect()
        before = reset_peak()
        busy, start = time.process_time(), time.perf_counter()
        own = phase()
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        measured[name] = {"s": seconds, "cpu": busy, "mb": max(0.0, peak_mb("VmHWM") - before)}
        if isinstance(own, dict):
            measured[name] |= {"cpu": float("nan"), **own}
    return measured


def reset_peak() -> float:
    """Hand free memory back and make what is resident the peak, where the system lets us; returns it in MB."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return peak_mb("VmHWM")
    return peak_mb("VmRSS")


def peak_mb(field: str) -> float:
    """A size in /proc/self/status in MB (2**20 bytes); NaN where there is no such file."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(field + ":"))


def _answer(stream: TextIO, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
