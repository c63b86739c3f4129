"""Division that answers NaN, not an error or infinity, where there is nothing to divide by."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys_lab.data.interactions import Float64


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Float64:
    """``numerator`` / ``denominator``, broadcast, float64; NaN where the denominator is not above 0."""
    above, below = np.broadcast_arrays(np.asarray(numerator), np.asarray(denominator))
    result = np.full(above.shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result
