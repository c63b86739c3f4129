"""Compiled loops of the sequential models."""

from __future__ import annotations

import numpy as np

from recsys_lab.algorithms.top_k import _tie_hash
from recsys_lab.compiled import njit, prange


@njit()
def hashes(users, items):  # type: ignore[no-untyped-def]
    """A well-mixed number (n,) uint64 of each pair (users[i], items[i])."""
    found = np.empty(users.size, dtype=np.uint64)
    for row in range(users.size):
        found[row] = _tie_hash(np.uint64(0), users[row], items[row])
    return found


@njit(parallel=True)
def event_weights(users, ptr, idx, k_ptr, k_idx, k_places, n_last, decay):  # type: ignore[no-untyped-def]
    """Weights (nnz,) float32 of the entries of histories (ptr, idx): decay ** p of the p-th last, each row's sum is 1.

    ``k_...`` is the CSR of the places of known users' items, 1 = last. Items without a place are newer and share p = 0.
    Of the others, the last ``n_last`` (less one if there are newer items) count.
    """
    weights = np.zeros(idx.size, dtype=np.float32)
    for row in prange(users.size):
        first, last = ptr[row], ptr[row + 1]
        places = np.zeros(last - first, dtype=np.int64)
        if users[row] >= 0:
            begin, end = k_ptr[users[row]], k_ptr[users[row] + 1]
            for p in range(first, last):
                spot = begin + np.searchsorted(k_idx[begin:end], idx[p])
                if spot < end and k_idx[spot] == idx[p]:
                    places[p - first] = k_places[spot]
        order = np.argsort(places, kind="mergesort")
        newer = places.size - np.count_nonzero(places)
        total = 0.0
        for rank in range(places.size):
            power = 0 if rank < newer else rank - newer + int(newer > 0)
            if power >= n_last:
                break
            weight = decay**power
            weights[first + order[rank]] = weight
            total += weight
        for p in range(first, last):
            weights[p] /= total
    return weights
