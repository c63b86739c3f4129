"""The card of one row of a leaderboard: what the table knows is added to the cards of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recsys_lab.card.status import status_of

_OF_ONE_SEED = "A stochastic model measured with"  # begins the sentence that more seeds make untrue


def complete_card(
    cards: Sequence[Mapping[str, Any]],
    comparison: Mapping[str, Any] | None,
    *,
    primary: Mapping[str, float] | None = None,
    same_users: bool = True,
) -> dict[str, Any]:
    """One card from those of the seeds and folds of a row, with its place in the table.

    ``comparison``: the fields of the schema; ``primary``: mean, low, high and n of the primary metric as the table
    shows it. Means and costs are means over the runs; the interval of any other metric is known for a single run only.
    Raises ValueError without cards.
    """
    if not cards:
        raise ValueError("a row without a card cannot be completed; found no card")
    first = cards[0]
    seeds = [seed for card in cards for seed in card["model"]["seeds"]]
    whole = dict(first) | {
        "runs": [run for card in cards for run in card["runs"]],
        "model": dict(first["model"]) | {"seeds": list(dict.fromkeys(seeds))},
        "results": _results(cards),
        "counts": _means([card["counts"] for card in cards]),
        "cost": _means([card["cost"] for card in cards]),
        "comparison": None if comparison is None else dict(comparison),
        "checks": _checks(cards),
        "limitations": _limitations(cards, len(set(seeds))),
    }
    name = str(first["protocol"]["primary"])
    if primary is not None and name in whole["results"]:
        whole["results"][name] |= {
            "mean": primary["mean"],
            "interval": None if np.isnan(primary["low"]) else [primary["low"], primary["high"]],
            "n": int(primary["n"]),
        }
    missing = (comparison or {}).get("missing_baselines", [])
    whole["status"] = status_of(whole["checks"], missing_baselines=missing, same_users=same_users)
    if missing:
        whole["limitations"].insert(
            0, f"The table lacks {', '.join(missing)}: nobody knows what its numbers are worth."
        )
    return whole


def _results(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, one in cards[0]["results"].items():
        given = [card["results"][name] for card in cards if name in card["results"]]
        found[name] = {
            "mean": _mean([other["mean"] for other in given]),
            "interval": one["interval"] if len(cards) == 1 else None,
            "n": one["n"],
            "sd_over_seeds": _sd_over_seeds(cards, name),
        }
    return found


def _sd_over_seeds(cards: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Standard deviation over seeds of the mean over folds; None for one seed or a model without."""
    by_seed: dict[int, list[float | None]] = {}
    for card in cards:
        for seed in card["model"]["seeds"]:
            by_seed.setdefault(seed, []).append(card["results"].get(name, {}).get("mean"))
    means = [mean for mean in map(_mean, by_seed.values()) if mean is not None]
    return float(np.std(means, ddof=1)) if len(means) > 1 else None


def _means(given: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    return {name: _mean([one.get(name) for one in given]) for name in given[0]}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _checks(cards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every check once: as it failed in some run, else as it passed in the first."""
    found: dict[str, dict[str, Any]] = {}
    for card in cards:
        for check in card["checks"]:
            known = found.get(check["id"])
            if known is None or (known["passed"] and not check["passed"]):
                found[check["id"]] = dict(check)
    return [found[name] for name in sorted(found)]


def _limitations(cards: Sequence[Mapping[str, Any]], n_seeds: int) -> list[str]:
    found = list(dict.fromkeys(sentence for card in cards for sentence in card["limitations"]))
    if n_seeds >= 5:
        return [sentence for sentence in found if not sentence.startswith(_OF_ONE_SEED)]
    return [
        f"{_OF_ONE_SEED} {n_seeds} seeds; its spread over seeds needs five."
        if n_seeds > 1 and sentence.startswith(_OF_ONE_SEED)
        else sentence
        for sentence in found
    ]
