"""The k largest of many positive numbers, as a set: for neighbours, of which the order does not matter."""

from __future__ import annotations

import numpy as np

from recsys_lab.algorithms.top_k import _sift_down, _tie_hash
from recsys_lab.compiled import njit


@njit()
def _count_from(bits, least):  # type: ignore[no-untyped-def]
    count = 0
    for place in range(bits.size):
        count += bits[place] >= least
    return count


@njit()
def largest_positive(scores, codes, asker, places):  # type: ignore[no-untyped-def]
    """Put the places of the k largest of ``scores`` (n,) float32 into ``places`` (k,); return how many there are.

    Only scores above 0 count, NaN is not allowed. Ties at the cut go by the hash of (asker, codes[place]); the places
    rise, but for these. No heap: the k-th largest is found by bisection, each step one pass of vector instructions.
    """
    bits = scores.view(np.int32)  # positive floats are ordered as their bits are
    k, size = places.size, 0
    low, high = 1, 1
    if _count_from(bits, low) > k:
        high = int(bits.max()) + 1
        while high - low > 1:  # at least k from ``low`` up, fewer than k from ``high`` up
            middle = low + (high - low) // 2
            count = _count_from(bits, middle)
            if count < k:
                high = middle
            else:
                low = middle
                if count == k:
                    high = middle
    for place in range(bits.size):
        if bits[place] >= high:
            places[size] = place
            size += 1
    spare = k - size
    if high == low or spare == 0:
        return size
    tied = places[size:]
    equal, hashes = np.zeros(spare, dtype=np.float32), np.empty(spare, dtype=np.uint64)
    found = 0
    for place in range(bits.size):
        if bits[place] != low:
            continue
        tie = _tie_hash(np.uint64(0), asker, codes[place])
        if found < spare:
            hashes[found], tied[found] = tie, place
            found += 1
            if found == spare:
                for root in range(spare // 2 - 1, -1, -1):
                    _sift_down(equal, hashes, tied, root, spare)
        elif tie < hashes[0]:
            hashes[0], tied[0] = tie, place
            _sift_down(equal, hashes, tied, 0, spare)
    return k
