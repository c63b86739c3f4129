"""The check of a search for hyper-parameters: it touched the test part (L08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys_lab.checks.check import Check
from recsys_lab.data.interactions import Int64, Interactions

if TYPE_CHECKING:
    from recsys_lab.splits import Split
    from recsys_lab.tuning import TuningRecord


def tuning_check(record: TuningRecord, searched: Split, test: Interactions) -> Check:
    """L08: the search saw no pair (user, item) of the final ``test`` part, and was made on the split that it says.

    ``searched`` is the split that its trials were fitted on (train) and measured on (its test part, which is the
    validation part of the whole). The value is how many pairs of the final test part are in it.
    """
    held = np.unique(_pairs(test))
    parts = {"train": searched.train, "validation": searched.validation, "measured": searched.test}
    seen = {name: int(np.isin(held, _pairs(part)).sum()) for name, part in parts.items() if part is not None}
    found = [f"{n} pairs of the test part are in the {name} part of the search" for name, n in seen.items() if n]
    if record.validation_hash != searched.card.fingerprint:
        found.append(
            f"the search was made on the split {record.validation_hash[:12]}, not on {searched.card.fingerprint[:12]}, "
            "the train and validation part of this one"
        )
    if found:
        message = "; ".join(found) + ": search again on a validation part that is cut from train"
        return Check("L08", "E", False, float(sum(seen.values())), message)
    return Check("L08", "E", True, 0.0, "the search saw train and validation rows only")


def _pairs(part: Interactions) -> Int64:
    pairs: Int64 = part.users.astype(np.int64) * max(part.n_items, 1) + part.items
    return pairs
