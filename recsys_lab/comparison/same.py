"""What must be the same before models are compared: data, protocol, split and users; an error names what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd


def check_same(runs: Mapping[str, list[Any]]) -> None:
    """ValueError unless all evaluations share data, protocol and splits; it names every differing field once.

    Each field is given with both values and the two models. Every model needs the same number of seeds on each fold.
    """
    (first_name, first), *others = runs.items()
    faults = []
    for name, given in runs.items():
        for one in given:
            faults += [
                f"{field}: {first_name} {ours}, {name} {theirs}" for field, ours, theirs in _differing(first[0], one)
            ]
    splits = [one.split_hash for one in first]
    for name, given in others:
        own = [one.split_hash for one in given]
        if set(own) != set(splits):
            faults.append(f"split_hash: {first_name} {_short(splits)}, {name} {_short(own)}")
    if faults:
        raise ValueError(
            "only evaluations of the same data, split and protocol can be compared; different are "
            + "; ".join(dict.fromkeys(faults))
        )
    for name, given in runs.items():
        counts = {split: sum(one.split_hash == split for one in given) for split in splits}
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"{split[:12]}: {count}" for split, count in counts.items())
            raise ValueError(f"model {name!r} needs equally many seeds on every fold; found {shown}")


def differing_fields(
    first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = "protocol "
) -> list[tuple[str, str, str]]:
    """(field, first value, second value) of two protocols where they differ, nested fields joined by dots.

    Hashes are compared only where nothing else explains that they differ.
    """
    fields = sorted((set(first) | set(second)) - {"hash"})
    found = []
    for name in fields:
        ours, theirs = first.get(name), second.get(name)
        if ours == theirs:
            continue
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            found += differing_fields(ours, theirs, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", repr(ours), repr(theirs)))
    if not found and first.get("hash") != second.get("hash"):
        found.append((f"{prefix}hash", repr(first.get("hash")), repr(second.get("hash"))))
    return found


def check_users(parts: Mapping[str, list[pd.DataFrame]], micro: bool) -> None:
    """ValueError unless all models have the same users on each fold and, for micro errors, the same pairs a user."""
    (first_name, first), *others = parts.items()
    for name, frames in others:
        for one, other in zip(first, frames, strict=True):
            if not one.index.equals(other.index):
                raise ValueError(
                    f"only evaluations of the same users can be compared; {first_name} has {len(one)} and {name} has "
                    f"{len(other)} users: {difference_of_users(one, other)}"
                )
            if micro and not np.allclose(one["n_pairs"], other["n_pairs"]):
                user = one.index[int(np.argmax(~np.isclose(one["n_pairs"], other["n_pairs"])))]
                raise ValueError(
                    f"only errors of the same pairs can be compared; user {user} has n_pairs "
                    f"{one['n_pairs'][user]:g} with {first_name} and {other['n_pairs'][user]:g} with {name}; "
                    "evaluate with rating_fallback='global_mean'"
                )


def difference_of_users(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """Some users of one side only, as text."""
    only_first = first.index.difference(second.index)
    only_second = second.index.difference(first.index)
    return f"{len(only_first)} only in the first {list(only_first[:3])}, {len(only_second)} only in the second " + str(
        list(only_second[:3])
    )


def _differing(first: Any, one: Any) -> Iterator[tuple[str, str, str]]:
    if one.dataset_hash != first.dataset_hash:
        yield "dataset_hash", first.dataset_hash[:12], one.dataset_hash[:12]
    yield from differing_fields(first.protocol, one.protocol)


def _short(hashes: list[str]) -> str:
    return ", ".join(sorted({one[:12] for one in hashes}))
