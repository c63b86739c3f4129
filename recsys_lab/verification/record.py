"""Does a record agree with itself: MLflow, summary, values by user, card and recipe must tell one story."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from recsys_lab import tracking
from recsys_lab.comparison.values import MICRO, measured_values
from recsys_lab.evaluation import Evaluation, plain_parameters
from recsys_lab.evaluation.protocol import with_hash
from recsys_lab.evaluation.result import mean
from recsys_lab.tracking import Recipe, Run

MICRO_TOLERANCE = 1e-9  # relative: a micro error is summed in another order here


def contradictions(run: Run, evaluation: Evaluation, card: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """What was changed after the run was recorded, as far as the record itself shows it; [] when it agrees."""
    return [
        *_metrics(run, evaluation, str(card["protocol"]["primary"])),
        *_means(evaluation, card),
        *_parameters(run, evaluation, card, recipe),
        *_hashes(run, evaluation, card),
    ]


def _metrics(run: Run, evaluation: Evaluation, primary: str) -> Iterator[str]:
    means = {**evaluation.summary, **vars(evaluation.cost)}
    for key, value in tracking.shown_metrics(means, primary).items():
        if run.metrics.get(key) != value:
            yield f"tampered metric: MLflow has {key} = {run.metrics.get(key)!r}, the run's summary.json {value!r}"


def _means(evaluation: Evaluation, card: Mapping[str, Any]) -> Iterator[str]:
    for name, value in evaluation.summary.items():
        told = f"tampered metric: summary.json has {name} = {value!r}"
        if name in MICRO and MICRO[name][0] in evaluation.per_user:
            found = float(measured_values({"run": evaluation}, name).values["run"].mean())
            if not np.isclose(found, value, rtol=MICRO_TOLERANCE, atol=0):
                yield f"{told}, the errors by user give {found!r}"
        elif name in evaluation.metrics:
            found = mean(evaluation.per_user[name].to_numpy(dtype=np.float64))
            if found != value and not (np.isnan(found) and np.isnan(value)):
                yield f"{told}, the mean of the values by user is {found!r}"
        result = card["results"].get(name)
        if result is not None and result["mean"] != (None if np.isnan(value) else value):
            yield f"tampered card: {name} is {result['mean']!r} on the card, {value!r} in summary.json"


def _parameters(run: Run, evaluation: Evaluation, card: Mapping[str, Any], recipe: Recipe) -> Iterator[str]:
    stored = evaluation.parameters
    made = plain_parameters(recipe.trial.make())
    for name in dict.fromkeys([*stored, *made]):
        value = stored.get(name)
        if run.params.get(name) != str(value)[:6000]:
            yield f"changed parameter: MLflow has {name} = {run.params.get(name)}, the run's summary.json {value}"
        if made.get(name) != value:
            yield f"changed parameter: recipe.json has {name} = {made.get(name)}, summary.json {value}"
        if card["model"]["parameters"].get(name) != json.loads(json.dumps(value)):
            shown = card["model"]["parameters"].get(name)
            yield f"changed parameter: the card has {name} = {shown}, summary.json {value}"


def _hashes(run: Run, evaluation: Evaluation, card: Mapping[str, Any]) -> Iterator[str]:
    protocol = {key: value for key, value in evaluation.protocol.items() if key != "hash"}
    if with_hash(protocol)["hash"] != evaluation.protocol.get("hash"):
        yield "changed protocol: the fields in summary.json do not give its protocol hash"
    told = {
        "dataset_hash": (evaluation.dataset_hash, card["data"]["dataset_hash"]),
        "split_hash": (evaluation.split_hash, card["split"]["hash"]),
        "protocol_hash": (str(evaluation.protocol.get("hash")), card["protocol"]["hash"]),
    }
    for name, (stored, on_card) in told.items():
        for where, value in (("MLflow", run.tags.get(name, "")), ("the card", on_card)):
            if value != stored:
                yield f"changed {name}: {where} has {value[:16]}, summary.json {stored[:16]}"
