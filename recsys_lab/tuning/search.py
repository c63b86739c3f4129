"""``tune``: hyper-parameters of one algorithm, chosen on the validation part of a split."""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.entries.entry import Space
from recsys_lab.evaluation import evaluate
from recsys_lab.metrics.definitions import lower_is_better, parse_metric
from recsys_lab.seeds import child_seed
from recsys_lab.splits import Split, validation_split
from recsys_lab.tuning.limit import TrialTimeout, time_limit
from recsys_lab.tuning.record import TuningRecord
from recsys_lab.tuning.sealed import SealedTestError, sealed
from recsys_lab.tuning.space import check_space, edge_warnings, in_words, space_of
from recsys_lab.tuning.study import SAMPLER, Study, StudyPlan, decoded

RANDOM_SHARE = 0.2  # of the trials are drawn at random, the first ones


def tune(
    algorithm: str,
    split: Split,
    space: Space | None = None,
    *,
    fixed: Mapping[str, Any] | None = None,
    metric: str = "ndcg@10",
    n_trials: int = 50,
    n_random: int | None = None,
    n_parallel: int = 1,
    seed: int = 42,
    timeout_s: float | None = None,
    protocol: Mapping[str, Any] | None = None,
    storage: str | Path | None = None,
    key: str = "",
    on_trial: Callable[[int, float], None] | None = None,
) -> TuningRecord:
    """Search the hyper-parameters of an algorithm (a name, as for ``make_algorithm``) with ``n_trials`` trials.

    A trial fits on ``split.train`` and is measured by ``metric`` on ``split.validation`` under ``protocol`` (arguments
    of ``evaluate``); the test part is sealed. The first ``n_random`` trials (None: 20 %) are drawn at random, the
    others by Optuna's tree-structured Parzen estimator (Bergstra et al., NIPS 2011). A trial that fails, gives no
    number or takes longer than ``timeout_s`` counts. ``space`` None: the catalogue's; ``fixed`` values are not
    searched. Stochastic algorithms have one seed in all trials.

    ``storage`` (an sqlite file) keeps the trials: the same call goes on after an interruption, and several processes
    that make it share the budget, ``n_parallel`` trials at a time. The result depends on ``seed`` and ``n_parallel``,
    not on the number of processes (with ``timeout_s``: on the machine's speed as well). ``key`` says what else makes
    two searches different, such as a code version. ``on_trial`` is told of every finished trial: its number and the
    best value so far.

    Raises ValueError without a validation part, for an unsound or empty space; RuntimeError when every trial failed.
    """
    fixed = dict(fixed or {})
    space = _searched(algorithm, space, fixed)
    n_random = max(1, round(RANDOM_SHARE * n_trials)) if n_random is None else n_random
    budget = {"n_trials": n_trials, "n_random": n_random, "n_parallel": n_parallel, "seed": seed}
    inner, measured = validation_split(sealed(split)), _only(metric, dict(protocol or {}))
    identity = [algorithm, fixed, metric, timeout_s, measured, inner.card.fingerprint, key]
    study = Study(_plan(algorithm, space, budget, metric, identity), None if storage is None else Path(storage))
    given = {**_seeded(algorithm, fixed, seed), **fixed}
    with study.worker.at_work():
        while (trial := study.claim()) is not None:
            _run(study, trial, algorithm, given, inner, measured, metric, timeout_s)
            if on_trial is not None:
                rows = study.rows()
                on_trial(len(rows), _best(rows, study.plan.higher_is_better)[0])
    facts = {"metric": metric, "algorithm": algorithm, "fixed": fixed, "timeout_s": timeout_s}
    return _record(study, inner.card.fingerprint, facts)


def _searched(algorithm: str, space: Space | None, fixed: Mapping[str, Any]) -> Space:
    space = space_of(algorithm, fixed) if space is None else {k: v for k, v in space.items() if k not in fixed}
    check_space(algorithm, space)
    if not space:
        raise ValueError(f"{algorithm} has nothing to search: no space in the catalogue, or every value is fixed")
    return space


