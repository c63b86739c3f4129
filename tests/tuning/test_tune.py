"""Searches: budget, determinism, interruptions, workers, failures, the sealed test part."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE, Range
from recsys_lab.algorithms.entries.entry import Space
from recsys_lab.data.datasets import load_dataset
from recsys_lab.evaluation import evaluate
from recsys_lab.splits import Split, split, validation_split
from recsys_lab.tuning import SealedTest, SealedTestError, TuningRecord, check_space, sealed, space_of, study, tune
from recsys_lab.tuning.study import StudyPlan

OWN = f"{__name__}:Knob"


@dataclass(kw_only=True, eq=False)
class Knob(Algorithm):
    """Popularity that is turned round when ``turn`` is below a half, and that fails, waits or dies when told so."""

    turn: float = 1.0
    n_factors: int = 1
    mood: str = "good"
    folder: str = ""  # one file a fit

    def fit(self, train: Any) -> Knob:
        if self.folder:
            (Path(self.folder) / f"{time.monotonic_ns()}-{os.getpid()}").touch()
        if self.mood == "bad":
            raise ValueError("in a bad mood")
        if self.mood == "slow":
            time.sleep(30)
        if self.mood == "deadly" and len(list(Path(self.folder).iterdir())) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mood == "shared":
            time.sleep(0.05)
        self.popularity_ = train.item_popularity.astype(np.float32) * (1 if self.turn >= 0.5 else -1)
        return self

    def score(self, users: Any, histories: Any) -> Any:
        return np.tile(self.popularity_, (len(users), 1))


SPACE = {"turn": Range(0.0, 1.0), "n_factors": Range(1, 100, log=True)}


@pytest.fixture(scope="module")
def parts() -> Split:
    return split(load_dataset("synthetic-small"), "temporal_user", test=0.2, validation=0.2)


def values(record: TuningRecord) -> Any:
    return record.trials.drop(columns="seconds")


def test_the_best_of_the_validation_part_is_found(parts: Split) -> None:
    told: list[tuple[int, float]] = []
    record = tune(OWN, parts, SPACE, n_trials=6, on_trial=lambda *seen: told.append(seen))
    assert (record.n_trials, record.n_failed, record.n_random, len(record.trials)) == (6, 0, 1, 6)
    assert record.best_value == record.trials["value"].max() == record.trials["best"].iloc[-1]
    assert record.trials["best"].is_monotonic_increasing
    assert [number for number, _ in told] == [1, 2, 3, 4, 5, 6]
    by_hand = evaluate(Knob(**record.best_parameters), validation_split(parts), cutoffs=[10], metrics=["ndcg@10"])
    assert by_hand.summary["ndcg@10"] == record.best_value
    assert by_hand.summary["n_users"] == record.n_users
    assert by_hand.split_hash == record.validation_hash != parts.card.fingerprint


def test_a_seed_gives_the_same_search_and_another_seed_another(parts: Split) -> None:
    first, again, other = (tune(OWN, parts, SPACE, n_trials=5, seed=seed) for seed in (1, 1, 2))
    assert values(first).equals(values(again))
    assert not values(first).equals(values(other))
    assert not first.trials[["turn", "n_factors"]].duplicated().any()


def test_an_error_is_sought_downwards(parts: Split) -> None:
    record = tune("Bias", parts, metric="rmse", n_trials=4, protocol={"task": "rating"})
    assert record.best_value == record.trials["value"].min()
    assert record.trials["best"].is_monotonic_decreasing


def test_what_fails_or_takes_too_long_counts(parts: Split) -> None:
    space = {"mood": ("good", "bad", "slow"), "n_factors": Range(1, 100)}
    record = tune(OWN, parts, space, n_trials=8, n_random=8, seed=3, timeout_s=0.3)
    assert len(record.trials) == 8
    states = dict(zip(record.trials["mood"], record.trials["state"]))
    assert states == {"good": "complete", "bad": "failed", "slow": "timed out"}
    assert record.n_failed == (record.trials["mood"] != "good").sum() > 0
    assert record.seconds < 15
    assert set(record.trials.loc[record.trials["mood"] == "bad", "message"]) == {"ValueError: in a bad mood"}
    assert any(f"{record.n_failed} of 8 trials failed" in warning for warning in record.warnings)
    with pytest.raises(RuntimeError, match=r"all 2 trials of .*Knob failed; the first: ValueError: in a bad mood"):
        tune(OWN, parts, {"mood": ("bad",)}, n_trials=2)


def test_a_killed_search_goes_on_as_if_nothing_had_happened(parts: Split, tmp_path: Path) -> None:
    (tmp_path / "fits").mkdir()
    search: dict[str, Any] = {"fixed": {"mood": "deadly", "folder": str(tmp_path / "fits")}, "n_trials": 5, "seed": 1}
    search["storage"] = tmp_path / "tuning.db"
    process = multiprocessing.get_context("spawn").Process(target=tune, args=(OWN, parts, SPACE), kwargs=search)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    record = tune(OWN, parts, SPACE, **search)
    assert len(list((tmp_path / "fits").iterdir())) == 6  # five trials, one of them begun twice
    alone = tune(OWN, parts, SPACE, n_trials=5, seed=1)
    assert values(record).equals(values(alone))
    assert values(tune(OWN, parts, SPACE, **search)).equals(values(record))
    assert len(list((tmp_path / "fits").iterdir())) == 6  # a finished search is read


def test_a_stopped_trial_is_done_again(parts: Split, tmp_path: Path) -> None:
    def stop(number: int, best: float) -> None:
        if number == 2:
            raise KeyboardInterrupt

    search: dict[str, Any] = {"n_trials": 4, "storage": tmp_path / "tuning.db"}
    with pytest.raises(KeyboardInterrupt):
        tune(OWN, parts, SPACE, **search, on_trial=stop)
    assert values(tune(OWN, parts, SPACE, **search)).equals(values(tune(OWN, parts, SPACE, n_trials=4)))


def test_workers_share_one_budget_and_change_nothing(parts: Split, tmp_path: Path) -> None:
    (tmp_path / "fits").mkdir()
    search: dict[str, Any] = {"n_trials": 7, "n_parallel": 2, "storage": tmp_path / "tuning.db"}
    search["fixed"] = {"mood": "shared", "folder": str(tmp_path / "fits")}
    other = multiprocessing.get_context("spawn").Process(target=tune, args=(OWN, parts, SPACE), kwargs=search)
    other.start()
    record = tune(OWN, parts, SPACE, **search)
    other.join(120)
    assert other.exitcode == 0
    assert len(list((tmp_path / "fits").iterdir())) == 7 == len(record.trials)
    assert values(record).equals(values(tune(OWN, parts, SPACE, n_trials=7, n_parallel=2)))
    assert not list((tmp_path / "tuning.db.locks").glob("[0-9a-f]" * 32 + ".lock"))


def test_two_threads_are_two_workers(parts: Split, tmp_path: Path) -> None:
    found: list[TuningRecord] = []
    search: dict[str, Any] = {"n_trials": 5, "n_parallel": 2, "storage": tmp_path / "tuning.db"}
    threads = [
        threading.Thread(target=lambda: found.append(tune(OWN, parts, SPACE, **search, fixed={"mood": "shared"})))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(found[0]).equals(values(found[1]))
    assert len(found[0].trials) == 5


USES: dict[str, Callable[[Any], object]] = {
    "attribute": lambda test: test.users,
    "length": len,
    "rows": lambda test: test[0],
    "loop": list,
    "truth": bool,
    "equality": lambda test: test == test,
    "copy": copy.deepcopy,
    "pickle": pickle.dumps,
    "dict": vars,
    "array": lambda test: np.asarray(test, dtype=float),
    "write": lambda test: setattr(test, "users", 1),
}


@pytest.mark.parametrize("use", USES)
def test_a_sealed_test_part_cannot_be_touched(parts: Split, use: str) -> None:
    hidden = sealed(parts)
    assert isinstance(hidden.test, SealedTest)
    assert hidden.train is parts.train
    with pytest.raises(SealedTestError, match="the test part was touched"):
        USES[use](hidden.test)


def test_a_model_cannot_be_measured_on_a_sealed_split_but_a_search_can_use_it(parts: Split) -> None:
    with pytest.raises(SealedTestError):
        evaluate(Knob(), sealed(parts))
    assert values(tune(OWN, sealed(parts), SPACE, n_trials=2)).equals(values(tune(OWN, parts, SPACE, n_trials=2)))


def test_a_best_value_on_the_edge_is_told(parts: Split) -> None:
    space = {"turn": Range(0.0, 0.4), "n_factors": Range(1, 2)}
    record = tune(OWN, parts, space, n_trials=2)
    edge = f"the best n_factors, {record.best_parameters['n_factors']}, is at the"
    assert any(
        warning.startswith(edge) and warning.endswith("edge of its range, 1 to 2") for warning in record.warnings
    )


def test_a_record_is_read_as_it_was_written(parts: Split, tmp_path: Path) -> None:
    space = {"mood": ("good", "bad"), "turn": Range(0.0, 1.0)}
    record = tune(OWN, parts, space, n_trials=6, n_random=6, fixed={"n_factors": 3})
    loaded = TuningRecord.load(record.save(tmp_path / "tuning"))
    assert loaded.trials.equals(record.trials)
    assert loaded.summary() == record.summary()
    with pytest.raises(FileNotFoundError):
        TuningRecord.load(tmp_path)


def test_every_space_of_the_catalogue_is_sound() -> None:
    for name, entry in CATALOGUE.items():
        if entry.extra is None:
            check_space(name, entry.space)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"turm": Range(0.0, 1.0)}, "did you mean 'turn'"),
        ({"turn": Range(1.0, 0.0)}, "from low to a higher high"),
        ({"turn": Range(0.0, 1.0, log=True)}, "low is above 0"),
        ({"turn": ()}, "a Range or in a tuple"),
        ({"n_factors": Range(0.5, 3.0)}, "n_factors must be a whole number"),
        ({}, "has nothing to search"),
    ],
)
def test_an_unsound_space_is_refused(parts: Split, space: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tune(OWN, parts, space, n_trials=1)


def test_a_search_needs_a_validation_part_and_a_budget(parts: Split) -> None:
    with pytest.raises(ValueError, match="no validation part to search"):
        tune("ItemKNN", split(load_dataset("synthetic-small"), "random", test=0.2))
    with pytest.raises(ValueError, match="n_trials is at least 1; found 0"):
        tune("ItemKNN", parts, n_trials=0)
    assert "alpha" not in space_of("ItemKNN", {"alpha": 1.0})
    with pytest.raises(ValueError, match="alpha has a fixed value and a place to search"):
        space_of("ItemKNN", {"alpha": 1.0}, {"alpha": Range(0.0, 1.0)})


def test_proposals_are_those_recorded_under_optuna_4_9_and_5_0() -> None:
    """Under its defaults the two versions propose four of four times something else."""
    space: Space = {"turn": Range(0.1, 10.0, log=True), "n_factors": Range(1, 200), "kind": ("x", "y", "z")}
    plan = StudyPlan("k", space, n_trials=8, n_random=2, n_parallel=1, seed=7, higher_is_better=True)
    kept: dict[int, Any] = {}
    for place in range(8):
        found = study._proposal(plan, study._distributions(space), place, kept)
        value = found["turn"] - found["n_factors"] / 100 + (found["kind"] == "y")
        kept[place] = SimpleNamespace(state=SimpleNamespace(name="COMPLETE"), params=found, value=value)
    turns = [trial.params["turn"] for trial in kept.values()]
    expected = [3.7389778157, 5.0390490365, 6.2959102207, 0.1114393206, 0.4026508653, 1.0157453878, 8.8238003011]
    assert turns == pytest.approx([*expected, 1.1772528375], rel=1e-9)
    assert [trial.params["n_factors"] for trial in kept.values()] == [47, 14, 6, 198, 134, 84, 117, 140]
    assert "".join(trial.params["kind"] for trial in kept.values()) == "zyyxyyxx"


def test_a_search_under_another_optuna_goes_on_equally_or_is_refused(
    parts: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(number: int, best: float) -> None:
        if number == 4:
            raise KeyboardInterrupt

    search: dict[str, Any] = {"n_trials": 6, "n_random": 1, "seed": 1}
    alone = tune(OWN, parts, SPACE, **search)
    for file in ("equal.db", "other.db"):
        with pytest.raises(KeyboardInterrupt):
            tune(OWN, parts, SPACE, **search, storage=tmp_path / file, on_trial=stop)
    here = optuna.__version__
    monkeypatch.setattr(optuna, "__version__", "99.0.0")
    assert values(tune(OWN, parts, SPACE, **search, storage=tmp_path / "equal.db")).equals(values(alone))
    monkeypatch.setattr(study, "SAMPLER", {**study.SAMPLER, "n_ei_candidates": 1})  # as another version's default would
    with pytest.raises(RuntimeError, match=rf"began under Optuna {here}; here is 99\.0\.0, .* at place \d.*other\.db"):
        tune(OWN, parts, SPACE, **search, storage=tmp_path / "other.db")
