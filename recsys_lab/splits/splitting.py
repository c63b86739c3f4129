"""``split`` and ``folds``: check the wishes, apply the rule of a strategy, write the card."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import rules
from recsys_lab.splits.card import Split, SplitCard, count_parts, find_warnings, future_leak_share, join
from recsys_lab.splits.rows import RowHasher


@dataclass(frozen=True)
class Strategy:
    """A rule and what it takes: default options, whether it needs times, whether it can follow the file's order."""

    rule: Callable[[Interactions, float, int, str, rules.Options], rules.Cut]
    options: Mapping[str, Any] = field(default_factory=dict)
    needs_times: bool = False
    follows_file: bool = False
    per_user: bool = False
    counts_rows: bool = False  # ``test`` may be a number of rows a user


STRATEGIES: dict[str, Strategy] = {
    "temporal_global": Strategy(rules.temporal_global, {"at": None, "validation_at": None}, needs_times=True),
    "temporal_user": Strategy(rules.temporal_user, {"min_train": 1}, needs_times=True, per_user=True, counts_rows=True),
    "leave_last_one_out": Strategy(rules.leave_last_one_out, {"min_train": 1}, needs_times=True, per_user=True),
    "random": Strategy(rules.random_rows, {"row_order": "canonical"}, follows_file=True),
    "random_user": Strategy(
        rules.random_user,
        {"min_train": 1, "row_order": "canonical"},
        follows_file=True,
        per_user=True,
        counts_rows=True,
    ),
    "stratified_item": Strategy(rules.stratified_item),
    "cold_items": Strategy(rules.cold_items),
    "cold_users": Strategy(rules.cold_users, {"given": 0.0}),
    "k_fold": Strategy(rules.k_fold, {"fold": 0, "n_folds": 5, "row_order": "canonical"}, follows_file=True),
}


def split(
    data: Interactions,
    strategy: str = "temporal_global",
    *,
    test: float = 0.2,
    validation: float = 0.0,
    seed: int = 42,
    **options: Any,
) -> Split:
    """Cut ``data`` into train, test and, when ``validation`` > 0, a validation part cut from train by the same rule.

    ``test`` is a share of the rows (temporal_global, random), of each user's rows (temporal_user, random_user), of
    each item's (stratified_item), or of the items or users, with all their rows (cold_items, cold_users);
    temporal_user and random_user also take a whole number >= 1, rows a user.
    leave_last_one_out and k_fold do not use it. ``validation`` is the same of what train and validation hold together.
    The result depends on the rows, not on their order, except with ``row_order="file"`` (random, random_user, k_fold).

    Options: ``at``, ``validation_at`` (temporal_global: Unix seconds or a date; the first moment that is held out),
    ``min_train`` (temporal_user, leave_last_one_out, random_user: rows that every user keeps, default 1),
    ``given`` (cold_users: share of a test user's rows that is known when the user is served, from 0 to below 1; default
    0), ``fold``, ``n_folds`` (k_fold), ``row_order`` ("canonical" or "file").

    Raises ValueError for an unknown strategy or option, a share outside (0, 1), missing times or an empty part.
    """
    chosen = _strategy(strategy)
    test, validation, seed = _plain(test), _plain(validation), _plain(seed)
    asked = {name: _plain(value) for name, value in _options(strategy, chosen, options).items()}
    _check(data, strategy, chosen, test, validation, seed, asked)
    cut = chosen.rule(data, test, seed, "test", asked)
    in_order = asked.get("row_order") == "file"
    rest, held = _select(data, cut.kept, in_order), _select(data, cut.held, in_order)
    train, kept_back, known = rest, None, None
    if asked.get("given"):
        inner = rules.known_rows(held, asked["given"], seed)
        known, held = held.select(inner.kept), held.select(inner.held)
    if validation:
        inner = chosen.rule(rest, validation, seed, "validation", asked)
        train, kept_back = _select(rest, inner.kept, in_order), _select(rest, inner.held, in_order)
    for name, part in (("train", train), ("validation", kept_back), ("test", held)):
        if part is not None and not len(part):
            raise ValueError(
                f"split {strategy!r} leaves no {name} rows: {len(data)} rows of {int((data.user_activity > 0).sum())} "
                f"users, test {test}, validation {validation}, {dict(asked)}; ask for other shares or give more rows"
            )
    parameters = {"test": test, "validation": validation, **asked}
    all_parts = {"train": train, "validation": kept_back, "test": held}
    if known is not None:
        all_parts["known"] = known
    card = _card(data, strategy, parameters, seed, all_parts, cut.ambiguous)
    return Split(train, kept_back, held, join(join(train, kept_back), known), card)


