"""A predicted latency: the network's, its interval, and what every kernel waits for."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim
from costmodel.kernels import Kernel

LABEL = "predicted"
"""What every number of this module is."""
_ROUNDING = 1e-9
"""Relative difference of two sums that are equal but for rounding."""


@dataclass(frozen=True)
class KernelTime:
    """The predicted time of one kernel and the terms it is made of.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    seconds : Dim
        Its time on the device. [s]
    launch : Dim
        Fixed cost of a kernel: launch, call, synchronization. [s]
    compute : Dim
        Time of the arithmetic, padding and idle units included. [s]
    memory : Dim
        Time of the traffic. [s]
    passes : Dim
        Time of what is fused behind the kernel. [s]
    host : Dim
        Time in which the host dispatches it, ahead of the device. [s]
    algorithm : str
        The algorithm that was fastest, ``""`` where there is one only.
    """

    kernel: Kernel
    seconds: Dim
    launch: Dim
    compute: Dim
    memory: Dim
    passes: Dim
    host: Dim
    algorithm: str = ""

    @property
    def waits_for(self) -> str:
        """Return ``"launch"``, ``"compute"``, ``"memory"`` or ``"passes"``: the largest term."""
        terms = {
            "launch": self.launch,
            "compute": self.compute,
            "memory": self.memory,
            "passes": self.passes,
        }
        return max(terms, key=lambda name: float(terms[name]))


@dataclass(frozen=True)
class Prediction:
    """The predicted latency of a network on a platform.

    Parameters
    ----------
    network, platform : str
        What was predicted, on what.
    seconds : Dim
        Latency of one inference. [s]
    interval : tuple of float, optional
        Where a measurement is expected with probability ``level``; None for symbols and arrays. [s]
    level : float
        Probability of the interval.
    kernels : tuple of KernelTime
        What runs, in order.
    fixed : Dim
        Cost of an inference that no kernel accounts for. [s]
    transfer : Dim
        Time of moving inputs and outputs between host and device. [s]
    dispatch : Dim
        Host time of all kernels, where the device runs asynchronously. [s]
    bound_seconds : Dim
        Roofline bound of the datasheet: nothing on this hardware runs the network faster without
        another algorithm. [s]
    basis : str
        What the parameters rest on: ``"priors"``, or the calibration and its number of rows.
    """

    network: str
    platform: str
    seconds: Dim
    interval: tuple[float, float] | None
    level: float
    kernels: tuple[KernelTime, ...]
    fixed: Dim
    transfer: Dim
    dispatch: Dim
    bound_seconds: Dim
    basis: str

    @property
    def device_seconds(self) -> Dim:
        """Sum of the kernels' times on the device [s]."""
        return sum(k.seconds for k in self.kernels)

    def waits(self) -> dict[str, float]:
        """Return the seconds by what is waited for, most first [s].

        The terms are ``"launch"``, ``"compute"``, ``"memory"``, ``"passes"``, ``"dispatch"``,
        ``"transfer"`` and ``"fixed"``. A kernel's time counts for its largest term. Where the
        device is idle because the host is slower, all of its time counts as the host's dispatch:
        faster kernels would not help.

        Examples
        --------
        >>> Prediction("n", "p", 6.0, None, 0.9, (), 1.0, 2.0, 3.0, 0.0, "priors").waits()
        {'dispatch': 3.0, 'transfer': 2.0, 'fixed': 1.0}
        """
        spent = {"fixed": float(self.fixed), "transfer": float(self.transfer)}
        busy = float(self.seconds) - spent["fixed"] - spent["transfer"]
        if busy > float(self.device_seconds) * (1 + _ROUNDING):
            spent["dispatch"] = float(self.dispatch)
        else:
            for k in self.kernels:
                spent[k.waits_for] = spent.get(k.waits_for, 0.0) + float(k.seconds)
        return {k: v for k, v in sorted(spent.items(), key=lambda item: -item[1]) if v > 0}

    @property
    def bottleneck(self) -> str:
        """What most of the time is spent on, a term of :meth:`waits`."""
        return next(iter(self.waits()), "fixed")

    def by_kind(self) -> dict[str, float]:
        """Return the seconds spent in each kind of kernel, most first [s]."""
        spent: dict[str, float] = {}
        for k in self.kernels:
            spent[k.kernel.kind] = spent.get(k.kernel.kind, 0.0) + float(k.seconds)
        return dict(sorted(spent.items(), key=lambda item: -item[1]))
