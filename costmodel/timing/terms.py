"""The terms of the time of a kernel, and the combination of overlapping terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, maximum, minimum

Theta = Mapping[str, Dim]
"""Parameters of the time model by name."""
NAMES = ("host", "launch", "compute", "memory", "passes", "model", "bound", "learned", "residual")
"""The fields of :class:`Terms`, in order."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The time of one kernel, or of many as arrays, term by term.

    Parameters
    ----------
    host : Dim
        Time in which the host dispatches it, ahead of the device. [s]
    launch : Dim
        Fixed cost on the device. [s]
    compute, memory : Dim
        Time of the arithmetic and of the traffic, each without the other. [s]
    passes : Dim
        Time of the operators fused behind it. [s]
    model : Dim
        Time on the device according to these terms. [s]
    bound : Dim
        Least time on the hardware (:func:`~costmodel.timing.bound.least_seconds`). [s]
    learned : Dim
        Time that fitted multipliers add to the formula or subtract from it
        (:mod:`~costmodel.timing.multipliers`). [s]
    residual : Dim
        Remaining error at similar shapes, according to measured rows
        (:mod:`~costmodel.timing.surface`). [s]
    """

    host: Dim
    launch: Dim
    compute: Dim
    memory: Dim
    passes: Dim
    model: Dim
    bound: Dim = 0
    learned: Dim = 0
    residual: Dim = 0

    @property
    def seconds(self) -> Dim:
        """Time on the device, never shorter than the bound [s]."""
        return maximum(self.model, self.bound)


def overlap(a: Dim, b: Dim, serial: Dim) -> Dim:
    r"""Return the time of two activities that overlap in part.

    .. math:: \max(a, b) + s \min(a, b)

    Parameters
    ----------
    a, b : Dim
        Time of each alone. [s]
    serial : Dim
        Share of the shorter one that does not overlap with the longer: 0 is perfect overlap, 1 is
        none. [1]

    Examples
    --------
    >>> overlap(3.0, 2.0, 0.5)
    4.0
    """
    return maximum(a, b) + serial * minimum(a, b)
