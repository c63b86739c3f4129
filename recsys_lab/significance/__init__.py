"""Intervals, paired tests, corrections, power and ranks: pure functions on arrays.

Every value belongs to one user (or one fold, or one data set); arrays must be finite, so leave out users without a
value first. Methods and their measured error rates: docs/statistics.md.
"""

from recsys_lab.significance.corrections import benjamini_hochberg, holm
from recsys_lab.significance.groups import rank_cliques, rank_groups
from recsys_lab.significance.independent import (
    IndependentTest,
    cohen_d,
    sample_ratio_p,
    shuffle_p,
    shuffle_ps,
    welch_test,
)
from recsys_lab.significance.intervals import Interval, mean_interval
from recsys_lab.significance.paired import (
    PairedTest,
    cohen_dz,
    nadeau_bengio,
    paired_test,
    sign_flip_p,
    sign_flip_ps,
    wins_ties_losses,
)
from recsys_lab.significance.power import minimum_detectable_between, minimum_detectable_difference, power_of_test
from recsys_lab.significance.ranks import Friedman, friedman, nemenyi_critical_difference

__all__ = [
    "Friedman",
    "IndependentTest",
    "Interval",
    "PairedTest",
    "benjamini_hochberg",
    "cohen_d",
    "cohen_dz",
    "friedman",
    "holm",
    "mean_interval",
    "minimum_detectable_between",
    "minimum_detectable_difference",
    "nadeau_bengio",
    "nemenyi_critical_difference",
    "paired_test",
    "power_of_test",
    "rank_cliques",
    "rank_groups",
    "sample_ratio_p",
    "shuffle_p",
    "shuffle_ps",
    "sign_flip_p",
    "sign_flip_ps",
    "welch_test",
    "wins_ties_losses",
]
