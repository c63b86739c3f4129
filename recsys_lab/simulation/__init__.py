"""Does offline evaluation tell the truth? Protocols judged on generated data, whose truth is known."""

from recsys_lab.simulation.spec import Simulation, load_simulation
from recsys_lab.simulation.study import read_study, results_folder, simulate
from recsys_lab.simulation.summary import (
    model_points,
    pairs_by_truth,
    protocol_grid,
    protocols,
    true_and_measured,
    truth_of_models,
)
from recsys_lab.simulation.truth import LIKED, NEXT, true_values

__all__ = [
    "LIKED",
    "NEXT",
    "Simulation",
    "load_simulation",
    "model_points",
    "pairs_by_truth",
    "protocol_grid",
    "protocols",
    "read_study",
    "results_folder",
    "simulate",
    "true_and_measured",
    "true_values",
    "truth_of_models",
]
