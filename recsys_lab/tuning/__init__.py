"""Hyper-parameters chosen on a validation part, by the same budget for every model."""

from recsys_lab.tuning.record import TuningRecord

__all__ = ["TuningRecord"]
