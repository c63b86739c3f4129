"""An experiment is one YAML file: a question, data, splits, a protocol and the models of each family."""

from recsys_lab.experiment.datasets import FileDataset, FixedDataset, NamedDataset
from recsys_lab.experiment.expand import BASELINE, DEFAULT, FIXED, TUNED, Trial, expand, labels, select
from recsys_lab.experiment.identity import code_version, hash_of, sweep_id, tuning_identity
from recsys_lab.experiment.load import ExperimentError, experiment_from_text, load_experiment, parse_yaml
from recsys_lab.experiment.models import FAMILIES, Experiment
from recsys_lab.experiment.split_spec import SplitSpec
from recsys_lab.experiment.tuning import TuningSpec

__all__ = [
    "BASELINE",
    "DEFAULT",
    "FAMILIES",
    "FIXED",
    "TUNED",
    "Experiment",
    "ExperimentError",
    "FileDataset",
    "FixedDataset",
    "NamedDataset",
    "SplitSpec",
    "Trial",
    "TuningSpec",
    "code_version",
    "expand",
    "experiment_from_text",
    "hash_of",
    "labels",
    "load_experiment",
    "parse_yaml",
    "select",
    "sweep_id",
    "tuning_identity",
]
