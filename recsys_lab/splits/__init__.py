"""Splits: pure, seeded, hashed. ``split`` cuts data, ``folds`` gives all folds, ``fixed_split`` takes given parts."""

from recsys_lab.splits.card import Split, SplitCard
from recsys_lab.splits.fixed import fixed_split
from recsys_lab.splits.nested import validation_split, without_validation
from recsys_lab.splits.splitting import STRATEGIES, check_share, folds, split

__all__ = [
    "STRATEGIES",
    "Split",
    "SplitCard",
    "check_share",
    "fixed_split",
    "folds",
    "split",
    "validation_split",
    "without_validation",
]
