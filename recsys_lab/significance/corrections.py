"""P-values corrected for the number of tests in a family."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys_lab.significance.inputs import Float64, probabilities


def holm(p_values: ArrayLike) -> Float64:
    """P-values corrected for their number by Holm's step-down method, (m,), in the given order.

    The smallest is multiplied by m, the next by m - 1, ...; none is smaller than one before it, none above 1.
    Rejecting below .05 keeps the chance of any false rejection below .05 (Holm, Scand. J. Statist. 1979).
    """
    p = probabilities(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected: Float64 = np.minimum(steps, 1.0)[np.argsort(order)]
    return corrected


def benjamini_hochberg(p_values: ArrayLike) -> Float64:
    """P-values corrected by Benjamini and Hochberg's step-up method, (m,), in the given order.

    Rejecting below .05 keeps the expected share of false rejections below .05 (J. R. Statist. Soc. B 1995).
    """
    p = probabilities(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    steps = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1))
    corrected: Float64 = np.minimum(steps, 1.0)[np.argsort(order)]
    return corrected
