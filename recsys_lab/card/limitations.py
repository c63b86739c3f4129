"""What a reader must keep in mind: sentences that follow from the facts on the card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FEW_USERS = 200  # below so many users the intervals are rough (EVALUATION §3)
MANY_COLD = 0.05  # share of cold users or of test rows of cold items worth a sentence


def limitations(card: Mapping[str, Any], warnings: Sequence[str] = ()) -> list[str]:
    """The sentences of ``card``; ``warnings`` are those of the split and of the evaluation, which say more of some."""
    found = [*_users(card), *_split(card), *_model(card), *_measuring(card), *_checks(card)]
    found += [f"{note[0].upper()}{note[1:].rstrip('.')}." for note in warnings if note]
    return list(dict.fromkeys(found))


def _users(card: Mapping[str, Any]) -> Iterator[str]:
    n = card["counts"].get("n_users")
    if n is not None and n < FEW_USERS:
        yield f"Only {n:.0f} users were measured; below {FEW_USERS} the intervals are wide and rough."
    cold = card["counts"].get("n_users_cold")
    if n and cold is not None and cold / n > MANY_COLD:
        yield f"{cold / n:.1%} of the measured users have no row in train: their lists rest on a fallback."


def _split(card: Mapping[str, Any]) -> Iterator[str]:
    split = card["split"]
    leak, counts = split["future_leak_share"], split["counts"]
    if leak:
        yield (
            f"A {split['strategy']} split: in {leak:.1%} of the pairs of a train and a test row the train row is the "
            "later one, so the model knows a future that it would not have in use."
        )
    elif leak is None:
        yield "The rows have no times, so nobody knows what of train lies in the future of test."
    rows, cold = counts["n_test"], counts["n_test_cold_items"]
    if rows and MANY_COLD < cold / rows <= 0.5:  # above, the split itself warns
        yield f"{cold / rows:.1%} of the test rows are of items without a row in train, which most models cannot find."


def _model(card: Mapping[str, Any]) -> Iterator[str]:
    model, tuning = card["model"], card["tuning"]
    if model["hyper_parameters"] == "default":
        yield "The hyper-parameters are the defaults: a start, not what the algorithm can do."
    elif model["hyper_parameters"] == "fixed":
        yield "The hyper-parameters were set by hand; nobody knows how much better a search would be."
    for warning in (tuning or {}).get("warnings", []):
        yield f"Tuning: {warning.rstrip('.')}."
    if model["stochastic"] and len(model["seeds"]) < 5:
        n = len(model["seeds"])
        yield f"A stochastic model measured with {n} seed{'s' if n > 1 else ''}; its spread over seeds needs five."


def _measuring(card: Mapping[str, Any]) -> Iterator[str]:
    coverage = card["counts"].get("user_coverage")
    if coverage is not None and coverage < 1:
        yield f"{1 - coverage:.1%} of the users got no list and count as 0."
    if card["counts"].get("prediction_coverage") not in (None, 1.0):
        yield f"{1 - card['counts']['prediction_coverage']:.1%} of the test ratings could not be predicted."
    sampled = [name for name in card["results"] if name.startswith("sampled_")]
    if sampled:
        yield f"{', '.join(sampled)}: ranked against sampled items; the order of models may be another one in full."
    candidates = card["protocol"].get("candidates") or {}
    if candidates.get("kind") in ("list", "per_user"):
        yield "Only given candidates were ranked; the numbers compare with the same candidates only."
    if card["code"].get("dirty"):
        yield "The code had changes that are in no commit."


def _checks(card: Mapping[str, Any]) -> Iterator[str]:
    for check in card["checks"]:
        if not check["passed"] and check["id"] != "L03":  # L03 has its sentence above
            message = check["message"]
            yield f"{check['id']}: {message.rstrip('.')}."
