"""``split``, ``folds`` and ``windows``: apply the rule of a strategy and write the card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import rules
from recsys_lab.splits.card import Split, SplitCard, count_parts, find_warnings, future_leak_share, join
from recsys_lab.splits.rows import RowHasher
from recsys_lab.splits.strategies import (
    STRATEGIES,
    check_data,
    check_options,
    check_shares,
    check_whole,
    plain,
    strategy_of,
)

Parts = Mapping[str, Interactions | None]


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

    ``test`` is a share of the rows (temporal_global, random; rolling: of all windows together), of each user's rows
    (temporal_user, random_user), of each item's (stratified_item), or of the items or users, with all their rows
    (cold_items, cold_users, user_holdout). A whole number >= 1 is so many rows a user (temporal_user, random_user),
    items or users. leave_last_one_out, k_fold and rolling with ``window_days`` do not use it. ``validation`` is the
    same of what train and validation hold together (rolling: a share of its rows, the last ones).
    The result depends on the rows, not on their order, except with ``row_order="file"`` (random, random_user, k_fold).

    Options: ``at``, ``validation_at`` (temporal_global: Unix seconds or a date; the first moment that is held out),
    ``train_from``, ``test_until`` (temporal_global: rows before the one, and from the other on, are left out),
    ``min_train`` (temporal_user, leave_last_one_out, random_user: rows that every user keeps, default 1),
    ``given``, ``order`` (user_holdout, cold_users: share of a held-out user's rows that is known when the user is
    served, default .8 and 0, and which rows: "random", the default of user_holdout, or "time"), ``window``,
    ``n_windows``, ``window_days``, ``expanding`` (rolling), ``fold``, ``n_folds`` (k_fold), ``row_order`` ("canonical"
    or "file").

    Raises ValueError for an unknown strategy or option, a share outside (0, 1), missing times or an empty part.
    """
    chosen = strategy_of(strategy)
    test, validation, seed = plain(test), plain(validation), plain(seed)
    asked = check_options(strategy, options)
    check_data(data, strategy)
    check_shares(data, strategy, {"test": test, "validation": validation}, seed, asked)
    in_order = asked.get("row_order") == "file"
    cut = chosen.rule(data, test, seed, "test", asked)
    train, kept_back = _select(data, cut.kept, in_order), None
    held, known = _given(_select(data, cut.held, in_order), seed, asked)
    validation_known = None
    if validation:
        inner = chosen.rule(train, validation, seed, "validation", asked)
        kept_back, validation_known = _given(_select(train, inner.held, in_order), seed, asked)
        train = _select(train, inner.kept, in_order)
    parts = {"train": train, "validation": kept_back, "test": held, "known": known}
    parts["validation_known"] = validation_known
    parameters = {"test": test, "validation": validation, **asked}
    _need_rows(data, strategy, parts, parameters)
    history = join(join(join(train, kept_back), validation_known), known)
    card = _card(data, strategy, parameters, seed, parts, cut.ambiguous)
    return Split(train, kept_back, held, history, card, known=known, validation_known=validation_known)


def folds(data: Interactions, n_folds: int = 5, seed: int = 42, **options: Any) -> list[Split]:
    """All ``n_folds`` splits of one k_fold; every row is a test row exactly once. Options as for ``split``."""
    return _every(data, "k_fold", n_folds, seed=seed, **options)


def windows(data: Interactions, n_windows: int = 5, seed: int = 42, **options: Any) -> list[Split]:
    """All ``n_windows`` splits of one rolling back-test, in the order of time. Options as for ``split``.

    Each window's train ends before its test part begins; the test parts follow one another without a gap.
    """
    return _every(data, "rolling", n_windows, seed=seed, **options)


def _every(data: Interactions, strategy: str, n_splits: int, **options: Any) -> list[Split]:
    keys = STRATEGIES[strategy].folds
    assert keys is not None
    check_whole(keys.count, plain(n_splits), 1, 2**31 - 1)
    return [split(data, strategy, **{keys.one: one, keys.count: n_splits}, **options) for one in range(n_splits)]


def _given(held: Interactions, seed: int, asked: Mapping[str, Any]) -> tuple[Interactions, Interactions | None]:
    """What is to be found of the held-out users, and what is known of them (None: nothing is)."""
    if not asked.get("given"):
        return held, None
    cut = rules.known_rows(held, seed, asked)
    return held.select(cut.held), held.select(cut.kept)


def _need_rows(data: Interactions, strategy: str, parts: Parts, parameters: Mapping[str, Any]) -> None:
    for name in ("train", "validation", "test"):
        part = parts[name]
        if part is not None and not len(part):
            raise ValueError(
                f"split {strategy!r} leaves no {name} rows: {len(data)} rows of {int((data.user_activity > 0).sum())} "
                f"users, {dict(parameters)}; ask for other shares or give more rows"
            )


def _select(data: Interactions, rows: Any, in_order: bool) -> Interactions:
    part = data.select(rows)
    return replace(part, file_order=True) if in_order else part


def _card(
    data: Interactions,
    strategy: str,
    parameters: dict[str, Any],
    seed: int,
    parts: Parts,
    ambiguous: float | None,
) -> SplitCard:
    train, test = parts["train"], parts["test"]
    assert train is not None
    assert test is not None
    fingerprint = RowHasher(data.catalogue).parts(parts)
    group, fold = fingerprint, None
    keys = STRATEGIES[strategy].folds
    if keys is not None:
        fold = parameters[keys.one]
        unused = ("test",) if strategy == "k_fold" else ()
        same = {name: value for name, value in parameters.items() if name not in (keys.one, *unused)}
        recipe = f"{strategy} of {data.fingerprint}, seed {seed}, {sorted(same.items())}"
        group = hashlib.sha256(recipe.encode()).hexdigest()
    counts = count_parts(parts)
    n_left_out = len(data) - sum(len(part) for part in parts.values() if part is not None)
    if n_left_out:
        counts["n_left_out"] = n_left_out
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
        warnings=find_warnings(counts, ambiguous, per_user=STRATEGIES[strategy].per_user),
    )
