"""Predictions of several networks together: how far their errors go along with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from costmodel.counting.subject import Subject
from costmodel.platforms import Platform
from costmodel.prediction.table import NetworkTable, lowered, table_of
from costmodel.timing.spread import STEP, nudged
from costmodel.timing.surface import closeness, shape_of
from costmodel.timing.workload import Stack

CERTAIN = 1e-9
"""Standard deviation of a log ratio that is rounding. [1]"""
_LENGTH = 3.0
"""Distance over which residuals stay alike, by cross-validation (as in
:mod:`costmodel.calibration.surfaces`). [doubling of a size]"""


@dataclass(frozen=True)
class Joint:
    """Latencies of several networks on one platform, with the covariance of their logarithms.

    Parameters
    ----------
    seconds : ndarray
        One latency a network. [s]
    covariance : ndarray
        Of the logarithms of the latencies. [1]
    """

    seconds: np.ndarray
    covariance: np.ndarray

    def ratio(self, first: int, second: int) -> Ratio:
        """Return how many times as long the second takes as the first."""
        c = self.covariance
        variance = c[first, first] + c[second, second] - 2 * c[first, second]
        log = float(np.log(self.seconds[second] / self.seconds[first]))
        return Ratio(log, float(np.sqrt(max(0.0, variance))))


@dataclass(frozen=True, slots=True)
class Ratio:
    """The time of one network over that of another, which is lognormal.

    Parameters
    ----------
    log : float
        Its logarithm. [1]
    spread : float
        Standard deviation of that. [1]
    """

    log: float
    spread: float

    @property
    def value(self) -> float:
        """The ratio itself [1]."""
        return float(np.exp(self.log))

    def interval(self, level: float) -> tuple[float, float]:
        """Return where the ratio lies with probability ``level`` [1]."""
        width = NormalDist().inv_cdf(0.5 + level / 2) * self.spread
        return float(np.exp(self.log - width)), float(np.exp(self.log + width))

    @property
    def faster(self) -> float:
        """Probability that the second network takes less time than the first [1].

        Examples
        --------
        >>> round(Ratio(-0.1, 0.1).faster, 3), Ratio(0.0, 0.0).faster
        (0.841, 0.5)
        """
        if self.spread < CERTAIN:
            return 0.5 if abs(self.log) < CERTAIN else float(self.log < 0)
        return NormalDist().cdf(-self.log / self.spread)


def joint(graphs: Sequence[Subject], platform: Platform) -> Joint:
    r"""Predict several networks together.

    The parameters of the platform are the same for all of them. What the formulas miss is alike
    for kernels of one kind and dtype where their shapes are (:mod:`costmodel.timing.surface`), and
    independent for those of different kinds:

    .. math::

        \Sigma_{ij} = g_i^T C g_j
        + r_i r_j\, \frac{u_i^T K u_j}{\sqrt{u_i^T K u_i}\, \sqrt{u_j^T K u_j}}

    with the gradients :math:`g` of the log latencies, the covariance :math:`C` of the parameters,
    the residual spreads :math:`r`, the times :math:`u` that a network spends in each distinct
    kernel, and the closeness :math:`K` of these.

    Parameters
    ----------
    graphs : sequence of DiGraph or Prepared
        Networks of numbers.
    platform : Platform
        Where they run.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.platforms import load_platform
    >>> same = joint([zoo.resnet18(), zoo.resnet18()], load_platform("gtx-1080-ti/paper"))
    >>> same.ratio(0, 1).faster
    0.5
    """
    fitted = platform.fitted
    table, _ = table_of([lowered(graph, platform) for graph in graphs])
    theta = nudged(fitted.theta, fitted.free)
    terms = table.terms(platform, theta)
    seconds = table.network_seconds(platform, terms, theta)
    gradient = (np.log(seconds[1:]) - np.log(seconds[0])) / STEP
    own = table.counts.multiply(np.asarray(terms.seconds)[0]).toarray()
    along = own @ (_alike(table) @ own.T)
    length = np.sqrt(np.diag(along))
    scale = np.where(length > 0, length, 1.0)
    alike = along / np.outer(scale, scale)
    np.fill_diagonal(alike, 1.0)
    residual = table.residual_spread(fitted)
    covariance = gradient.T @ fitted.covariance @ gradient + alike * np.outer(residual, residual)
    return Joint(seconds[0], covariance)


def _alike(table: NetworkTable) -> np.ndarray:
    """Return the closeness of every two distinct kernels of a table [1]."""
    kinds: dict[tuple[str, str], list[Stack]] = {}
    for part in table.stacks:
        kinds.setdefault((part.workload.kind, part.workload.dtype), []).append(part)
    whole = np.zeros((table.distinct, table.distinct))
    for parts in kinds.values():
        index = np.concatenate([part.index for part in parts])
        shapes = np.concatenate([_shapes(part) for part in parts])
        whole[np.ix_(index, index)] = closeness(shapes, shapes, _LENGTH)
    return whole


def _shapes(part: Stack) -> np.ndarray:
    columns = np.broadcast_arrays(*shape_of(part.workload), part.index)[:-1]
    return np.stack([np.asarray(c, dtype=float) for c in columns], axis=-1)
