"""The ``tuning`` key of an experiment, and ``tune`` of an algorithm: what is searched and with which budget."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from recsys_lab.algorithms.catalogue import Range
from recsys_lab.algorithms.hyper_parameters import did_you_mean
from recsys_lab.experiment.datasets import Strict

SEEDS = (42, 43, 44, 45, 46)  # of the final fits of stochastic models when an experiment with tuning names none
Places = dict[str, Range | tuple[Any, ...] | None]  # hyper-parameter -> where it is searched; None = it is not


class TuningSpec(Strict):
    """The budget of every search of an experiment; see ``recsys_lab.tuning.tune``."""

    n_trials: int = Field(default=50, ge=1)  # for every model, baselines too
    n_random: int | None = Field(default=None, ge=0)  # the first trials, drawn at random; null = 20 %
    n_parallel: int = Field(default=1, ge=1)  # so many trials of one search may run at a time
    timeout_s: float | None = Field(default=None, gt=0)  # of one trial; it counts all the same
    seed: int = Field(default=42, ge=0)  # of the searches; seeds are those of the final fits

    @model_validator(mode="after")
    def _random_trials_fit_in(self) -> TuningSpec:
        if self.n_random is not None and self.n_random > self.n_trials:
            raise ValueError(f"n_random is {self.n_random}, more than the {self.n_trials} trials there are")
        return self


def places(tune: Any) -> Places:
    """What ``tune`` of an algorithm changes of the catalogue's space; {} for true and false.

    Written are a list of values, ``{low: 5, high: 300, log: true}``, or null or false for what is not searched. Raises
    ValueError.
    """
    if isinstance(tune, bool):
        return {}
    if not isinstance(tune, dict):
        raise ValueError(
            f"tune is false (the values as given or by default), or hyper-parameters with the place to search them, "
            f"such as {{n_neighbors: {{low: 5, high: 300, log: true}}, similarity: [cosine, dice]}}; found {tune!r:.80}"
        )
    return {str(name): _place(str(name), where) for name, where in tune.items()}


def _place(name: str, where: Any) -> Range | tuple[Any, ...] | None:
    if where is None or where is False:
        return None
    if isinstance(where, (list, tuple)) and where:
        return tuple(tuple(value) if isinstance(value, list) else value for value in where)
    if not isinstance(where, dict):
        raise ValueError(
            f"tune.{name} is a list of values, {{low: ..., high: ...}}, or null; found {where!r:.80}. "
            "A value that is not to be searched stands beside tune"
        )
    known = ("low", "high", "log")
    for key in where:
        if key not in known:
            raise ValueError(f"tune.{name}.{key}: unknown key{did_you_mean(key, known)}; known: {', '.join(known)}")
    missing = [key for key in ("low", "high") if key not in where]
    if missing:
        raise ValueError(f"tune.{name}.{missing[0]}: this key is needed")
    low, high, log = where["low"], where["high"], where.get("log", False)
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        raise ValueError(f"tune.{name}: low and high are numbers; found {low!r} and {high!r}")
    if not isinstance(log, bool):
        raise ValueError(f"tune.{name}.log is true or false; found {log!r}")
    return Range(low, high, log)
