r"""Fit of the model errors over the shapes of single operators, for each kind of kernel.

Row :math:`i` has the log residual :math:`y_i`, the device determines the share :math:`h_i` of its
time, and its noise is :math:`n^2 / w_i`, with weights of Student's t. With
:math:`f \sim N(0, s^2 k)` (:mod:`costmodel.timing.surface`) the leave-one-out residual of a row is

.. math::

    e_i = \frac{(C^{-1} y)_i}{(C^{-1})_{ii}}, \qquad
    C = s^2\, h h^T \circ K + \mathrm{diag}(n^2 / w), \qquad
    w_i = \frac{\nu + 1}{\nu + e_i^2 / n^2}

so a row that contradicts its neighbours loses its weight, even if all of them have large residuals.
At most :data:`INDUCING` rows are kept: those that the others determine least (subset of
regressors).

A surface is kept if, in five-fold cross-validation, it predicts the rows better than the formula
alone.

Length and noise are fixed. They were chosen by cross-validation within rows that calibrations of
an A100, an H200 and a V100 are fitted to; half or twice as much changes little.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, 5.4, 8.3.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from costmodel.calibration.discrepancy import NOISE, Alike
from costmodel.calibration.robust import FLOOR, student_weights
from costmodel.prediction.table import NetworkTable
from costmodel.timing.surface import Surface, closeness, shape_of

FEWEST = 50
"""Fewest single operators of a kind and dtype for a surface."""
INDUCING = 128
"""Maximum number of rows kept in a surface."""
LENGTH = 3.0
"""Correlation length of residuals. [doubling of a size]"""
_MOST = 600  # maximum number of rows of a fit, whose time grows with the cube of it
_FAR = 3.0  # errors are clipped at this number of spreads
_FOLDS = 5
_ROUNDS = 5
_SEED = 2018


def learnt(
    table: NetworkTable,
    off: np.ndarray,
    share: np.ndarray,
    weights: np.ndarray,
    variance: np.ndarray,
) -> tuple[Surface, ...]:
    """Return the surfaces fitted to the single operators of a table.

    Parameters
    ----------
    table : NetworkTable
        The measured networks; rows of several kernels are not used.
    off : ndarray
        Log of measured over predicted, one per row. [1]
    share : ndarray
        Share of the device in each predicted time. [1]
    weights : ndarray
        Weights of the rows in the fit of the parameters. [1]
    variance : ndarray
        Variance of each predicted log time by the errors of the parameters. [1]
    """
    found: list[Surface] = []
    for (kind, dtype), (rows, shapes) in _by_kind(table).items():
        if len(rows) > _MOST:
            keep = np.sort(np.random.default_rng(_SEED).permutation(len(rows))[:_MOST])
            rows, shapes = rows[keep], shapes[keep]
        if len(rows) >= FEWEST:
            own = (off[rows], share[rows], weights[rows], variance[rows])
            found += _surface(kind, dtype, shapes, *own)
    return tuple(found)


def alike(table: NetworkTable, share: np.ndarray) -> list[Alike]:
    """Return the rows with correlated residuals: single operators, by kind and dtype.

    Parameters
    ----------
    table : NetworkTable
        What was measured.
    share : ndarray
        Share of the device in each predicted time. [1]
    """
    found = []
    for rows, shapes in _by_kind(table).values():
        if len(rows) >= FEWEST:
            order = np.random.default_rng(_SEED).permutation(len(rows))
            for part in np.array_split(order, -(-len(rows) // _MOST)):
                own = share[rows[part]]
                near = np.outer(own, own) * closeness(shapes[part], shapes[part], LENGTH)
                found.append(Alike(rows[part], near))
    return found


def _by_kind(table: NetworkTable) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Return the rows of a single kernel with their shapes, by kind and dtype."""
    single = np.flatnonzero(table.kernels == 1)
    kernel = table.column[table.start[single]]
    rows: dict[tuple[str, str], list[np.ndarray]] = {}
    shapes: dict[tuple[str, str], list[np.ndarray]] = {}
    for part in table.stacks:
        w, key = part.workload, (part.workload.kind, part.workload.dtype)
        every = np.stack(np.broadcast_arrays(*shape_of(w)), axis=-1)
        place = np.full(table.distinct, -1)
        place[part.index] = np.arange(len(part.index))
        own = place[kernel] >= 0
        rows.setdefault(key, []).append(single[own])
        shapes.setdefault(key, []).append(every[place[kernel[own]]])
    return {key: (np.concatenate(rows[key]), np.concatenate(shapes[key])) for key in rows}