def _plan(algorithm: str, space: Space, budget: Mapping[str, int], metric: str, identity: list[Any]) -> StudyPlan:
    for name, low in (("n_trials", 1), ("n_random", 0), ("n_parallel", 1), ("seed", 0)):
        if budget[name] < low:
            raise ValueError(f"{name} is at least {low}; found {budget[name]}")
    key = f"{algorithm.rpartition(':')[2]}-{_hash([identity, in_words(space), dict(budget), SAMPLER])}"
    return StudyPlan(key, space, **budget, higher_is_better=not lower_is_better(metric))


def _run(
    study: Study,
    trial: Any,
    algorithm: str,
    given: Mapping[str, Any],
    inner: Split,
    protocol: Mapping[str, Any],
    metric: str,
    timeout_s: float | None,
) -> None:
    """One trial, told to the study however it ends."""
    start = time.perf_counter()

    def tell(state: str, value: float | None = None, **facts: Any) -> None:
        study.tell(trial, state, value, seconds=time.perf_counter() - start, **facts)

    try:
        with warnings.catch_warnings(), time_limit(timeout_s):
            warnings.simplefilter("ignore")
            model = make_algorithm(algorithm, **{**given, **decoded(study.plan.space, trial.params)})
            summary = evaluate(model, inner, **protocol).summary
        value = float(summary[metric])
        if not math.isfinite(value):
            raise ValueError(f"{metric} is {value} on the validation part")
        tell("complete", value, n_users=int(summary["n_users"]))
    except TrialTimeout:
        tell("timed out", message=f"longer than {timeout_s:g} s")
    except SealedTestError:
        tell("failed", message="the test part was touched")
        raise
    except Exception as error:  # a failed trial counts, the search goes on
        tell("failed", message=" ".join(f"{type(error).__name__}: {error}".split())[:300])
    except BaseException:  # Ctrl-C: this trial is done again when the search goes on
        tell("stopped")
        raise


def _seeded(algorithm: str, fixed: Mapping[str, Any], seed: int) -> dict[str, Any]:
    seeded = "random_state" in make_algorithm(algorithm, **fixed).get_params(deep=False)
    return {"random_state": child_seed(seed, f"fit/{algorithm}")} if seeded else {}


def _only(metric: str, protocol: dict[str, Any]) -> dict[str, Any]:
    """The protocol that measures the one metric and nothing else."""
    definition, cutoff = parse_metric(metric)
    if protocol.get("task") == "rating" or definition.kind == "rating":
        return {**protocol, "task": "rating"}
    return {**protocol, "metrics": [metric], "cutoffs": [cutoff] if cutoff else protocol.get("cutoffs", [10])}


def _best(rows: list[dict[str, Any]], higher_is_better: bool) -> tuple[float, dict[str, Any]]:
    """The best value and its parameters, the first of equals; NaN and none when every trial failed."""
    done = [row for row in rows if row["state"] == "complete"]
    if not done:
        return float("nan"), {}
    best = (max if higher_is_better else min)(done, key=lambda row: row["value"])
    return float(best["value"]), best["parameters"]


def _record(study: Study, validation_hash: str, facts: dict[str, Any]) -> TuningRecord:
    plan, rows = study.plan, study.rows()
    value, parameters = _best(rows, plan.higher_is_better)
    failed = [row for row in rows if row["state"] != "complete"]
    if len(failed) == len(rows):
        raise RuntimeError(f"all {len(rows)} trials of {facts['algorithm']} failed; the first: {failed[0]['message']}")
    notes = edge_warnings(plan.space, parameters)
    if failed:
        notes.append(f"{len(failed)} of {len(rows)} trials failed; the first: {failed[0]['message']}")
    frame = pd.DataFrame(
        [{key: row[key] for key in ("number", "state", "value", "seconds", "message")} for row in rows]
    )
    frame.insert(3, "best", frame["value"].cummax() if plan.higher_is_better else frame["value"].cummin())
    frame["best"] = frame["best"].ffill()
    for name in plan.space:
        frame[name] = [row["parameters"][name] for row in rows]
    words = in_words(plan.space)
    return TuningRecord(
        **facts,
        seed=plan.seed,
        n_trials=plan.n_trials,
        n_failed=len(failed),
        seconds=float(frame["seconds"].sum()),
        n_users=max(row["n_users"] for row in rows),
        validation_hash=validation_hash,
        space=words,
        space_hash=_hash(words),
        best_value=value,
        best_parameters=parameters,
        trials=frame,
        warnings=tuple(notes),
        n_random=plan.n_random,
    )


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:20]
