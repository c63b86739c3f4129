"""recsys_lab: from a ratings file to a leaderboard that can be trusted.

Importing this package does nothing else: the public names below load what they need when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from recsys_lab.algorithms.base import Algorithm, RatingPredictor
    from recsys_lab.algorithms.catalogue import make_algorithm
    from recsys_lab.checks import leak_check
    from recsys_lab.comparison import Comparison, compare, compare_datasets
    from recsys_lab.data.datasets import load_dataset
    from recsys_lab.data.files import read_interactions
    from recsys_lab.data.interactions import Catalogue, Interactions
    from recsys_lab.data.ranked_lists import RankedLists
    from recsys_lab.evaluation import Evaluation, evaluate
    from recsys_lab.splits import Split, fixed_split, folds, split, windows

_HOME = {
    "Algorithm": "algorithms.base",
    "RatingPredictor": "algorithms.base",
    "make_algorithm": "algorithms.catalogue",
    "leak_check": "checks",
    "Comparison": "comparison",
    "compare": "comparison",
    "compare_datasets": "comparison",
    "load_dataset": "data.datasets",
    "read_interactions": "data.files",
    "Catalogue": "data.interactions",
    "Interactions": "data.interactions",
    "RankedLists": "data.ranked_lists",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "Split": "splits",
    "fixed_split": "splits",
    "folds": "splits",
    "split": "splits",
    "windows": "splits",
}

__all__ = [
    "Algorithm",
    "Catalogue",
    "Comparison",
    "Evaluation",
    "Interactions",
    "RankedLists",
    "RatingPredictor",
    "Split",
    "compare",
    "compare_datasets",
    "evaluate",
    "fixed_split",
    "folds",
    "leak_check",
    "load_dataset",
    "make_algorithm",
    "read_interactions",
    "split",
    "windows",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recsys_lab' has no attribute {name!r}; public names: {', '.join(sorted(_HOME))}")
    value = getattr(import_module(f"recsys_lab.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])
