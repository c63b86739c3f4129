"""Compiled loops are loaded before anything is timed, so that a model's cost is its own."""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import cache
from typing import Any

from sklearn.base import clone

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.evaluation import evaluate
from recsys_lab.splits import Split, split

_WARM: set[tuple[type, str]] = set()


def warm(algorithm: Algorithm, protocol: dict[str, Any]) -> None:
    """Fit and evaluate a copy on a few rows, once a class and task in a process; ``algorithm`` stays as it is.

    Only algorithms of this package, and no neural ones: they have nothing to compile. What fails here (more factors
    than items, say) is of no interest: the real fit will say it.
    """
    kind = type(algorithm), str(protocol.get("task"))
    module = type(algorithm).__module__
    if kind in _WARM or not module.startswith("recsys_lab.") or ".neural" in module:
        return
    _WARM.add(kind)
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = {name: value for name, value in protocol.items() if name not in ("candidates", "relevance_threshold")}
        evaluate(clone(algorithm), _few_rows(), **plain)


@cache
def _few_rows() -> Split:
    return split(contract_data(), "random", test=0.2, seed=0)
