"""Joint predictions of several networks with correlated errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from costmodel.counting.subject import Subject
from costmodel.platforms import Platform
from costmodel.prediction.table import NetworkTable, lowered, table_of
from costmodel.timing.stacks import Stack
from costmodel.timing.surface import PRODUCT_SIZES, SIZES, closeness, shape_of

DRAWS = 256
"""Number of draws of the errors; half of them mirror the others."""
_EQUAL = 1e-9
"""Relative difference below which times are equal except for rounding. [1]"""
_LENGTH = 3.0
"""Correlation length of residuals, by cross-validation (as in
:mod:`costmodel.calibration.surfaces`). [doubling of a size]"""
_JITTER = 1e-9
"""Term added to a covariance so that it has a root. [1]"""


@dataclass(frozen=True)
class Joint:
    """Latencies of several networks on one platform, as predicted and under drawn errors.

    Parameters
    ----------
    seconds : ndarray
        One latency per network. [s]
    draws : ndarray
        The latencies under errors of the model; one row per draw, in which all networks have the
        same errors. [s]
    """

    seconds: np.ndarray
    draws: np.ndarray

    def ratio(self, first: int, second: int, inputs: int = 1) -> Ratio:
        """Return the time of the second over that of the first, per input for ``inputs``."""
        value = self.seconds[second] / self.seconds[first] / inputs
        return Ratio(float(value), self.draws[:, second] / self.draws[:, first] / inputs)


@dataclass(frozen=True, slots=True)
class Ratio:
    """The time of one network over that of another.

    Parameters
    ----------
    value : float
        As predicted. [1]
    draws : ndarray
        Under drawn errors. [1]
    """

    value: float
    draws: np.ndarray

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval of the ratio with probability ``level`` [1]."""
        tail = (1 - level) / 2
        low, high = np.quantile(self.draws, [tail, 1 - tail])
        return float(low), float(high)

    @property
    def faster(self) -> float:
        """Probability that the second network takes less time than the first [1].

        Examples
        --------
        >>> Ratio(0.9, np.array([0.8, 0.9, 1.0, 1.1])).faster
        0.625
        """
        less = np.mean(self.draws < 1 - _EQUAL)
        return float(less + 0.5 * np.mean(np.abs(self.draws - 1) <= _EQUAL))


def joint(graphs: Sequence[Subject], platform: Platform) -> Joint:
    r"""Predict several networks together.

    Errors are drawn for the parameters of the platform, lognormal with their covariance and within
    their ranges, and for each distinct kernel as a factor, lognormal with the residual spread of
    the first network. The factors of kernels of one kind and dtype are correlated by the similarity
    of their shapes (:mod:`costmodel.timing.surface`); those of different kinds are independent. In
    one draw all networks have the same errors, so common errors cancel. Platforms with the same
    hardware and runtime have the same draws; others are independent.

    Parameters
    ----------
    graphs : sequence of DiGraph or Prepared
        Networks of numbers.
    platform : Platform
        The platform.

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
    random = np.random.default_rng(crc32(platform.base.encode()))
    theta = _drawn(platform, random)
    terms = table.terms(platform, theta)
    residual = float(table.residual_spread(fitted)[0])
    off = np.exp(_residuals(table, np.asarray(terms.seconds)[0], residual, random))
    moved = replace(terms, model=terms.model * off, host=terms.host * np.ones_like(off))
    seconds = table.network_seconds(platform, moved, theta)
    return Joint(seconds[0], seconds[1:])


def _drawn(platform: Platform, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return every parameter as a column: its value, then one entry per draw."""
    fitted = platform.fitted
    root = _root(fitted.covariance)
    off = _mirrored(random, len(root)) @ root.T
    columns = {name: np.full((DRAWS + 1, 1), float(v)) for name, v in fitted.theta.items()}
    limits = {p.name: (p.lower, p.upper) for p in fitted.parameters}
    for i, name in enumerate(fitted.free):
        low, high = limits[name]
        columns[name][1:, 0] = np.clip(columns[name][1:, 0] * np.exp(off[:, i]), low, high)
    return columns


def _residuals(
    table: NetworkTable, seconds: np.ndarray, spread: float, random: np.random.Generator
) -> np.ndarray:
    """Return the log of a factor for each distinct kernel, 0 in the first row [1].

    They are scaled to the residual spread of the first network.
    """
    alike = _alike(table)
    first = table.counts[[0]].toarray()[0] * seconds
    whole = float(first.sum())
    share = float(np.sqrt(first @ alike @ first)) / whole if whole else 1.0
    draws = _mirrored(random, len(alike)) @ _root(alike).T
    return np.vstack([np.zeros(len(alike)), draws * (spread / share if share else spread)])


def _mirrored(random: np.random.Generator, size: int) -> np.ndarray:
    """Return normal draws with a mean of exactly 0: each draw has its mirror image."""
    half = random.normal(size=(DRAWS // 2, size))
    return np.concatenate([half, -half])


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric matrix whose square is ``covariance``.

    Of all roots it alone does not depend on which eigenvectors are found for equal eigenvalues: the
    draws are the same with every number of threads and every library of linear algebra.
    """
    if not len(covariance):
        return covariance
    values, vectors = np.linalg.eigh(covariance)
    scales = np.sqrt(np.maximum(values, _JITTER * max(values[-1], _JITTER)))
    return np.asarray((vectors * scales) @ vectors.T)


def _alike(table: NetworkTable) -> np.ndarray:
    """Return the correlation of every two distinct kernels of a table [1]."""
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
    """Return the shapes of kernels; those of products are the sizes of their first product.

    Adding or omitting a bias does not change the kernel of a product.
    """
    sizes = dict(zip(SIZES, shape_of(part.workload), strict=True))
    if part.workload.products:
        sizes = {name: sizes[name] for name in PRODUCT_SIZES}
    columns = np.broadcast_arrays(*sizes.values(), part.index)[:-1]
    return np.stack([np.asarray(c, dtype=float) for c in columns], axis=-1)
