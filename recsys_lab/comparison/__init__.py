"""Comparison of evaluations: the same data, split, protocol and users, or an error; and over data sets, by ranks."""

from recsys_lab.comparison.across import DatasetsComparison, compare_datasets
from recsys_lab.comparison.comparing import BASELINES, REFERENCES, Comparison, compare

__all__ = ["BASELINES", "REFERENCES", "Comparison", "DatasetsComparison", "compare", "compare_datasets"]
