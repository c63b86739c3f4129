"""Training of SVD, SVD++ and baselines, update by update as Surprise does it, in compiled form."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from recsys_lab.compiled import njit


@njit(inline="always")
def _dot(a, b):
    """Four running sums: faster than one, and in the same order on every machine."""
    n = len(a)
    whole = n - n % 4
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for f in range(0, whole, 4):
        s0 += a[f] * b[f]
        s1 += a[f + 1] * b[f + 1]
        s2 += a[f + 2] * b[f + 2]
        s3 += a[f + 3] * b[f + 3]
    for f in range(whole, n):
        s0 += a[f] * b[f]
    return (s0 + s1) + (s2 + s3)


@njit(fastmath={"reassoc", "contract"})
def _product(a, b):
    total = 0.0
    for f in range(len(a)):
        total += np.float64(a[f]) * np.float64(b[f])
    return total


@njit()
def factor_pairs(user_factors, item_factors, users, items):
    """Products <user factors, item factors> (n,) float64 of pairs; -1 takes the last row."""
    out = np.empty(len(users))
    for pair in range(len(users)):
        out[pair] = _product(user_factors[users[pair]], item_factors[items[pair]])
    return out


@njit(fastmath={"reassoc", "contract"})
def _step(p, q, push, keep):
    for f in range(len(p)):
        pf, qf = p[f], q[f]
        p[f] = keep * pf + push * qf
        q[f] = keep * qf + push * pf


@njit()
def svd(pointers, items, ratings, mean, biased, user_factors, item_factors, n_epochs, learning_rate, regularization):
    """Changes the factors in place and returns the biases (n_users,), (n_items,). Ratings are grouped by user.

    Sums are taken in the order the processor likes: results agree with Surprise's to about 1e-13.
    """
    n_users = len(pointers) - 1
    user_bias, item_bias = np.zeros(n_users), np.zeros(len(item_factors))
    keep = 1.0 - learning_rate * regularization
    for _ in range(n_epochs):
        for u in range(n_users):
            p = user_factors[u]
            for position in range(pointers[u], pointers[u + 1]):
                i = items[position]
                q = item_factors[i]
                error = ratings[position] - (mean + user_bias[u] + item_bias[i] + _product(q, p))
                if biased:
                    user_bias[u] += learning_rate * (error - regularization * user_bias[u])
                    item_bias[i] += learning_rate * (error - regularization * item_bias[i])
                _step(p, q, learning_rate * error, keep)
    return user_bias, item_bias


@njit()
def svd_pp(
    pointers, items, ratings, mean, user_factors, item_factors, implicit, n_epochs, learning_rate, regularization
):
    """As ``svd``, with the implicit factors (n_items, n_factors) of the items that a user rated."""
    n_users = len(pointers) - 1
    n_factors = user_factors.shape[1]
    user_bias, item_bias = np.zeros(n_users), np.zeros(len(item_factors))
    profile = np.empty(n_factors)
    step = np.empty(n_factors)
    for _ in range(n_epochs):
        for u in range(n_users):
            p = user_factors[u]
            rated = items[pointers[u] : pointers[u + 1]]
            share = 1.0 / np.sqrt(len(rated))
            for position in range(pointers[u], pointers[u + 1]):
                i = items[position]
                q = item_factors[i]
                profile[:] = 0.0
                for j in rated:
                    for f in range(n_factors):
                        profile[f] += implicit[j, f] * share
                error = ratings[position] - (mean + user_bias[u] + item_bias[i] + _dot(q, p + profile))
                user_bias[u] += learning_rate * (error - regularization * user_bias[u])
                item_bias[i] += learning_rate * (error - regularization * item_bias[i])
                for f in range(n_factors):
                    old_p, old_q = p[f], q[f]
                    p[f] += learning_rate * (error * old_q - regularization * old_p)
                    q[f] += learning_rate * (error * (old_p + profile[f]) - regularization * old_q)
                    step[f] = error * old_q * share
                for j in rated:
                    for f in range(n_factors):
                        implicit[j, f] += learning_rate * (step[f] - regularization * implicit[j, f])
    return user_bias, item_bias


@njit()
def als_baselines(
    user_pointers, items, user_ratings, item_pointers, users, item_ratings, mean, n_epochs, user_weight, item_weight
):
    """User and item biases by alternating least squares; the weights are added to the numbers of ratings."""
    n_users, n_items = len(user_pointers) - 1, len(item_pointers) - 1
    user_bias, item_bias = np.zeros(n_users), np.zeros(n_items)
    for _ in range(n_epochs):
        for i in range(n_items):
            start, stop = item_pointers[i], item_pointers[i + 1]
            total = 0.0
            for position in range(start, stop):
                total += item_ratings[position] - mean - user_bias[users[position]]
            item_bias[i] = total / (item_weight + (stop - start))
        for u in range(n_users):
            start, stop = user_pointers[u], user_pointers[u + 1]
            total = 0.0
            for position in range(start, stop):
                total += user_ratings[position] - mean - item_bias[items[position]]
            user_bias[u] = total / (user_weight + (stop - start))
    return user_bias, item_bias


@njit()
def sgd_baselines(pointers, items, ratings, n_items, mean, n_epochs, learning_rate, regularization):
    """User and item biases by stochastic gradient descent; ratings are grouped by user."""
    n_users = len(pointers) - 1
    user_bias, item_bias = np.zeros(n_users), np.zeros(n_items)
    for _ in range(n_epochs):
        for u in range(n_users):
            for position in range(pointers[u], pointers[u + 1]):
                i = items[position]
                error = ratings[position] - (mean + user_bias[u] + item_bias[i])
                user_bias[u] += learning_rate * (error - regularization * user_bias[u])
                item_bias[i] += learning_rate * (error - regularization * item_bias[i])
    return user_bias, item_bias
