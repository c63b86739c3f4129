"""The only top-k of the project: mask, select with a heap, break ties by a seeded hash."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys_lab.compiled import njit, prange
from recsys_lab.data.interactions import Bool, Float32, Int32
from recsys_lab.data.ranked_lists import RankedLists

Candidates: TypeAlias = "Int32 | sparse.csr_matrix | None"
_NONE = np.zeros(0, dtype=np.int32)
_NONE_PTR = np.zeros(0, dtype=np.int64)
BLOCK = 32  # scores looked at together


def listable(shape: tuple[int, int], exclude: sparse.csr_matrix | None, candidates: Candidates) -> Bool:
    """What ``top_k`` may list, (b, n_items) bool: the candidates less what is excluded."""
    n_rows, n_items = shape
    allowed = np.zeros(shape, dtype=np.bool_)
    if candidates is None:
        allowed[:] = True
    elif sparse.issparse(candidates):
        pointers, items = _rows(candidates, n_rows, n_items, "candidates")
        allowed[np.repeat(np.arange(n_rows), np.diff(pointers)), items] = True
    else:
        allowed[:, _codes(candidates, n_items)] = True
    pointers, items = _rows(exclude, n_rows, n_items, "exclude")
    allowed[np.repeat(np.arange(n_rows), np.diff(pointers)), items] = False
    return allowed


def top_k(
    scores: Float32,
    k: int,
    *,
    users: Int32,
    exclude: sparse.csr_matrix | None = None,
    candidates: Candidates = None,
    tie_seed: int = 0,
) -> RankedLists:
    """The k best items of each row of ``scores`` (b, n_items) float32, which is only read.

    ``exclude`` (b, n_items) CSR: what is stored is never listed, whatever its value. ``candidates``: item codes
    that may be listed, one 1-d array for all rows or a CSR (b, n_items) whose stored entries are each row's own.
    A score of -inf masks an item. Items of equal score are ordered by a hash of (tie_seed, user code, item code),
    so neither their position nor the order of the candidates matters.

    Raises ValueError, naming user and item, for NaN or +inf.
    """
    n_rows, n_items = scores.shape
    if k < 1:
        raise ValueError(f"k is the length of the lists and must be at least 1; found {k}")
    if len(users) != n_rows:
        raise ValueError(f"{n_rows} rows of scores need as many users; found {len(users)}")
    out_ptr, out_items = _rows(exclude, n_rows, n_items, "exclude")
    own_ptr, own_items, shared = _NONE_PTR, _NONE, _NONE
    if sparse.issparse(candidates):
        own_ptr, own_items = _rows(candidates, n_rows, n_items, "candidates")
    else:
        shared = np.arange(n_items, dtype=np.int32) if candidates is None else _codes(candidates, n_items)
    items, best, tied, faulty = _select(
        np.ascontiguousarray(scores, dtype=np.float32),
        k,
        np.asarray(users, dtype=np.int32),
        out_ptr,
        out_items,
        shared,
        own_ptr,
        own_items,
        np.uint64(tie_seed),
    )
    if (faulty >= 0).any():
        row = int(np.argmax(faulty >= 0))
        item = faulty[row]
        raise ValueError(
            f"user {users[row]}, item {item}: the score is {scores[row, item]}; "
            "scores must be finite, or -inf to mask an item"
        )
    return RankedLists(users, items, best, tied)


def _rows(matrix: Any, n_rows: int, n_items: int, name: str) -> tuple[NDArray[np.int64], Int32]:
    if matrix is None:
        return np.zeros(n_rows + 1, dtype=np.int64), _NONE
    if matrix.shape != (n_rows, n_items):
        raise ValueError(
            f"{name} has shape {matrix.shape}; expected {(n_rows, n_items)}, one row a user and one column an item"
        )
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False)


def _codes(candidates: Any, n_items: int) -> Int32:
    codes = np.asarray(candidates)
    if codes.dtype != np.int32 or not (codes[1:] > codes[:-1]).all():
        codes = np.unique(codes.astype(np.int64))
    if codes.size and (codes[0] < 0 or codes[-1] >= n_items):
        raise ValueError(f"candidates must be item codes 0 ... {n_items - 1}; found {codes[0]} ... {codes[-1]}")
    return codes.astype(np.int32, copy=False)


@njit(inline="always")
def _tie_hash(seed: np.uint64, user: int, item: int) -> np.uint64:
    """A well-mixed 64-bit number (the finaliser of splitmix64, Steele, Lea and Flood, OOPSLA 2014), over both codes."""
    x = seed + np.uint64(user + 1) * np.uint64(0x9E3779B97F4A7C15)
    for _ in range(2):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
        x = x + np.uint64(item + 1) * np.uint64(0xD1B54A32D192ED03)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return x ^ (x >> np.uint64(31))


@njit(inline="always")
def _worse(score_a: float, hash_a: np.uint64, score_b: float, hash_b: np.uint64) -> bool:
    return bool(score_a < score_b or (score_a == score_b and hash_a > hash_b))


@njit()
def _sift_down(scores: Any, hashes: Any, items: Any, root: int, size: int) -> None:
    """Restore the heap whose worst entry is on top, below ``root``."""
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and _worse(scores[child + 1], hashes[child + 1], scores[child], hashes[child]):
            child += 1
        if not _worse(scores[child], hashes[child], scores[root], hashes[root]):
            return
        scores[root], scores[child] = scores[child], scores[root]
        hashes[root], hashes[child] = hashes[child], hashes[root]
        items[root], items[child] = items[child], items[root]
        root = child


@njit()
def _sort_heap(scores: Any, hashes: Any, items: Any, size: int) -> None:
    """Turn the heap into a list, best first: the worst goes to the end, again and again."""
    for end in range(size - 1, 0, -1):
        scores[0], scores[end] = scores[end], scores[0]
        hashes[0], hashes[end] = hashes[end], hashes[0]
        items[0], items[end] = items[end], items[0]
        _sift_down(scores, hashes, items, 0, end)


@njit()
def _largest_of_blocks(values: Any) -> Any:
    """The largest value of each ``BLOCK`` in turn, float32; +inf where one is NaN or +inf."""
    bits = values.view(np.int32)
    largest = np.empty((values.size + BLOCK - 1) // BLOCK, dtype=np.float32)
    keys = largest.view(np.int32)
    for block in range(largest.size):
        start, stop = block * BLOCK, min(values.size, (block + 1) * BLOCK)
        highest = np.int32(-(2**31))
        faulty = 0
        for place in range(start, stop):
            faulty += not values[place] < np.inf
            highest = max(highest, np.int32(bits[place] ^ ((bits[place] >> 31) & 0x7FFFFFFF)))
        if faulty:
            largest[block] = np.inf
        else:
            keys[block] = highest ^ ((highest >> 31) & 0x7FFFFFFF)  # whole numbers in the order of the floats, and back
    return largest


@njit()
def _reached_by(largest: Any, k: int) -> Any:
    """The k-th largest of (n,) float32, which at least k scores reach; -inf where there are fewer."""
    if largest.size < k:
        return np.float32(-np.inf)
    return np.partition(largest, largest.size - k)[largest.size - k]


@njit()
def _select_row(values: Any, listed: Any, user: int, seed: np.uint64, best: Any, items: Any) -> tuple[int, bool]:
    """Fill ``best`` and ``items`` (k,); returns the first faulty item (or -1) and whether the cut splits a tie.

    ``values`` (n,) float32 are the scores of ``listed`` (n,), -inf for what is masked. Blocks whose largest value is
    below the k-th best are passed over; NaN and +inf are not.
    """
    k, n = len(items), len(listed)
    hashes = np.zeros(k, dtype=np.uint64)
    size = 0
    left_out = np.float32(-np.inf)  # the best score that is not listed, where it may equal the last one listed
    largest = _largest_of_blocks(values)
    threshold = _reached_by(largest, k)
    for block in range(largest.size):
        if largest[block] < threshold:
            continue
        for place in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
            score = values[place]
            if score < threshold or score == -np.inf:
                continue
            item = listed[place]
            if not score < np.inf:
                return item, False
            tie = _tie_hash(seed, user, item)
            if size < k:
                best[size], hashes[size], items[size] = score, tie, item
                size += 1
                if size == k:
                    for root in range(k // 2 - 1, -1, -1):
                        _sift_down(best, hashes, items, root, k)
                    threshold = best[0]
            elif _worse(best[0], hashes[0], score, tie):
                left_out = max(left_out, best[0])
                best[0], hashes[0], items[0] = score, tie, item
                _sift_down(best, hashes, items, 0, k)
                threshold = best[0]
            else:
                left_out = max(left_out, score)
    if size < k:  # never became a heap
        for root in range(size // 2 - 1, -1, -1):
            _sift_down(best, hashes, items, root, size)
    splits_tie = size == k and left_out == best[0]
    _sort_heap(best, hashes, items, size)
    return -1, splits_tie


@njit(parallel=True)
def _select(scores, k, users, out_ptr, out_items, shared, own_ptr, own_items, seed):  # type: ignore[no-untyped-def]
    """``shared`` holds each code once, rising: as many as there are items are all of them, in order."""
    n_rows, n_items = scores.shape
    items = np.full((n_rows, k), -1, dtype=np.int32)
    best = np.full((n_rows, k), -np.inf, dtype=np.float32)
    tied = np.zeros(n_rows, dtype=np.bool_)
    faulty = np.full(n_rows, -1, dtype=np.int32)
    for row in prange(n_rows):
        masked = scores[row].copy()
        for position in range(out_ptr[row], out_ptr[row + 1]):
            if masked[out_items[position]] < np.inf:  # a faulty score stays, to be found
                masked[out_items[position]] = -np.inf
        listed = own_items[own_ptr[row] : own_ptr[row + 1]] if own_ptr.size else shared
        values = masked if not own_ptr.size and shared.size == n_items else masked[listed]
        faulty[row], tied[row] = _select_row(values, listed, users[row], seed, best[row], items[row])
    return items, best, tied, faulty
