"""The rational function of Sources/CTorch/Products.cpp that stands for the normal distribution, fitted.

P(x <= X) = 1/2 + x p(x^2) / q(x^2) for |x| up to LIMIT, where p and q have degree 5: a linear least-squares fit whose weights
are raised where the error is large, so that the largest error becomes small. Needs numpy. Prints the coefficients.
"""

import math

import numpy as np

LIMIT, DEGREE = 5.2, 5


def fit(rounds=60):
    x = (np.cos(np.pi * (np.arange(4000) + 0.5) / 4000) + 1) / 2 * LIMIT
    wanted = np.array([math.erf(v / math.sqrt(2)) / 2 for v in x])
    powers = (x[:, None] / LIMIT) ** (2 * np.arange(DEGREE + 1))
    weights, q, best = np.ones_like(x), np.ones_like(x), (math.inf, None)
    for _ in range(rounds):
        rows = np.hstack([x[:, None] * powers, -wanted[:, None] * powers[:, 1:]])
        scale = weights / q
        found = np.linalg.lstsq(rows * scale[:, None], wanted * scale, rcond=None)[0]
        p, q = powers @ found[: DEGREE + 1], 1 + powers[:, 1:] @ found[DEGREE + 1 :]
        error = np.abs(x * p / q - wanted)
        if error.max() < best[0]:
            best = (error.max(), found)
        weights = np.maximum(weights * np.sqrt(0.3 + error / error.max()), 1e-4)
        weights /= weights.max()
    return best


error, found = fit()
scales = LIMIT ** (2.0 * np.arange(DEGREE + 1))
print("p", [f"{v:.9g}" for v in found[: DEGREE + 1] / scales])
print("q", ["1"] + [f"{v:.9g}" for v in found[DEGREE + 1 :] / scales[1:]])
print(f"largest error {error:.1e}")
