"""Local search over integers, on the true model; all neighbours of a point at once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

Evaluate = Callable[[np.ndarray], np.ndarray]
"""Gives the objective of many points (rows), infinity where a limit is broken."""
STARTS = 6
"""Points that local searches start from, besides what is given."""
_SAMPLES = 2048
_STEPS = (1, 2, 4)
_SEED = 2018
_MOST = 200  # moves of one search


def search(
    evaluate: Evaluate, low: np.ndarray, high: np.ndarray, near: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Return the best point of a grid of integers that local searches find, and its value.

    Parameters
    ----------
    evaluate : callable
        The objective of points.
    low, high : ndarray of int
        The box.
    near : ndarray, optional
        A point of real numbers that the best is near to; searches start around it alone.

    Returns
    -------
    tuple
        The point, and infinity for its value where none that was tried fulfils the limits.
    """
    starts = _random(low, high) if near is None else _around(near, low, high)
    values = evaluate(starts)
    best, least = starts[int(np.argmin(values))], float(values.min())
    for i in np.argsort(values)[: STARTS if near is None else 2]:
        if np.isfinite(values[i]):
            point, value = _descend(evaluate, starts[i], float(values[i]), low, high)
            if value < least:
                best, least = point, value
    return best, least


def _descend(
    evaluate: Evaluate, point: np.ndarray, value: float, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, float]:
    moves = _moves(len(point))
    for _ in range(_MOST):
        neighbours = np.clip(point + moves, low, high)
        values = evaluate(neighbours)
        i = int(np.argmin(values))
        if not values[i] < value:
            break
        point, value = neighbours[i], float(values[i])
    return point, value


def _moves(size: int) -> np.ndarray:
    """Return one step of each variable alone, and of every two against or along each other."""
    unit = np.eye(size, dtype=int)
    alone = [sign * step * row for row in unit for step in _STEPS for sign in (1, -1)]
    pairs = [
        step * (a * first + b * second)
        for first, second in combinations(unit, 2)
        for a, b in ((1, -1), (-1, 1), (1, 1), (-1, -1))
        for step in _STEPS[:2]
    ]
    return np.array(alone + pairs)


def _around(near: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return what a point rounds to: down, up, to the nearest, and at random."""
    random = np.random.default_rng(_SEED)
    rounded = [np.floor(near), np.ceil(near), np.rint(near)]
    drawn = np.floor(near) + random.integers(0, 2, (256, len(near)))
    return np.asarray(np.clip(np.vstack([*rounded, drawn]).astype(int), low, high))


def _random(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(_SEED)
    drawn = np.exp(random.uniform(np.log(low), np.log(high + 1), (_SAMPLES, len(low))))
    return np.asarray(np.clip(np.vstack([low, high, drawn.astype(int)]), low, high))
