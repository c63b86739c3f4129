"""A search as an Optuna study that several processes share and that outlives them; the only file that imports Optuna.

Every trial has a place, 0 ... n_trials - 1. What is tried at a place depends on the seed and on the results at the
places ``n_parallel`` or more before it, and on nothing else: not on the number of processes, nor on interruptions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recsys_lab.algorithms.catalogue import Range
from recsys_lab.algorithms.entries.entry import Space
from recsys_lab.seeds import child_seed
from recsys_lab.tuning.workers import Worker

MAX_DEATHS = 3  # a trial in which so many processes died (out of memory?) counts as failed
DRAWS = 10  # so often another proposal is asked for when one was tried before
# all that decides a proposal and has a default: defaults changed in Optuna 5.0, and with these 4.9 and 5.0 agree
SAMPLER = {"multivariate": False, "group": False, "constant_liar": False, "n_startup_trials": 1, "n_ei_candidates": 24}
POLL_S = 0.05


@dataclass(frozen=True)
class StudyPlan:
    """What makes two studies the same."""

    key: str  # the name of the study
    space: Space
    n_trials: int
    n_random: int
    n_parallel: int  # so many trials may run at a time
    seed: int
    higher_is_better: bool


@dataclass(eq=False)
class Study:
    """Trials of one search, in memory (``file=None``) or in an sqlite file that is shared between processes."""

    plan: StudyPlan
    file: Path | None = None
    _agreed: str = ""  # the version of Optuna that was found to propose as the one under which the search began

    @cached_property
    def worker(self) -> Worker:
        """Who makes claims here; inside ``with study.worker.at_work()`` they count as alive."""
        return Worker(self.file)

    def claim(self) -> Any | None:
        """A trial to run (``.params``), or None when all are done; waits for other workers when their results matter.

        Decode its params with ``decoded``.
        """
        while True:
            with self.worker.lock(self.plan.key):
                self._require_the_same_optuna()
                for trial in self._in_state("RUNNING"):
                    if self.worker.is_dead(str(trial.user_attrs.get("worker", ""))):
                        self._study.tell(trial.number, state=_optuna().trial.TrialState.FAIL)
                kept = self._by_place()
                if len(_done(kept)) == self.plan.n_trials:
                    return None
                if self._in_state("WAITING"):  # its process died as it was about to begin
                    return self._begin()
                place = min(set(range(self.plan.n_trials)) - set(kept), default=None)
                if place is not None and set(range(place - self.plan.n_parallel + 1)) <= set(_done(kept)):
                    params = _proposal(self.plan, self._distributions, place, kept)
                    self._study.enqueue_trial(params, user_attrs={"place": place})
                    return self._begin()
            time.sleep(POLL_S)

    def tell(self, trial: Any, state: str, value: float | None = None, **facts: Any) -> None:
        """Close a trial as "complete" (with its value), "failed" or "timed out", or as "stopped": to be done again."""
        with self.worker.lock(self.plan.key):
            for name, fact in {**facts, "outcome": state}.items():
                trial.set_user_attr(name, fact)
            if state == "complete":
                self._study.tell(trial, value)
            else:
                self._study.tell(trial, state=_optuna().trial.TrialState.FAIL)

    def rows(self) -> list[dict[str, Any]]:
        """The finished trials by place: number, state, value, seconds, message, n_users, parameters."""
        return [_row(place, trial, self.plan.space) for place, trial in sorted(_done(self._by_place()).items())]

    @cached_property
    def _study(self) -> Any:
        optuna = _optuna()
        direction = _direction(self.plan)
        if self.file is None:
            return optuna.create_study(direction=direction)
        with self.worker.lock("store"):  # several processes making one sqlite database at once end in errors
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{self.file}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            return optuna.create_study(
                study_name=self.plan.key, direction=direction, storage=storage, load_if_exists=True
            )

    @cached_property
    def _distributions(self) -> dict[str, Any]:
        return _distributions(self.plan.space)

    def _require_the_same_optuna(self) -> None:
        """RuntimeError where the search began under a version that proposes otherwise; both are named."""
        here = str(_optuna().__version__)
        began = self._study.user_attrs.get("optuna")
        if began is None:
            self._study.set_user_attr("optuna", here)
        elif began != here and self._agreed != here:
            kept = self._by_place()
            for place, trial in _done(kept).items():
                if trial.params != _proposal(self.plan, self._distributions, place, kept):
                    raise RuntimeError(
                        f"search {self.plan.key} began under Optuna {began}; here is {here}, proposing otherwise at "
                        f"place {place}. Go on with Optuna {began}, or begin again: remove {self.file}"
                    )
            self._agreed = here

    def _begin(self) -> Any:
        trial = self._study.ask(self._distributions)
        trial.set_user_attr("worker", self.worker.name)
        return trial

    def _in_state(self, state: str) -> list[Any]:
        return [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.name == state]

    def _by_place(self) -> dict[int, Any]:
        """What counts at each place: a trial that runs or has ended, not one whose process died."""
        found: dict[int, Any] = {}
        deaths: dict[int, int] = {}
        for trial in self._study.get_trials(deepcopy=False):
            place, outcome = trial.user_attrs.get("place"), trial.user_attrs.get("outcome", "")
            died = trial.state.name == "FAIL" and not outcome
            deaths[place] = deaths.get(place, 0) + died
            if outcome != "stopped" and (not died or deaths[place] >= MAX_DEATHS):
                found[place] = trial
        return found

    def _done(self, kept: dict[int, Any]) -> dict[int, Any]:
        return {place: trial for place, trial in kept.items() if trial.state.is_finished()}


def _proposal(plan: StudyPlan, distributions: dict[str, Any], place: int, kept: dict[int, Any]) -> dict[str, Any]:
    """The parameters for a place, from the results at the places at least ``n_parallel`` before it."""
    optuna = _optuna()
    seed = child_seed(plan.seed, f"trial/{place}")
    if place < plan.n_random:
        sampler = optuna.samplers.RandomSampler(seed=seed)
    else:
        sampler = optuna.samplers.TPESampler(seed=seed, **SAMPLER)
    study = optuna.create_study(direction=_direction(plan), sampler=sampler)
    for before in range(max(place - plan.n_parallel + 1, 0)):
        if kept[before].state.name == "COMPLETE":
            past = {"params": kept[before].params, "value": kept[before].value}
            study.add_trial(optuna.trial.create_trial(**past, distributions=distributions))
    tried = [trial.params for trial in study.get_trials(deepcopy=False)]
    for _ in range(DRAWS):
        params: dict[str, Any] = study.ask(distributions).params
        if params not in tried:
            break
    return params


def _distributions(space: Space) -> dict[str, Any]:
    found = _optuna().distributions
    made: dict[str, Any] = {}
    for name, where in space.items():
        if not isinstance(where, Range):
            made[name] = found.CategoricalDistribution(list(_labels(where)))
        elif where.whole:
            made[name] = found.IntDistribution(int(where.low), int(where.high), log=where.log)
        else:
            made[name] = found.FloatDistribution(float(where.low), float(where.high), log=where.log)
    return made


def _direction(plan: StudyPlan) -> str:
    return "maximize" if plan.higher_is_better else "minimize"


def _done(kept: dict[int, Any]) -> dict[int, Any]:
    return {place: trial for place, trial in kept.items() if trial.state.is_finished()}


def decoded(space: Space, params: dict[str, Any]) -> dict[str, Any]:
    """A trial's params as hyper-parameters: what Optuna cannot store, such as (64, 32), is kept under its text."""
    return {
        name: params[name] if isinstance(where, Range) else _labels(where)[params[name]]
        for name, where in space.items()
    }


def _labels(choices: tuple[object, ...]) -> dict[Any, Any]:
    plain = all(isinstance(choice, bool | int | float | str) or choice is None for choice in choices)
    return {choice if plain else str(choice): choice for choice in choices}


def _row(place: int, trial: Any, space: Space) -> dict[str, Any]:
    facts = trial.user_attrs
    return {
        "number": place,
        "state": facts.get("outcome", "failed"),
        "value": trial.value if trial.state.name == "COMPLETE" else float("nan"),
        "seconds": float(facts.get("seconds", 0.0)),
        "message": facts.get("message", "" if "outcome" in facts else f"the process died {MAX_DEATHS} times"),
        "n_users": int(facts.get("n_users", 0)),
        "parameters": decoded(space, trial.params),
    }


def _optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
