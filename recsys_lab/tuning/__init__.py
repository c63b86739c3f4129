"""Hyper-parameters chosen on a validation part, by the same budget for every model."""

from recsys_lab.tuning.record import TuningRecord
from recsys_lab.tuning.sealed import SealedTest, SealedTestError, sealed
from recsys_lab.tuning.search import tune
from recsys_lab.tuning.space import check_space, space_of

__all__ = ["SealedTest", "SealedTestError", "TuningRecord", "check_space", "sealed", "space_of", "tune"]
