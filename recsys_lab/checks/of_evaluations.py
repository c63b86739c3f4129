"""Checks of what was measured: looks at the test part (L07), too good to be true (L10), the same users (L14)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from recsys_lab.checks.check import Check
from recsys_lab.metrics.definitions import lower_is_better, parse_metric

if TYPE_CHECKING:
    from recsys_lab.evaluation import Evaluation

MANY_LOOKS = 10  # configurations of one algorithm measured on one test part, above which L07 warns
TOO_GOOD = 0.95  # a higher mean of a metric of accuracy is hard to believe
TIMES_BASELINE = 5.0  # so many times the best baseline is hard to believe
# what long lists or few items bring near 1 without any skill
EASILY_HIGH = ("hit_rate", "recall", "recall_capped", "auc")


def looks_check(n_looks: int, algorithm: str) -> Check:
    """L07: how many configurations of one algorithm were measured on this test part, this one included.

    More than 10 and the best of them is chosen on the test part. ``n_looks`` comes from what MLflow recorded.
    """
    message = f"{n_looks} configurations of {algorithm} were measured on this test part"
    if n_looks > MANY_LOOKS:
        message += f", more than {MANY_LOOKS}: the best of them is chosen by the test part; choose on a validation part"
    return Check("L07", "W", n_looks <= MANY_LOOKS, float(n_looks), message)


def too_good_check(evaluation: Evaluation, baselines: Mapping[str, Evaluation], primary: str) -> Check:
    """L10: no metric of accuracy above .95, and the primary one not above 5 times the best of ``baselines``.

    The value is that ratio (of errors: how many times smaller), or the highest metric where there is no baseline.
    The Oracle is excepted. recall, hit_rate and auc are left out of the first rule: long lists alone lift them.
    """
    if evaluation.algorithm == "Oracle":
        return Check("L10", "W", True, None, "the Oracle knows the truth of generated data")
    found = []
    high = {name: value for name, value in evaluation.summary.items() if _is_accuracy(name) and value > TOO_GOOD}
    if high:
        name = max(high, key=lambda one: high[one])
        found.append(f"{name} is {high[name]:.3f}, above {TOO_GOOD:g}")
    ratio, best = _times_best(evaluation, baselines, primary)
    if ratio is not None and ratio > TIMES_BASELINE:
        found.append(f"{primary} is {ratio:.1f} times that of the best baseline ({best})")
    if found:
        message = "; ".join(found) + ": look for what the model knows of the test part (checks: {canary: true})"
        return Check("L10", "W", False, ratio if ratio is not None else max(high.values()), message)
    words = f"{primary} is {ratio:.2f} times that of {best}" if ratio is not None else "nothing is too good to be true"
    return Check("L10", "W", True, ratio, words)


def _is_accuracy(name: str) -> bool:
    base = name.partition("@")[0].partition("[")[0]
    if base in EASILY_HIGH:
        return False
    try:
        return parse_metric(name)[0].kind == "ranking"
    except ValueError:  # a count, such as n_users
        return False


def _times_best(evaluation: Evaluation, baselines: Mapping[str, Evaluation], primary: str) -> tuple[float | None, str]:
    """How many times better than the best baseline, and which that is; None where that cannot be said."""
    own = evaluation.summary.get(primary, math.nan)
    known = {label: one.summary.get(primary, math.nan) for label, one in baselines.items()}
    known = {label: value for label, value in known.items() if value > 0}
    if not known or math.isnan(own):
        return None, ""
    if lower_is_better(primary):
        best = min(known, key=lambda label: known[label])
        return (known[best] / own if own > 0 else math.inf), best
    best = max(known, key=lambda label: known[label])
    return own / known[best], best


def same_users_check(evaluations: Mapping[str, Evaluation]) -> Check:
    """L14: all models were measured on the same users; measured is who has at least one relevant item."""
    measured = {}
    for name, one in evaluations.items():
        frame = one.per_user
        column = next((column for column in ("n_relevant", "n_pairs") if column in frame), None)
        rows = np.ones(len(frame), dtype=bool) if column is None else frame[column].to_numpy() > 0
        measured[name] = set(frame.index[rows])
    if not measured:
        return Check("L14", "E", True, None, "no models to compare")
    everyone = set().union(*measured.values())
    lacking = {name: len(everyone - users) for name, users in measured.items() if users != everyone}
    if not lacking:
        sound = f"all {len(measured)} models were measured on the same {len(everyone)} users"
        return Check("L14", "E", True, 0.0, sound)
    listed = ", ".join(f"{name} lacks {count}" for name, count in lacking.items())
    message = f"of {len(everyone)} users {listed}; means over other users differ: measure all models anew on one split"
    return Check("L14", "E", False, float(sum(lacking.values())), message)
