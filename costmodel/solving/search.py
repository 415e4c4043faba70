"""Search over integers on the true model: exhaustive for few points, otherwise local."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product
from math import prod

import numpy as np

Evaluate = Callable[[np.ndarray], np.ndarray]
"""Returns the objective of many points (rows), infinity if a limit is violated."""
STARTS = 6
"""Number of starts of local searches, in addition to given ones."""
ALL = 2**15
"""Largest number of points of a box that is searched exhaustively."""
_SAMPLES = 2048
_FEW = 8
"""Largest number of variables with steps of different lengths in two of them."""
_STEPS = (1, 2, 4)
_LONG = (16, 64)
_SEED = 2018
_MOST = 200  # maximum moves of one search


def search(
    evaluate: Evaluate, low: np.ndarray, high: np.ndarray, near: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Return the best point of a box of integers, or of local searches in it, and its value.

    Parameters
    ----------
    evaluate : callable
        The objective of points.
    low, high : ndarray of int
        The box.
    near : ndarray, optional
        A point of real numbers near the optimum; searches start only around it.

    Returns
    -------
    tuple
        The point and its value; infinity if no tried point fulfils the limits.
    """
    if (whole := _whole(low, high)) is not None:
        found = evaluate(whole)
        place = int(np.argmin(found))
        return whole[place], float(found[place])
    starts = _random(low, high) if near is None else _around(near, low, high)
    values = evaluate(starts)
    if near is not None and not np.isfinite(values).any():
        return search(evaluate, low, high)
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
    groups = _moves(len(point))
    for _ in range(_MOST):
        for moves in groups:
            neighbours = np.clip(point + moves, low, high)
            values = evaluate(neighbours)
            i = int(np.argmin(values))
            if values[i] < value:
                point, value = neighbours[i], float(values[i])
                break
        else:
            break
    return point, value


def is_small(low: np.ndarray, high: np.ndarray) -> bool:
    """Return whether a box has so few points that all are tried.

    Examples
    --------
    >>> is_small(np.array([1, 1]), np.array([100, 200]))
    True
    """
    return count(low, high) <= ALL


def count(low: np.ndarray, high: np.ndarray) -> int:
    """Return the number of points of a box [1].

    Examples
    --------
    >>> count(np.array([1, 1]), np.array([3, 4]))
    12
    """
    return prod(int(h) - int(a) + 1 for a, h in zip(low, high, strict=True))


def _whole(low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Return all points of a box, None if there are too many."""
    if not is_small(low, high):
        return None
    axes = [np.arange(a, h + 1) for a, h in zip(low, high, strict=True)]
    return np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)


def _moves(size: int) -> list[np.ndarray]:
    """Return steps of each variable alone, then of every two against or along each other.

    Steps of two are many: they are tried where no step of one is better.
    """
    unit = np.eye(size, dtype=int)
    alone = [sign * step * row for row in unit for step in (*_STEPS, *_LONG) for sign in (1, -1)]
    few = size <= _FEW
    equal = [[(step, step)] for step in (*reversed(_LONG), _STEPS[1], _STEPS[0])]
    lengths = [list(product(_STEPS, _STEPS)), *equal[: len(_LONG)]] if few else equal
    signs = ((1, -1), (-1, 1), (1, 1), (-1, -1))
    pairs = [
        [
            a * i * first + b * j * second
            for (i, j), (first, second), (a, b) in product(group, combinations(unit, 2), signs)
        ]
        for group in lengths
    ]
    return [np.array(group) for group in (alone, *pairs) if group]


def _around(near: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the roundings of a point: down, up, to the nearest, and at random."""
    random = np.random.default_rng(_SEED)
    rounded = [np.floor(near), np.ceil(near), np.rint(near)]
    drawn = np.floor(near) + random.integers(0, 2, (256, len(near)))
    return np.asarray(np.clip(np.vstack([*rounded, drawn]).astype(int), low, high))


def _random(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(_SEED)
    drawn = np.exp(random.uniform(np.log(low), np.log(high + 1), (_SAMPLES, len(low))))
    return np.asarray(np.clip(np.vstack([low, high, drawn.astype(int)]), low, high))
