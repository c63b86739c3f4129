"""A limit of time around one trial."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TrialTimeout(BaseException):
    """A trial took too long. No Exception, so that an algorithm that survives its own errors does not swallow it."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TrialTimeout when the block takes longer than ``seconds`` (None: never).

    In the main thread of a Unix process an alarm stops Python code at once; a compiled loop is left to end first.
    Elsewhere, and if the alarm came too late to be heard, the block ends before its time is checked.
    """
    if seconds is None:
        yield
        return
    start = time.perf_counter()
    alarmed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if alarmed:
        before = signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        if alarmed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    if time.perf_counter() - start > seconds:
        raise TrialTimeout


def _ring(number: int, frame: FrameType | None) -> None:
    raise TrialTimeout
