"""Splits: pure, seeded, hashed.

``split`` cuts data, ``folds`` and ``windows`` give all parts of a k_fold and a rolling back-test, ``fixed_split`` takes
given parts.
"""

from recsys_lab.splits.card import Split, SplitCard
from recsys_lab.splits.fixed import fixed_split
from recsys_lab.splits.nested import validation_split, without_validation
from recsys_lab.splits.splitting import folds, split, windows
from recsys_lab.splits.strategies import STRATEGIES, check_options, check_share

__all__ = [
    "STRATEGIES",
    "Split",
    "SplitCard",
    "check_options",
    "check_share",
    "fixed_split",
    "folds",
    "split",
    "validation_split",
    "windows",
    "without_validation",
]