def _surface(
    kind: str,
    dtype: str,
    x: np.ndarray,
    y: np.ndarray,
    share: np.ndarray,
    weights: np.ndarray,
    by_parameters: np.ndarray,
) -> Iterator[Surface]:
    """Yield the surface of one kind, or nothing if it is of no use."""
    signal = max(FLOOR, 1.4826 * float(np.median(np.abs(y))))
    noise, near = NOISE * signal, closeness(x, x, LENGTH)
    shared = signal**2 * np.outer(share, share) * near
    far = _FAR * signal  # clip wrong rows symmetrically
    out = np.minimum(np.abs(_left_out(shared, y, weights, noise)), far)
    if out.sum() >= np.minimum(np.abs(y), far).sum():
        return
    inverse, weights = _weighed(shared, y, weights, noise)
    kept = _determining(near)
    seen = near[kept] * share * np.sqrt(weights) / noise
    information = seen @ seen.T + near[np.ix_(kept, kept)] / signal**2
    found = np.linalg.solve(information, seen @ (y * np.sqrt(weights) / noise))
    # The width matches the leave-one-out residuals, so that intervals, to which the parameters
    # contribute, too, have their nominal coverage.
    left, variance = inverse @ y / np.diag(inverse), 1 / np.diag(inverse) - noise**2 / weights
    known = np.maximum(0, variance) + noise**2
    asked = np.quantile(((left / 1.645) ** 2 - by_parameters) / known, 0.9)
    wide = np.sqrt(max(float(asked), (FLOOR / signal) ** 2))
    yield Surface(kind, dtype, LENGTH, wide * signal, wide * noise, x[kept], found)


def _weighed(
    shared: np.ndarray, y: np.ndarray, weights: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of ``C`` and the corresponding weights."""
    for _ in range(_ROUNDS):
        inverse = np.linalg.inv(shared + np.diag(noise**2 / weights))
        left = inverse @ y / np.diag(inverse)
        weights = student_weights(left, np.full(len(y), noise))
    return np.linalg.inv(shared + np.diag(noise**2 / weights)), weights


def _left_out(shared: np.ndarray, y: np.ndarray, weights: np.ndarray, noise: float) -> np.ndarray:
    """Return the cross-validated residuals: each fifth of the rows predicted from the others."""
    order, left = np.random.default_rng(_SEED).permutation(len(y)), y.copy()
    for fold in range(_FOLDS):
        out = order[fold::_FOLDS]
        rest = np.setdiff1d(order, out)
        inverse, _ = _weighed(shared[np.ix_(rest, rest)], y[rest], weights[rest], noise)
        left[out] -= shared[np.ix_(out, rest)] @ (inverse @ y[rest])
    return left


def _determining(near: np.ndarray) -> np.ndarray:
    """Return the rows selected greedily: each next one is the least determined by the others."""
    left = np.diag(near).copy()
    factor = np.zeros((0, len(near)))
    kept: list[int] = []
    while len(kept) < INDUCING and left.max() > 1e-6:
        i = int(np.argmax(left))
        row = (near[i] - factor[:, i] @ factor) / np.sqrt(left[i])
        factor, left = np.vstack([factor, row]), left - row**2
        left[i] = 0.0
        kept.append(i)
    return np.array(kept)
