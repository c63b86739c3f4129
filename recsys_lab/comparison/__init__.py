"""Comparison of evaluations: the same data, split, protocol and users, or an error."""

from recsys_lab.comparison.comparing import BASELINES, REFERENCES, Comparison, compare

__all__ = ["BASELINES", "REFERENCES", "Comparison", "compare"]