def folds(data: Interactions, n_folds: int = 5, seed: int = 42, **options: Any) -> list[Split]:
    """All ``n_folds`` splits of one k_fold; every row is a test row exactly once. Options as for ``split``."""
    if isinstance(n_folds, bool) or not isinstance(n_folds, int):
        raise TypeError(f"n_folds must be a whole number; found {n_folds!r}")
    return [split(data, "k_fold", seed=seed, fold=fold, n_folds=n_folds, **options) for fold in range(n_folds)]


def _strategy(name: str) -> Strategy:
    if name in STRATEGIES:
        return STRATEGIES[name]
    if name == "fixed":
        raise ValueError("strategy 'fixed' takes given parts: call fixed_split(train, test, ...)")
    known = ", ".join(sorted(STRATEGIES))
    raise ValueError(f"unknown split strategy {name!r};{_meant(name, STRATEGIES)} Known: {known}")


def _meant(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" did you mean {close[0]!r}?" if close else ""


def _options(strategy: str, chosen: Strategy, given: Mapping[str, Any]) -> dict[str, Any]:
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
    return {name: given.get(name, default) for name, default in chosen.options.items()}


def _check(
    data: Interactions,
    strategy: str,
    chosen: Strategy,
    test: float,
    validation: float,
    seed: int,
    asked: dict[str, Any],
) -> None:
    if not isinstance(data, Interactions):
        raise TypeError(f"split needs Interactions; found {type(data).__name__}, make them with read_interactions")
    if not len(data):
        raise ValueError("cannot split data without rows")
    if chosen.needs_times and data.timestamps is None:
        instead = "random_user" if chosen.per_user else "random"
        raise ValueError(f"split {strategy!r} needs timestamps and the data have none; use {instead!r} instead")
    for name, share in (("test", test), ("validation", validation)):
        check_share(strategy, name, share)
    _check_whole("seed", seed, 0, 2**32 - 1)
    if "min_train" in asked:
        _check_whole("min_train", asked["min_train"], 0, 2**31 - 1)
    if "given" in asked and not (isinstance(asked["given"], (int, float)) and 0 <= asked["given"] < 1):
        raise ValueError(f"given must be a share from 0 to below 1; found {asked['given']!r}")
    if "n_folds" in asked:
        _check_whole("n_folds", asked["n_folds"], 2, len(data))
        _check_whole("fold", asked["fold"], 0, asked["n_folds"] - 1)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, so that a card and a hash do not depend on where a number came from."""
    return value.item() if isinstance(value, np.generic) else value


def check_share(strategy: str, name: str, share: Any) -> None:
    """ValueError or TypeError unless ``share`` may be the ``name`` ("test" or "validation") of the strategy."""
    if isinstance(share, bool) or not isinstance(share, (int, float)):
        raise TypeError(f"{name} must be a number; found {share!r}")
    counts_rows = STRATEGIES[strategy].counts_rows
    whole = counts_rows and share >= 1 and share == int(share)
    if not (0 < share < 1 or whole or (name == "validation" and share == 0)):
        more = " or a whole number of rows a user" if counts_rows else ""
        raise ValueError(f"{name} must be a share between 0 and 1{more}; found {share}")


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number; found {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low} and {high}; found {value}")


def _select(data: Interactions, rows: Any, in_order: bool) -> Interactions:
    part = data.select(rows)
    return replace(part, file_order=True) if in_order else part


def _card(
    data: Interactions,
    strategy: str,
    parameters: dict[str, Any],
    seed: int,
    all_parts: Mapping[str, Interactions | None],
    ambiguous: float | None,
) -> SplitCard:
    train, validation, test = all_parts["train"], all_parts["validation"], all_parts["test"]
    assert train is not None
    assert test is not None
    fingerprint = RowHasher(data.catalogue).parts(all_parts)
    group, fold = fingerprint, None
    if strategy == "k_fold":
        fold = parameters["fold"]
        same = {name: value for name, value in parameters.items() if name not in ("fold", "test")}
        recipe = f"k_fold of {data.fingerprint}, seed {seed}, {sorted(same.items())}"
        group = hashlib.sha256(recipe.encode()).hexdigest()
    counts = count_parts(train, validation, test)
    per_user = STRATEGIES[strategy].per_user
    return SplitCard(
        strategy=strategy,
        parameters=parameters,
        seed=seed,
        fingerprint=fingerprint,
        group=group,
        fold=fold,
        counts=counts,
        future_leak_share=future_leak_share(train, test),
        ambiguous_last_share=ambiguous,
        dataset_hash=data.fingerprint,
        warnings=find_warnings(counts, ambiguous, per_user=per_user),
    )
