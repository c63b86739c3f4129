"""Runs that a killed process left open."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_lab.tracking import store
from recsys_lab.tracking.environment import is_dead
from recsys_lab.tracking.store import Run


def stale_runs(experiments: Sequence[str] | None = None) -> list[Run]:
    """Runs still marked RUNNING whose process has ended; of all experiments when none is named."""
    names = store.experiments() if experiments is None else experiments
    running = [run for name in names for run in store.find_runs(name, "attributes.status = 'RUNNING'")]
    return [run for run in running if is_dead(run.tags)]


def close_stale_runs(experiments: Sequence[str] | None = None) -> list[Run]:
    """Mark the runs that ``stale_runs`` finds as KILLED, and return them."""
    stale = stale_runs(experiments)
    for run in stale:
        store.log(run, tags={"closed": "its process had ended without closing the run"})
        store.finish(run, "KILLED")
    return stale
