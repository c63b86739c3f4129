"""The strategies by name: what each takes, and what is wrong with a wish before any row is read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import in_time, rules


@dataclass(frozen=True)
class Folds:
    """The options of a strategy that makes several splits: which one, how many, and the key of a choice of them."""

    one: str
    count: str
    chosen: str


@dataclass(frozen=True)
class Strategy:
    """A rule and what it takes: default options, whether it needs times, whether it can follow the file's order."""

    rule: Callable[[Interactions, float, int, str, rules.Options], rules.Cut]
    options: Mapping[str, Any] = field(default_factory=dict)
    needs_times: bool = False
    follows_file: bool = False
    per_user: bool = False
    counts: str = ""  # what ``test`` may be a whole number of; "" = it is a share
    folds: Folds | None = None
    in_time: bool = False  # every row of train is earlier than every row of test
    apart: Literal["", "users", "items"] = ""  # what train and test have none of in common

    @property
    def tests_latest(self) -> bool:
        """Whether the test rows of a user are later than the user's training rows."""
        return self.needs_times


_PER_USER: dict[str, Any] = {"per_user": True, "counts": "rows a user"}
_APART: dict[str, Any] = {"apart": "users", "counts": "users"}

STRATEGIES: dict[str, Strategy] = {
    "temporal_global": Strategy(
        in_time.temporal_global,
        {"at": None, "validation_at": None, "train_from": None, "test_until": None},
        needs_times=True,
        in_time=True,
    ),
    "temporal_user": Strategy(rules.temporal_user, {"min_train": 1}, needs_times=True, **_PER_USER),
    "leave_last_one_out": Strategy(rules.leave_last_one_out, {"min_train": 1}, needs_times=True, per_user=True),
    "rolling": Strategy(
        in_time.rolling,
        {"window": 0, "n_windows": 5, "window_days": None, "expanding": True},
        needs_times=True,
        in_time=True,
        folds=Folds("window", "n_windows", "windows"),
    ),
    "random": Strategy(rules.random_rows, {"row_order": "canonical"}, follows_file=True),
    "random_user": Strategy(
        rules.random_user, {"min_train": 1, "row_order": "canonical"}, follows_file=True, **_PER_USER
    ),
    "stratified_item": Strategy(rules.stratified_item),
    "user_holdout": Strategy(rules.cold_users, {"given": 0.8, "order": "random"}, **_APART),
    "cold_items": Strategy(rules.cold_items, apart="items", counts="items"),
    "cold_users": Strategy(rules.cold_users, {"given": 0.0, "order": None}, **_APART),
    "k_fold": Strategy(
        rules.k_fold,
        {"fold": 0, "n_folds": 5, "row_order": "canonical"},
        follows_file=True,
        folds=Folds("fold", "n_folds", "folds"),
    ),
}
_AT_LEAST = {"min_train": 0, "n_folds": 2, "fold": 0, "n_windows": 1, "window": 0}


def strategy_of(name: str) -> Strategy:
    """The strategy of this name; ValueError, with the nearest name, for another."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    if name == "fixed":
        raise ValueError("strategy 'fixed' takes given parts: call fixed_split(train, test, ...)")
    known = ", ".join(sorted(STRATEGIES))
    raise ValueError(f"unknown split strategy {name!r};{_meant(name, STRATEGIES)} Known: {known}")


def check_options(strategy: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of the strategy, those not ``given`` at their defaults, as Python's numbers.

    Raises ValueError (or TypeError) for an option that the strategy does not have, or a value it cannot take.
    """
    chosen = strategy_of(strategy)
    known = {**chosen.options, "row_order": "canonical"}
    for name in given:
        if name not in known:
            raise ValueError(
                f"split {strategy!r} has no option {name!r};{_meant(name, known)} Known: {', '.join(sorted(known))}"
            )
    order = given.get("row_order", "canonical")
    if order not in ("canonical", "file"):
        raise ValueError(f"row_order must be 'canonical' or 'file'; found {order!r}")
    if order == "file" and not chosen.follows_file:
        able = ", ".join(sorted(name for name, entry in STRATEGIES.items() if entry.follows_file))
        raise ValueError(f"split {strategy!r} does not depend on the file's row order; row_order='file' is for {able}")
    asked = {name: plain(given.get(name, default)) for name, default in chosen.options.items()}
    for name, low in _AT_LEAST.items():
        if name in asked:
            check_whole(name, asked[name], low, 2**31 - 1)
    if chosen.folds is not None:
        check_whole(chosen.folds.one, asked[chosen.folds.one], 0, asked[chosen.folds.count] - 1)
    _check_given(strategy, asked)
    _check_moments(asked)
    return asked


