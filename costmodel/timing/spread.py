"""Propagation of the errors of parameters to a predicted time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

STEP = 1e-3
"""Step of the logarithm of a parameter. [1]"""


def nudged(theta: Mapping[str, float], free: Sequence[str]) -> dict[str, np.ndarray]:
    """Return every parameter as a column: its value, then one entry per step of a free parameter.

    Examples
    --------
    >>> nudged({"a": 1.0, "b": 2}, ["b"])["b"].round(3).tolist()
    [[2.0], [2.002]]
    """
    columns = {name: np.full((len(free) + 1, 1), float(value)) for name, value in theta.items()}
    for i, name in enumerate(free, start=1):
        columns[name][i, 0] *= np.exp(STEP)
    return columns


def nudges(theta: Mapping[str, float], free: Sequence[str]) -> Iterator[dict[str, float]]:
    """Yield the parameters once for each free one, with a step in that one.

    Examples
    --------
    >>> [round(q["b"], 3) for q in nudges({"a": 1.0, "b": 2.0}, ["a", "b"])]
    [2.0, 2.002]
    """
    for name in free:
        yield {**theta, name: theta[name] * float(np.exp(STEP))}


def log_spread(
    seconds: np.ndarray, covariance: np.ndarray, residual: float | np.ndarray
) -> np.ndarray:
    r"""Return the standard deviation of the log time of each network.

    .. math:: \sigma^2 = g^T C g + r^2

    Parameters
    ----------
    seconds : ndarray
        Times under the columns of :func:`nudged` (rows), one column per network. [s]
    covariance : ndarray
        ``C``, of the logarithms of the free parameters. [1]
    residual : float or ndarray
        ``r``, the spread that the model leaves unexplained. [1]
    """
    logs = np.log(seconds)
    gradient = (logs[1:] - logs[0]) / STEP
    return np.asarray(
        np.sqrt(np.einsum("in,ij,jn->n", gradient, covariance, gradient) + residual**2)
    )
