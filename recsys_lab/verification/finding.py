"""Which run is meant: an id, the beginning of one, or EXPERIMENT:LABEL."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from recsys_lab import tracking
from recsys_lab.tracking import Run
from recsys_lab.tracking.store import experiments

FINISHED_TRIALS = f"tags.kind = '{tracking.TRIAL}' and attributes.status = 'FINISHED'"


def find_run(text: str) -> Run:
    """The finished run that ``text`` means: a run id, an unambiguous beginning of one, or "EXPERIMENT:LABEL".

    A label stands for its newest run. Raises LookupError when there is none, and ValueError when there are several.
    """
    experiment, colon, label = text.partition(":")
    if colon:
        return _labelled(experiment, label)
    found = [run for name in experiments() for run in tracking.find_runs(name, FINISHED_TRIALS)]
    fits = [run for run in found if text and run.run_id.startswith(text)]
    if not fits:
        raise LookupError(
            f"no finished run begins with {text!r} in {tracking.tracking_uri()} ({len(found)} runs); "
            "name a run id, its beginning, or EXPERIMENT:LABEL"
        )
    if len(fits) > 1:
        raise ValueError(f"{len(fits)} runs begin with {text!r}; name one: {_listed(fits)}")
    return fits[0]


def newest_runs(experiment: str, labels: Iterable[str] | None = None) -> list[Run]:
    """The newest finished run of every label, split, fold and seed of an experiment, oldest first."""
    wanted = None if labels is None else set(labels)
    newest: dict[tuple[str, ...], Run] = {}
    for run in tracking.find_runs(experiment, FINISHED_TRIALS):  # newest first
        if wanted is None or run.tags["label"] in wanted:
            newest.setdefault(tuple(run.tags.get(key, "") for key in ("label", "split", "fold", "seed")), run)
    return sorted(newest.values(), key=lambda run: run.started)


def _labelled(experiment: str, label: str) -> Run:
    known = experiments()
    if experiment not in known:
        raise LookupError(f"MLflow has no experiment {experiment!r}{_near(experiment, known)}")
    runs = newest_runs(experiment)
    fits = [run for run in runs if run.tags["label"] == label]
    if not fits:
        labels = list(dict.fromkeys(run.tags["label"] for run in runs))
        raise LookupError(f"{experiment} has no finished run of {label!r}{_near(label, labels)}")
    if len(fits) > 1:
        raise ValueError(f"{experiment}:{label} has {len(fits)} runs; name one by its id: {_listed(fits)}")
    return fits[0]


def _near(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known) or 'none'}"


def _listed(runs: list[Run]) -> str:
    shown = [
        f"{run.run_id[:12]} ({run.name}, split {run.tags.get('split_strategy') or run.tags.get('split')})"
        for run in runs[:12]
    ]
    return ", ".join(shown) + (", ..." if len(runs) > 12 else "")
