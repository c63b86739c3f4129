"""Least squares of many small systems that share one Gram matrix: the inner loops of alternating least squares.

Row u of ``out`` (n_rows, n_factors) float32 solves (gram + Σ weight y yᵀ + ridge_u · 1) x_u = Σ pull y over its entries
(indices, weights, pulls), where y are rows of ``fixed`` (n, n_factors) float32. Rows are solved in the given ``order``,
in chunks of it; no row depends on another, so that the bits are the same on any number of threads. The factors of a
row's entries are copied once into a buffer of the chunk and read four at a time: the sum stays in registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_lab.algorithms.pair_kernels import dot
from recsys_lab.compiled import njit, prange
from recsys_lab.data.interactions import Int64

# sums may be reassociated (so that they run in vector registers), but NaN and infinity keep their meaning
_FAST = {"reassoc", "contract"}
N_CHUNKS = 64  # slices of the order, each solved by one thread


def spread(loads: Any, n_parts: int = N_CHUNKS) -> Int64:
    """An order of rows in which heavy and light ones alternate: static slices of it cost about the same."""
    if len(loads) < 2:
        return np.arange(len(loads))
    heaviest_first = np.argsort(-np.asarray(loads), kind="stable")
    return np.concatenate([heaviest_first[start::n_parts] for start in range(n_parts)])


@njit(fastmath=_FAST, parallel=True)
def gram_matrix(factors: Any, n_parts: int = 16) -> Any:
    """factorsᵀ factors (n_factors, n_factors) float32, summed in parts: the same bits on any number of threads.

    Not by BLAS: its threads keep spinning after the product and take the cores from the solver that follows.
    """
    n_rows, n_factors = factors.shape
    parts = np.zeros((n_parts, n_factors, n_factors), dtype=np.float32)
    for part in prange(n_parts):
        mine = parts[part]
        for row in range(part * n_rows // n_parts, (part + 1) * n_rows // n_parts):
            for i in range(n_factors):
                value = factors[row, i]
                for j in range(n_factors):
                    mine[i, j] += value * factors[row, j]
    return parts.sum(axis=0)


@njit()
def _longest(indptr: Any, rows: Any) -> int:
    """The greatest number of entries of these rows."""
    longest = 0
    for row in rows:
        longest = max(longest, indptr[row + 1] - indptr[row])
    return longest


@njit()
def _gather(fixed: Any, indices: Any, rows: Any) -> None:
    """Copy the factors of the entries next to each other."""
    for place in range(len(indices)):
        source, target = fixed[indices[place]], rows[place]
        for j in range(fixed.shape[1]):
            target[j] = source[j]


@njit(fastmath=_FAST)
def _add_combination(vectors: Any, shares: Any, out: Any) -> None:
    """out += Σ share · vector, four vectors at a time."""
    n, place = len(shares), 0
    while place + 4 <= n:
        a, b, c, d = vectors[place], vectors[place + 1], vectors[place + 2], vectors[place + 3]
        sa, sb, sc, sd = shares[place], shares[place + 1], shares[place + 2], shares[place + 3]
        for j in range(len(out)):
            out[j] += (sa * a[j] + sb * b[j]) + (sc * c[j] + sd * d[j])
        place += 4
    for last in range(place, n):
        for j in range(len(out)):
            out[j] += shares[last] * vectors[last, j]


@njit(fastmath=_FAST)
def _add_pulls(rows: Any, weights: Any, pulls: Any, x: Any, out: Any) -> None:
    """out += rowsᵀ (pulls − weights · (rows x)), four rows at a time."""
    n, n_factors, place = len(rows), len(x), 0
    while place + 4 <= n:
        a, b, c, d = rows[place], rows[place + 1], rows[place + 2], rows[place + 3]
        sa = sb = sc = sd = np.float32(0)
        for j in range(n_factors):
            value = x[j]
            sa += a[j] * value
            sb += b[j] * value
            sc += c[j] * value
            sd += d[j] * value
        sa = pulls[place] - weights[place] * sa
        sb = pulls[place + 1] - weights[place + 1] * sb
        sc = pulls[place + 2] - weights[place + 2] * sc
        sd = pulls[place + 3] - weights[place + 3] * sd
        for j in range(n_factors):
            out[j] += (sa * a[j] + sb * b[j]) + (sc * c[j] + sd * d[j])
        place += 4
    for last in range(place, n):
        share = pulls[last] - weights[last] * dot(rows[last], x)
        for j in range(n_factors):
            out[j] += share * rows[last, j]


@njit(fastmath=_FAST)
def _residual(gram: Any, ridge: Any, rows: Any, weights: Any, pulls: Any, x: Any, out: Any) -> None:
    """out = rowsᵀ pulls − (gram + rowsᵀ diag(weights) rows + ridge · 1) x."""
    for j in range(len(x)):
        out[j] = ridge * x[j]
    _add_combination(gram, x, out)
    for j in range(len(x)):
        out[j] = -out[j]
    _add_pulls(rows, weights, pulls, x, out)


@njit(fastmath=_FAST)
def _descend(gram, ridge, rows, weights, pulls, nothing, x, vectors, n_steps):  # type: ignore[no-untyped-def]
    """Conjugate gradients on one row from its present value; ``nothing`` are pulls of 0."""
    residual, direction, product = vectors
    _residual(gram, ridge, rows, weights, pulls, x, residual)
    direction[:] = residual
    squared = dot(residual, residual)
    for _ in range(n_steps):
        if squared < np.float32(1e-20):
            break
        _residual(gram, ridge, rows, weights, nothing, direction, product)  # −A d
        step = squared / dot(direction, product)
        for j in range(len(x)):
            x[j] -= step * direction[j]
            residual[j] -= step * product[j]
        previous, squared = squared, dot(residual, residual)
        for j in range(len(x)):
            direction[j] = residual[j] + squared / previous * direction[j]


@njit(fastmath=_FAST, parallel=True)
def solve_rows_cg(indptr, entries, fixed, gram, ridge, order, out, n_steps):  # type: ignore[no-untyped-def]
    """Conjugate gradients on every row from its present value (Takács, Pilászy and Tikk, RecSys 2011)."""
    indices, weights, pulls = entries
    for chunk in prange(N_CHUNKS):
        mine = order[chunk * len(order) // N_CHUNKS : (chunk + 1) * len(order) // N_CHUNKS]
        longest = _longest(indptr, mine)
        buffer = np.empty((longest, fixed.shape[1]), dtype=np.float32)
        vectors = np.empty((3, fixed.shape[1]), dtype=np.float32)
        nothing = np.zeros(longest, dtype=np.float32)
        for row in mine:
            start, end = indptr[row], indptr[row + 1]
            if start == end:
                out[row, :] = 0
                continue
            rows = buffer[: end - start]
            _gather(fixed, indices[start:end], rows)
            _descend(
                gram, ridge[row], rows, weights[start:end], pulls[start:end], nothing, out[row],
                (vectors[0], vectors[1], vectors[2]), n_steps,
            )  # fmt: skip


@njit(fastmath=_FAST)
def _add_outer(rows: Any, weights: Any, first: int, system: Any) -> None:
    """system += Σ weight y yᵀ over the columns from ``first`` on, lower triangle, four rows at a time."""
    n, size, place = len(rows), len(system), 0
    while place + 4 <= n:
        # cut here: a sum of two numbers as an index could be negative, and the test for it takes the vector registers
        a, b, c, d = rows[place, first:], rows[place + 1, first:], rows[place + 2, first:], rows[place + 3, first:]
        for i in range(size):
            va, vb = weights[place] * a[i], weights[place + 1] * b[i]
            vc, vd = weights[place + 2] * c[i], weights[place + 3] * d[i]
            mine = system[i]
            for j in range(i + 1):
                mine[j] += (va * a[j] + vb * b[j]) + (vc * c[j] + vd * d[j])
        place += 4
    for last in range(place, n):
        row = rows[last, first:]
        for i in range(size):
            value = weights[last] * row[i]
            for j in range(i + 1):
                system[i, j] += value * row[j]


@njit(fastmath=_FAST)
def _solve(system: Any, x: Any) -> None:
    """Solve system x = x in place by Cholesky factorisation of the lower triangle, which is overwritten."""
    n = len(system)
    for i in range(n):
        for j in range(i + 1):
            total = system[i, j] - dot(system[i, :j], system[j, :j])
            if i == j:
                system[i, i] = np.sqrt(total)
            else:
                system[i, j] = total / system[j, j]
        x[i] = (x[i] - dot(system[i, :i], x[:i])) / system[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= system[i, i]
        for j in range(i):
            x[j] -= system[i, j] * x[i]


@njit(fastmath=_FAST, parallel=True)
def solve_rows_in_blocks(indptr, entries, fixed, gram, ridge, order, out, block_size):  # type: ignore[no-untyped-def]
    """Every row by one exact solution for each block of ``block_size`` factors in turn, the others as they are.

    Block coordinate descent (iALS++: Rendle et al., arXiv 2110.14044, 2021). A block of all factors is exact.
    """
    indices, weights, pulls = entries
    n_factors = fixed.shape[1]
    for chunk in prange(N_CHUNKS):
        mine = order[chunk * len(order) // N_CHUNKS : (chunk + 1) * len(order) // N_CHUNKS]
        buffer = np.empty((_longest(indptr, mine), n_factors), dtype=np.float32)
        residual, change = np.empty(n_factors, dtype=np.float32), np.empty(n_factors, dtype=np.float32)
        for row in mine:
            start, end, x = indptr[row], indptr[row + 1], out[row]
            if start == end:
                x[:] = 0
                continue
            rows = buffer[: end - start]
            _gather(fixed, indices[start:end], rows)
            for first in range(0, n_factors, block_size):
                last = min(first + block_size, n_factors)
                _residual(gram, ridge[row], rows, weights[start:end], pulls[start:end], x, residual)
                system = gram[first:last, first:last].copy()
                for i in range(last - first):
                    system[i, i] += ridge[row]
                _add_outer(rows, weights[start:end], first, system)
                change[first:last] = residual[first:last]
                _solve(system, change[first:last])
                x[first:last] += change[first:last]
