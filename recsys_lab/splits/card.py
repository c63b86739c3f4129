"""What a split is: its parts, and the card that says how they came about and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse

from recsys_lab.data.interactions import Interactions

FEW_USERS = 200  # below so many warm test users a split cannot carry a claim (documented in docs/splits.md)
MANY_AMBIGUOUS = 0.2  # share of users whose last row is not certain, above which the card warns
MANY_UNTESTED = 0.1  # share of users without a test row, above which the card of a per-user strategy warns


@dataclass(frozen=True)
class SplitCard:
    """How a split came about, what it holds, and what to beware of.

    ``fingerprint`` is the split hash: sha256 of which rows (external ids, rating, time) are in which part, whatever
    strategy put them there. ``group`` is the same for all folds of one ``k_fold`` and all windows of one ``rolling``,
    and the fingerprint otherwise; ``fold`` is the number of the fold or window.

    ``future_leak_share``: draw one train row and one test row at random; how probable is it that the train row is
    strictly later? 0 for a temporal_global split, about .5 for a random one, None without times.
    ``ambiguous_last_share``: share of tested users whose last rows are cut within one timestamp, so that a hash had
    to choose; None where the strategy does not ask for last rows.
    """

    strategy: str
    parameters: dict[str, Any]
    seed: int
    fingerprint: str
    group: str
    fold: int | None
    counts: dict[str, int]
    future_leak_share: float | None
    ambiguous_last_share: float | None
    dataset_hash: str
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint parts of one data set that share a catalogue, so a code means the same in all of them.

    ``history`` is what is known of the test users when they are served, and what is masked then: the rows of all other
    parts (``train`` itself when there are none). ``known`` are the rows of test users that a model learns of only then
    (user_holdout, cold_users with ``given``), ``validation_known`` those of validation users; None elsewhere.
    ``candidates`` (n_users, n_items) CSR holds the items to rank for each user when they were given (``fixed_split``);
    None means the whole catalogue.
    """

    train: Interactions
    validation: Interactions | None
    test: Interactions
    history: Interactions
    card: SplitCard
    candidates: sparse.csr_matrix | None = None
    known: Interactions | None = None
    validation_known: Interactions | None = None

    @property
    def validation_history(self) -> Interactions:
        """What is known of the validation users when a search serves them: train, and ``validation_known``."""
        return join(self.train, self.validation_known)

    @property
    def parts(self) -> dict[str, Interactions]:
        """The disjoint parts by name: train, validation, test, known and validation_known, as far as there are any."""
        named = {"train": self.train, "validation": self.validation, "test": self.test, "known": self.known}
        named["validation_known"] = self.validation_known
        return {name: part for name, part in named.items() if part is not None}

    def __repr__(self) -> str:
        n_validation = 0 if self.validation is None else len(self.validation)
        return (
            f"Split({self.card.strategy}: {len(self.train):,} train, {n_validation:,} validation, "
            f"{len(self.test):,} test rows, {self.card.fingerprint[:12]})"
        )


def future_leak_share(train: Interactions, test: Interactions) -> float | None:
    """Share of the pairs (train row, test row) in which the train row is strictly later; None without times."""
    if train.timestamps is None or test.timestamps is None:
        return None
    if not len(train) or not len(test):
        return 0.0
    earlier_or_same = np.searchsorted(np.sort(train.timestamps), np.sort(test.timestamps), side="right")
    return float(1.0 - earlier_or_same.mean() / len(train))


def count_parts(parts: Mapping[str, Interactions | None]) -> dict[str, int]:
    """Rows, users and items of the parts. Warm means with rows in train, cold means without.

    Where rows of test users are known and not in train: n_known rows of n_users_known users.
    """
    train, validation, test, known_rows = (parts.get(name) for name in ("train", "validation", "test", "known"))
    assert train is not None
    assert test is not None
    in_train, in_test = train.user_activity > 0, test.user_activity > 0
    known, asked = train.item_popularity > 0, test.item_popularity > 0
    tested = in_test.sum()
    everyone = in_train | in_test
    counts = {
        "n_train": len(train),
        "n_validation": 0 if validation is None else len(validation),
        "n_test": len(test),
        "n_users_train": in_train.sum(),
        "n_users_validation": 0 if validation is None else (validation.user_activity > 0).sum(),
        "n_users_test": tested,
        "n_users_warm": (in_test & in_train).sum(),
        "n_users_cold": (in_test & ~in_train).sum(),
        "n_users_untested": everyone.sum() - tested,
        "n_items_train": known.sum(),
        "n_items_test": asked.sum(),
        "n_items_cold": (asked & ~known).sum(),
        "n_test_cold_users": test.user_activity[~in_train].sum(),
        "n_test_cold_items": test.item_popularity[~known].sum(),
    }
    if known_rows is not None:
        folded = known_rows.user_activity > 0
        counts |= {"n_known": len(known_rows), "n_users_known": (folded & in_test & ~in_train).sum()}
        counts["n_users_untested"] += (folded & ~everyone).sum()
    kept_back = parts.get("validation_known")
    if kept_back is not None:
        counts["n_validation_known"] = len(kept_back)
    return {name: int(count) for name, count in counts.items()}


def find_warnings(counts: dict[str, int], ambiguous: float | None, *, per_user: bool) -> list[str]:
    """What a reader of results on this split should know, in whole sentences."""
    found = []
    served, folded = counts["n_users_warm"], counts.get("n_users_known", 0)
    if served + folded < FEW_USERS:
        what = f"only {served} of {counts['n_users_test']} test users are warm (have train rows)"
        if folded:
            what = f"only {folded} users are folded in and tested"
        found.append(f"{what}; below {FEW_USERS} show a second split beside this one")
    if counts["n_test_cold_users"] * 2 > counts["n_test"] and not folded:
        found.append(f"{counts['n_test_cold_users']} of {counts['n_test']} test rows are of users without train rows")
    if counts["n_test_cold_items"] * 2 > counts["n_test"]:
        found.append(f"{counts['n_test_cold_items']} of {counts['n_test']} test rows are of items without train rows")
    if ambiguous is not None and ambiguous > MANY_AMBIGUOUS:
        found.append(
            f"the last rows of {ambiguous:.1%} of the tested users share their time with other rows; "
            "a seeded hash chose among them"
        )
    if per_user and counts["n_users_untested"] > MANY_UNTESTED * (counts["n_users_test"] + counts["n_users_untested"]):
        found.append(f"{counts['n_users_untested']} users have too few rows and are not tested")
    if counts.get("n_left_out"):
        found.append(f"{counts['n_left_out']} rows lie before or after the window of this split and are in no part")
    return found


def join(first: Interactions, second: Interactions | None) -> Interactions:
    """The rows of both parts, which share a catalogue; ``first`` itself when there is no second."""
    if second is None:
        return first
    times = None
    if first.timestamps is not None and second.timestamps is not None:
        times = np.concatenate([first.timestamps, second.timestamps])
    return replace(
        first,
        users=np.concatenate([first.users, second.users]),
        items=np.concatenate([first.items, second.items]),
        ratings=np.concatenate([first.ratings, second.ratings]),
        timestamps=times,
    )
