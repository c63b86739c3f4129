"""Least squares of many small systems that share one Gram matrix: the inner loops of alternating least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from recsys_lab.data.interactions import Int64

# sums may be reassociated (so that they run in vector registers), but NaN and infinity keep their meaning
_FAST = {"reassoc", "contract"}


def spread(loads: Any, n_parts: int = 8) -> Int64:
    """An order of rows in which heavy and light ones alternate: static slices of it cost about the same."""
    heaviest_first = np.argsort(-np.asarray(loads), kind="stable")
    return np.concatenate([heaviest_first[start::n_parts] for start in range(n_parts)])


@njit(cache=True, fastmath=_FAST, parallel=True)
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


@njit(cache=True, fastmath=_FAST)
def _apply(gram: Any, rows: Any, ridge: float, vector: Any, out: Any) -> None:
    """out = (gram + rowsᵀ rows + ridge · 1) vector."""
    n_factors = len(vector)
    for i in range(n_factors):
        total = np.float32(0)
        for j in range(n_factors):
            total += gram[i, j] * vector[j]
        out[i] = total + ridge * vector[i]
    for row in range(len(rows)):
        product = np.float32(0)
        for j in range(n_factors):
            product += rows[row, j] * vector[j]
        for j in range(n_factors):
            out[j] += product * rows[row, j]


@njit(cache=True, fastmath=_FAST)
def _gather(entries: Any, start: int, end: int, fixed: Any, rows: Any, total: Any) -> None:
    """Copy the factors of a row's entries, times the roots of their weights, and sum up the right-hand side."""
    indices, roots, pulls = entries
    total[:] = 0
    for place in range(start, end):
        index, root, pull = indices[place], roots[place], pulls[place]
        for j in range(fixed.shape[1]):
            rows[place - start, j] = root * fixed[index, j]
            total[j] += pull * fixed[index, j]


@njit(cache=True, fastmath=_FAST)
def _dot(a: Any, b: Any) -> Any:
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@njit(cache=True, fastmath=_FAST, parallel=True)
def solve_rows_cg(indptr, entries, fixed, gram, ridge, order, out, n_steps):  # type: ignore[no-untyped-def]
    """Conjugate gradients on every row from its present value (Takács, Pilászy and Tikk, RecSys 2011).

    Row u solves (gram + Σ root² y yᵀ + ridge_u · 1) x_u = Σ pull y over its entries (indices, roots, pulls), where y
    are rows of ``fixed`` (n, n_factors) float32. ``out`` (n_rows, n_factors) float32 is changed in place.
    """
    n_factors = fixed.shape[1]
    for place in prange(len(order)):
        row = order[place]
        start, end = indptr[row], indptr[row + 1]
        x = out[row]
        if start == end:
            x[:] = 0
            continue
        rows = np.empty((end - start, n_factors), dtype=np.float32)
        residual = np.empty(n_factors, dtype=np.float32)
        product = np.empty(n_factors, dtype=np.float32)
        _gather(entries, start, end, fixed, rows, residual)
        _apply(gram, rows, ridge[row], x, product)
        for j in range(n_factors):
            residual[j] -= product[j]
        direction = residual.copy()
        squared = _dot(residual, residual)
        for _ in range(n_steps):
            if squared < np.float32(1e-20):
                break
            _apply(gram, rows, ridge[row], direction, product)
            step = squared / _dot(direction, product)
            for j in range(n_factors):
                x[j] += step * direction[j]
                residual[j] -= step * product[j]
            previous, squared = squared, _dot(residual, residual)
            for j in range(n_factors):
                direction[j] = residual[j] + squared / previous * direction[j]


@njit(cache=True, fastmath=_FAST)
def _factorise(system: Any) -> None:
    """Cholesky factor of a symmetric positive definite matrix, in its lower triangle, in place."""
    for i in range(len(system)):
        for j in range(i + 1):
            total = system[i, j] - _dot(system[i, :j], system[j, :j])
            if i == j:
                system[i, i] = np.sqrt(total)
            else:
                system[i, j] = total / system[j, j]


@njit(cache=True, fastmath=_FAST)
def _substitute(factor: Any, x: Any) -> None:
    """Solve (L Lᵀ) x = x in place."""
    n = len(x)
    for i in range(n):
        x[i] = (x[i] - _dot(factor[i, :i], x[:i])) / factor[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= factor[i, i]
        for j in range(i):
            x[j] -= factor[i, j] * x[i]


@njit(cache=True, fastmath=_FAST, parallel=True)
def solve_rows_exactly(indptr, entries, fixed, gram, ridge, order, out):  # type: ignore[no-untyped-def]
    """The systems of ``solve_rows_cg`` by Cholesky factorisation of each; ``out`` is overwritten."""
    n_factors = fixed.shape[1]
    for place in prange(len(order)):
        row = order[place]
        start, end = indptr[row], indptr[row + 1]
        if start == end:
            out[row, :] = 0
            continue
        rows = np.empty((end - start, n_factors), dtype=np.float32)
        _gather(entries, start, end, fixed, rows, out[row])
        system = gram.copy()
        for position in range(end - start):
            for i in range(n_factors):
                value = rows[position, i]
                for j in range(i + 1):
                    system[i, j] += value * rows[position, j]
        for i in range(n_factors):
            system[i, i] += ridge[row]
        _factorise(system)
        _substitute(system, out[row])
