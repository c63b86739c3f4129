"""What a model costs: seconds to fit, milliseconds a user, the rise of memory."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Self

import psutil

MEGABYTE = 1024.0**2
SAMPLE_EVERY_S = 0.01


@dataclass(frozen=True)
class Cost:
    """NaN stands for what was not measured (fit_s of a model that came fitted)."""

    fit_s: float  # wall clock of fit
    ms_per_user: float  # wall clock of ranking (or predicting) / users asked for
    peak_rss_mb: float  # highest resident memory during both, less that before; in 2**20 bytes


class PeakMemory:
    """Measures the rise of the process's resident memory inside a ``with`` block, in ``rise_mb``.

    A thread samples it every 10 ms. Where the block sets a new high of the whole process, the operating system's own
    peak (``ru_maxrss``) is used beside the samples, so that a short spike inside compiled code is not missed.
    """

    rise_mb: float = float("nan")

    def __enter__(self) -> Self:
        self._process = psutil.Process()
        self._start = self._highest = self._process.memory_info().rss
        self._peak_before = _process_peak()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()
        peak = _process_peak()
        if peak > self._peak_before:
            self._highest = max(self._highest, peak)
        self.rise_mb = (self._highest - self._start) / MEGABYTE

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            self._sample()

    def _sample(self) -> None:
        self._highest = max(self._highest, self._process.memory_info().rss)


def _process_peak() -> int:
    """Highest resident memory of this process so far, in bytes; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
