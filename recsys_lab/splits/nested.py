"""The two splits inside one with a validation part: one to search hyper-parameters on, one for the final fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits.card import Split, SplitCard, count_parts, find_warnings, future_leak_share, join
from recsys_lab.splits.rows import RowHasher


def validation_split(split: Split) -> Split:
    """Train as it is, the validation part in the place of test: what a search may see. The test part is not read.

    ``history`` is train and, where validation users are folded in, what is known of them. Raises ValueError when there
    is no validation part.
    """
    held = _validation(split)
    known = split.validation_known
    card = _card(split, {"train": split.train, "test": held, "known": known}, {"validation_of": split.card.fingerprint})
    return Split(split.train, None, held, split.validation_history, card, known=known)


def without_validation(split: Split) -> Split:
    """Train and validation together are the train part; test, masking and candidates stay.

    The fingerprint is that of the same split made without a validation part. Returns ``split`` when it has none.
    """
    if split.validation is None:
        return split
    train = join(join(split.train, split.validation), split.validation_known)
    parts = {"train": train, "test": split.test, "known": split.known}
    left_out = split.card.counts.get("n_left_out", 0)
    card = _card(split, parts, {"validation": 0.0}, left_out)
    group = card.fingerprint if split.card.fold is None else split.card.group
    return Split(train, None, split.test, split.history, replace(card, group=group), split.candidates, split.known)


def _validation(split: Split) -> Interactions:
    if split.validation is None:
        raise ValueError(
            f"this {split.card.strategy} split has no validation part to search hyper-parameters on; "
            "make it with split(..., validation=0.1), or give fixed_split a validation part"
        )
    return split.validation


def _card(
    split: Split, parts: dict[str, Interactions | None], change: dict[str, Any], n_left_out: int = 0
) -> SplitCard:
    train, test = parts["train"], parts["test"]
    assert train is not None
    assert test is not None
    fingerprint = RowHasher(train.catalogue).parts(parts)
    counts = count_parts(parts)
    if n_left_out:
        counts["n_left_out"] = n_left_out
    return replace(
        split.card,
        parameters={**split.card.parameters, **change},
        fingerprint=fingerprint,
        group=fingerprint,
        counts=counts,
        future_leak_share=future_leak_share(train, test),
        ambiguous_last_share=None,
        warnings=find_warnings(counts, None, per_user=False),
    )
