"""The coefficients of Sources/CTorch's own functions, fitted: needs numpy, prints them with the largest error.

GELU: P(X <= x) = 1/2 + x p(x^2) / q(x^2) for |x| up to 5.2, where p and q have degree 5 (Products.cpp).
Exponential: e^r = 1 + r + r^2 p(r) for |r| up to ln 2 / 2, where p has degree 3 (Kernels.h).

A linear least-squares fit, whose weights are raised where the error is large, until the largest error is small.
"""

import math

import numpy as np


def nodes(low, high):
    return low + (high - low) * (np.cos(np.pi * (np.arange(4000) + 0.5) / 4000) + 1) / 2


def fit(rows, wanted, scale, rounds=200):
    """`rows` @ result is near `wanted`; `scale(result)` is what errors are multiplied by."""
    weights, best = np.ones_like(wanted), (math.inf, None)
    scales = scale(np.zeros(rows.shape[1]))
    for _ in range(rounds):
        w = weights * scales
        found = np.linalg.lstsq(rows * w[:, None], wanted * w, rcond=None)[0]
        scales = scale(found)
        error = np.abs(rows @ found - wanted) * scales
        if error.max() < best[0]:
            best = (error.max(), found)
        weights = np.maximum(weights * np.sqrt(0.3 + error / error.max()), 1e-4)
        weights /= weights.max()
    return best


def gelu(limit=5.2, degree=5):
    x = nodes(0, limit)
    wanted = np.array([math.erf(v / math.sqrt(2)) / 2 for v in x])
    powers = (x[:, None] / limit) ** (2 * np.arange(degree + 1))
    # x p - wanted (q - 1) = wanted, an error that is q times that of the quotient.
    rows = np.hstack([x[:, None] * powers, -wanted[:, None] * powers[:, 1:]])
    error, found = fit(rows, wanted, lambda c: 1 / np.abs(1 + powers[:, 1:] @ c[degree + 1 :]))
    scales = limit ** (2.0 * np.arange(degree + 1))
    return error, {"p": found[: degree + 1] / scales, "q": np.append(1, found[degree + 1 :] / scales[1:])}


def exponential():
    x = nodes(-math.log(2) / 2, math.log(2) / 2)
    rows = x[:, None] ** np.arange(2, 6)
    error, found = fit(rows, np.exp(x) - 1 - x, lambda c: np.exp(-x))
    return error, {"p": found}


for name, (error, parts) in {"GELU": gelu(), "exponential": exponential()}.items():
    print(f"{name}: largest error {error:.1e}")
    for part, values in parts.items():
        print(" ", part, ", ".join(f"{v:.9g}" for v in values))