def _check_given(strategy: str, asked: Mapping[str, Any]) -> None:
    if "given" not in asked:
        return
    share = asked["given"]
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
        raise ValueError(f"given must be a share from 0 to below 1; found {share!r}")
    if strategy == "user_holdout" and share == 0:
        raise ValueError("user_holdout folds users in, so given is above 0; use 'cold_users' where nothing is known")
    if asked["order"] not in ("random", "time", None):
        near = _meant(asked["order"], {"random": 0, "time": 0})
        raise ValueError(f"order must be 'random' or 'time'; found {asked['order']!r};{near}".rstrip(";"))


def _check_moments(asked: Mapping[str, Any]) -> None:
    named = [name for name in ("train_from", "at", "test_until") if asked.get(name) is not None]
    for before, after in pairwise(named):
        if in_time.moment(asked[before]) >= in_time.moment(asked[after]):
            raise ValueError(f"{before} must be earlier than {after}; found {asked[before]!r} and {asked[after]!r}")
    if not isinstance(asked.get("expanding", True), bool):
        raise TypeError(f"expanding must be true or false; found {asked['expanding']!r}")
    days = asked.get("window_days")
    if days is not None and (isinstance(days, bool) or not isinstance(days, (int, float)) or not days > 0):
        raise ValueError(f"window_days must be a number of days above 0; found {days!r}")


def check_data(data: Interactions, strategy: str) -> None:
    """ValueError or TypeError unless these rows can be cut by this strategy."""
    chosen = strategy_of(strategy)
    if not isinstance(data, Interactions):
        raise TypeError(f"split needs Interactions; found {type(data).__name__}, make them with read_interactions")
    if not len(data):
        raise ValueError("cannot split data without rows")
    if chosen.needs_times and data.timestamps is None:
        instead = "random_user" if chosen.per_user else "random"
        raise ValueError(f"split {strategy!r} needs timestamps and the data have none; use {instead!r} instead")


def check_share(strategy: str, name: str, share: Any) -> None:
    """ValueError or TypeError unless ``share`` may be the ``name`` ("test" or "validation") of the strategy."""
    if isinstance(share, bool) or not isinstance(share, (int, float)):
        raise TypeError(f"{name} must be a number; found {share!r}")
    counts = STRATEGIES[strategy].counts
    whole = bool(counts) and share >= 1 and share == int(share)
    if not (0 < share < 1 or whole or (name == "validation" and share == 0)):
        more = f" or a whole number of {counts}" if counts else ""
        raise ValueError(f"{name} must be a share between 0 and 1{more}; found {share}")


def check_shares(
    data: Interactions, strategy: str, shares: Mapping[str, Any], seed: Any, asked: Mapping[str, Any]
) -> None:
    """ValueError or TypeError unless shares, seed and the number of folds are sound for these rows."""
    for name, share in shares.items():
        check_share(strategy, name, share)
    check_whole("seed", seed, 0, 2**32 - 1)
    if "n_folds" in asked:
        check_whole("n_folds", asked["n_folds"], 2, len(data))


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """TypeError unless ``value`` is a whole number, ValueError unless it lies between ``low`` and ``high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number; found {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low} and {high}; found {value}")


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's, so that a card and a hash do not depend on where a number came from."""
    return value.item() if isinstance(value, np.generic) else value


def _meant(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" did you mean {close[0]!r}?" if close else ""
