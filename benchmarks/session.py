"""Contenders in processes of their own that take turns: A B C A B C ..."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np

from benchmarks.peers import HERE
from benchmarks.table import Contender

Measured = dict[str, dict[str, float]]  # phase -> {"s": seconds, "cpu": of all threads, "mb": rise of the peak memory}


class Failed(RuntimeError):
    """A contender could not do the work; the text says why."""


class Runner(Protocol):
    """Does the job once; see ``Process``."""

    def run(self) -> Measured: ...

    def result(self, path: Path) -> dict[str, np.ndarray]: ...

    def close(self) -> None: ...


class Process:
    """A worker process; raises Failed with its traceback's last line."""

    def __init__(self, contender: Contender, python: str, inputs: Path, threads: int) -> None:
        command = [python, str(HERE / "worker.py"), contender.side, contender.job, str(inputs)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=_environment(threads, own=python == sys.executable),
        )  # fmt: skip
        self._answer()

    def run(self) -> Measured:
        """Once; phase -> seconds and megabytes."""
        return self._ask("run")

    def result(self, path: Path) -> dict[str, np.ndarray]:
        """What the last run led to."""
        self._ask(f"result {path}")
        with np.load(path) as stored:
            return dict(stored)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, command: str) -> Any:
        assert self._process.stdin
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        message = json.loads(line) if line else {"error": "the process ended"}
        if "error" in message:
            self.close()
            raise Failed(message["error"].strip().splitlines()[-1][:200])
        return message


def _environment(threads: int, *, own: bool) -> dict[str, str]:
    """Equal threads for both sides, waiting threads asleep; BLAS of a library with threads of its own has the same."""
    names = ("OPENBLAS", "MKL", "OMP", "NUMBA")
    limits = {f"{name}_NUM_THREADS": str(threads) for name in names}
    keep = os.environ if own else {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "BENCH_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    return {**keep, **limits, **quiet}


def take_turns(runners: dict[str, Runner], rounds: int) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Measurements of each runner, the first (cold) round left out, and why some failed."""
    measured: dict[str, list[Measured]] = {label: [] for label in runners}
    failures: dict[str, str] = {}
    for number in range(rounds + 1):
        for label, runner in runners.items():
            if label in failures:
                continue
            try:
                one = runner.run()
            except Failed as failure:
                failures[label] = str(failure)
                continue
            if number:
                measured[label].append(one)
    return {label: found for label, found in measured.items() if label not in failures}, failures


def medians(measured: list[Measured]) -> Measured:
    """Per phase: median and least seconds, median CPU seconds, the greatest memory."""
    summary = {}
    for phase in measured[0]:
        seconds = [one[phase]["s"] for one in measured]
        memory = max(one[phase]["mb"] for one in measured)
        busy = median(one[phase]["cpu"] for one in measured)
        summary[phase] = {"s": median(seconds), "s_min": min(seconds), "cpu": busy, "mb": memory}
    return summary
