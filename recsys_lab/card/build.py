"""``build_card``: every field of the evaluation card from a finished trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.card.limitations import limitations
from recsys_lab.card.size import declared_level, n_parameters
from recsys_lab.card.status import status_of
from recsys_lab.comparison.values import MACRO, MICRO, measured_values
from recsys_lab.data.interactions import Interactions
from recsys_lab.metrics.definitions import METRICS
from recsys_lab.significance import mean_interval

if TYPE_CHECKING:
    from recsys_lab.evaluation import Evaluation
    from recsys_lab.experiment import Experiment, Trial
    from recsys_lab.tracking import Outcome

FORMAT = 1
_EPOCHS = ("n_epochs", "max_epochs", "n_iterations")
_KEPT_FROM_TUNING = (
    "metric", "seed", "n_trials", "n_failed", "seconds", "n_users", "validation_hash", "space", "space_hash",
    "best_value", "best_parameters",
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """By what and when a run was made, as far as the card tells it."""

    run_id: str
    created: str  # ISO 8601, UTC
    code: Mapping[str, Any]  # version, commit, dirty, dirty_files
    environment: Mapping[str, Any]  # python, platform, cpu, threads, blas, packages, ...


def build_card(experiment: Experiment, trial: Trial, outcome: Outcome, made: Made) -> dict[str, Any]:
    """The card of one run, plain JSON values (None for what is not known).

    ``comparison`` and the spread over seeds are known when a leaderboard is built: see ``complete_card``.
    """
    evaluation, split = outcome.evaluation, outcome.split
    checks = [_plain(asdict(check)) for check in outcome.checks]
    looks = [check["value"] for check in checks if check["id"] == "L07" and check["value"] is not None]
    card: dict[str, Any] = {
        "format": FORMAT,
        "id": made.run_id,
        "runs": [made.run_id],
        "created": made.created,
        "experiment": {"name": experiment.name, "question": experiment.question},
        "code": dict(made.code),
        "environment": dict(made.environment),
        "data": data_facts(outcome.data, evaluation.dataset_hash),
        "split": _plain(
            {**asdict(split.card), "hash": split.card.fingerprint}, without=("fingerprint", "dataset_hash")
        ),
        "protocol": {"primary": experiment.evaluation.primary, **evaluation.protocol},
        "model": _model(trial, outcome),
        "tuning": _tuning(outcome),
        "results": results(evaluation),
        "counts": {name: _number(value) for name, value in evaluation.summary.items() if not _is_metric(name)},
        "comparison": None,
        "cost": {name: _number(value) for name, value in asdict(evaluation.cost).items()},
        "determinism": {"declared": declared_level(trial.make()), "verified": None},
        "checks": checks,
        "test_looks": int(looks[0]) if looks else None,
        "status": status_of(checks),
    }
    warnings = [*split.card.warnings, *evaluation.warnings]
    card["limitations"] = limitations(card, [str(note) for note in warnings])
    return card


def data_facts(data: Interactions, dataset_hash: str) -> dict[str, Any]:
    """What the card says of the rows; also what ``verify`` compares when the hash is another one."""
    info = data.catalogue.info
    times = data.timestamps
    timed = times is not None and len(data) > 0
    facts = {
        "name": info.get("name") or "unnamed",
        "version": info.get("version") or None,
        "url": info.get("url") or None,
        "licence": info.get("licence") or None,
        "raw_sha256": info.get("raw_sha256") or None,
        "dataset_hash": dataset_hash,
        "counts": {
            "n_rows": len(data),
            "n_users": int(np.count_nonzero(data.user_activity)),
            "n_items": int(np.count_nonzero(data.item_popularity)),
            "n_items_catalogue": data.n_items,
            "n_ratings_distinct": len(np.unique(data.ratings)),
        },
        "rating_sum": float(data.ratings.sum(dtype=np.float64)),
        "time_range": [int(times.min()), int(times.max())] if times is not None and timed else None,
        "filters": list(info.get("filters") or []),
    }
    plain: dict[str, Any] = _plain(facts)
    return plain


def results(evaluation: Evaluation) -> dict[str, Any]:
    """Mean, 95 % interval, n and (not yet known) spread over seeds of every metric; none for a catalogue's."""
    found = {}
    for name, value in evaluation.summary.items():
        if not _is_metric(name):
            continue
        interval, n = None, None
        if name in evaluation.per_user or name in MICRO or name in MACRO:
            interval, n = _interval(evaluation, name)
        found[name] = {"mean": _number(value), "interval": interval, "n": n, "sd_over_seeds": None}
    return found


def _interval(evaluation: Evaluation, name: str) -> tuple[list[float | None] | None, int]:
    if name in MICRO or name in MACRO:
        values = measured_values({evaluation.algorithm: evaluation}, name).values.iloc[:, 0].to_numpy()
    else:
        values = evaluation.per_user[name].dropna().to_numpy(dtype=np.float64)
    if not len(values):
        return None, 0
    found = mean_interval(values)
    return ([_number(found.low), _number(found.high)] if found.method != "none" else None), found.n


def _model(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    algorithm = trial.make()
    curve, parameters = outcome.curve, outcome.evaluation.parameters
    planned = next((parameters[name] for name in _EPOCHS if isinstance(parameters.get(name), int)), None)
    epochs, stop = planned, None if planned is None else "all epochs of the plan"
    if curve is not None and len(curve):
        search, final = (curve[curve["phase"] == phase] for phase in ("search", "final"))
        epochs = int((final if len(final) else search)["epoch"].max())
        if len(search) and planned is not None and int(search["epoch"].max()) < planned:
            stop = f"early stopping in epoch {int(search['epoch'].max())} of {planned}"
    return {
        "name": trial.label,
        "algorithm": trial.algorithm,
        "family": trial.family,
        "class": _class_name(algorithm),
        "parameters": _plain(parameters),
        "hyper_parameters": _origin(trial, outcome),
        "n_parameters": n_parameters(outcome.algorithm),
        "stochastic": trial.stochastic,
        "seeds": [trial.seed] if trial.stochastic else [],
        "epochs": epochs,
        "stop_reason": stop,
    }


def _origin(trial: Trial, outcome: Outcome) -> str:
    """Where the hyper-parameters come from: tuned, fixed in the experiment, or the algorithm's default."""
    if outcome.tuning is not None:
        return "tuned"
    own = set(trial.parameters) - {"random_state"}
    return str(getattr(trial, "origin", "fixed" if own else "default"))


def _tuning(outcome: Outcome) -> dict[str, Any] | None:
    record = outcome.tuning
    if record is None:
        return None
    kept: dict[str, Any] = _plain({name: getattr(record, name) for name in (*_KEPT_FROM_TUNING, "warnings")})
    return kept


def _class_name(algorithm: Algorithm) -> str:
    return f"{type(algorithm).__module__}:{type(algorithm).__qualname__}"


def _is_metric(name: str) -> bool:
    return name.partition("@")[0].partition("[")[0] in METRICS


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _plain(value: Any, without: tuple[str, ...] = ()) -> Any:
    """JSON values: NumPy numbers as numbers, NaN as None, tuples as lists, everything else as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items() if key not in without}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
