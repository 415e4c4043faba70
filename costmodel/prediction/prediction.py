"""A predicted latency with its interval, and the largest term of every kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist

import numpy as np

from costmodel.algebra.later import is_expression
from costmodel.algebra.symbols import Dim, total
from costmodel.errors import DataError
from costmodel.kernels import Kernel
from costmodel.timing.terms import Terms
from costmodel.units import format_si

LABEL = "predicted"
"""The label of every number of this module."""
_ROUNDING = 1e-9
"""Relative difference below which two sums are equal except for rounding."""
_TERMS = ("launch", "compute", "memory", "passes", "learned", "residual")
"""Terms of a kernel that the device can wait for."""
_WAITS = (*_TERMS, "bound")


def _largest(terms: Terms) -> np.ndarray:
    """Return the number in :data:`_WAITS` of the term that a kernel waits for."""
    values = [getattr(terms, name) for name in _TERMS]
    if any(is_expression(value) for value in (*values, terms.bound)):
        raise DataError("a time in symbols has no largest term: give numbers or arrays for them")
    stacked = np.stack(np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in values)))
    return np.where(terms.bound > terms.model, len(_TERMS), np.argmax(stacked, axis=0))


@dataclass(frozen=True, slots=True)
class KernelTime:
    """The predicted time of one kernel.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    terms : Terms
        The terms of its time.
    """

    kernel: Kernel
    terms: Terms

    @property
    def seconds(self) -> Dim:
        """Its time on the device [s]."""
        return self.terms.seconds

    @property
    def waits_for(self) -> Dim:
        """Return the largest term: ``"launch"``, ``"compute"``, ``"memory"`` or ``"passes"``.

        It is ``"learned"`` if fitted multipliers add more than any term of the formula, and
        ``"residual"`` if the residual over shapes does. It is ``"bound"`` if the bound of the
        hardware determines the time. For arrays, the result is an array.
        """
        found = np.array(_WAITS)[_largest(self.terms)]
        return found if found.ndim else str(found)


@dataclass(frozen=True)
class Prediction:
    """The predicted latency of a network on a platform.

    Parameters
    ----------
    network, platform : str
        Their names.
    seconds : Dim
        Latency of one inference. [s]
    uncertainty : callable, optional
        Returns the standard deviation of the logarithm of ``seconds``; None for symbols.
    level : float
        Probability of the interval.
    kernels : tuple of KernelTime
        The kernels in order of execution.
    fixed : Dim
        Cost of an inference outside its kernels, with the time that a low clock adds to them. [s]
    transfer : Dim
        Time of moving inputs and outputs between host and device. [s]
    dispatch : Dim
        Host time of all kernels if the device runs asynchronously. [s]
    bound_seconds : Dim
        Least time of all kernels: no algorithm of the runtime runs them faster on this hardware.
        [s]
    basis : str
        Basis of the parameters: ``"priors"``, or the calibration and its number of rows.
    """

    network: str
    platform: str
    seconds: Dim
    uncertainty: Callable[[], Dim] | None = field(compare=False)
    level: float
    kernels: tuple[KernelTime, ...]
    fixed: Dim
    transfer: Dim
    dispatch: Dim
    bound_seconds: Dim
    basis: str

    def __repr__(self) -> str:
        head = f"Prediction of {self.network} on {self.platform}"
        if np.ndim(self.seconds) or is_expression(self.seconds):
            return f"<{head}: {type(self.seconds).__name__}, from {self.basis}>"
        said = format_si(float(self.seconds), "s")
        if self.interval is not None:
            low, high = (format_si(float(end), "s") for end in self.interval)
            said += f" ({low} to {high})"
        return f"<{head}: {said}, from {self.basis}>"

    @cached_property
    def interval(self) -> tuple[Dim, Dim] | None:
        """The interval of a measurement with probability ``level``; None for symbols [s].

        For arrays, a pair of arrays, computed on first use.
        """
        if self.uncertainty is None:
            return None
        width = np.exp(NormalDist().inv_cdf(0.5 + self.level / 2) * self.uncertainty())
        if np.ndim(width) == 0:
            width = float(width)
        return self.seconds / width, self.seconds * width

    @property
    def device_seconds(self) -> Dim:
        """Sum of the kernels' times on the device [s]."""
        return total(k.seconds for k in self.kernels)

    def waits(self) -> dict[str, Dim]:
        """Return the time by term, the largest first [s].

        The terms are ``"launch"``, ``"compute"``, ``"memory"``, ``"passes"``, ``"learned"``,
        ``"residual"``, ``"bound"``, ``"dispatch"``, ``"transfer"`` and ``"fixed"``. A kernel's time
        counts for its largest term. If the device is idle because the host is slower, all of its
        time counts as the host's dispatch, because faster kernels would not help. For arrays, terms
        are sorted by their mean.

        Examples
        --------
        >>> Prediction("n", "p", 6.0, None, 0.9, (), 1.0, 2.0, 3.0, 0.0, "priors").waits()
        {'dispatch': 3.0, 'transfer': 2.0, 'fixed': 1.0}
        """
        shape = np.shape(self.seconds)
        device = np.zeros(shape)
        spent = {name: np.zeros(shape) for name in _WAITS}
        for k in self.kernels:
            largest = _largest(k.terms)
            for i, name in enumerate(_WAITS):
                spent[name] = spent[name] + np.where(largest == i, k.seconds, 0.0)
            device = device + k.seconds
        busy = self.seconds - self.fixed - self.transfer
        host_bound = busy > device * (1 + _ROUNDING)
        spent = {name: np.where(host_bound, 0.0, value) for name, value in spent.items()}
        spent["dispatch"] = np.where(host_bound, self.dispatch, 0.0)
        spent["fixed"] = np.broadcast_to(self.fixed, shape)
        spent["transfer"] = np.broadcast_to(self.transfer, shape)
        order = sorted(spent.items(), key=lambda item: -float(np.mean(item[1])))
        return {name: v if shape else float(v) for name, v in order if np.any(v > 0)}

    @property
    def bottleneck(self) -> Dim:
        """The term of :meth:`waits` that takes most of the time; for arrays, an array."""
        waits = self.waits()
        if not np.shape(self.seconds):
            return next(iter(waits), "fixed")
        return np.array(list(waits))[np.argmax(np.stack(list(waits.values())), axis=0)]

    def by_kind(self) -> dict[str, Dim]:
        """Return the time of each kind of kernel, the largest first [s].

        For arrays, kinds are sorted by their mean; for symbols, they are in order of execution.
        """
        spent: dict[str, Dim] = {}
        for k in self.kernels:
            spent[k.kernel.kind] = spent.get(k.kernel.kind, 0.0) + k.seconds
        if any(is_expression(value) for value in spent.values()):
            return spent
        return dict(sorted(spent.items(), key=lambda item: -float(np.mean(item[1]))))
