"""From the terms of kernels to the time of a network: host beside device, transfers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np

from costmodel.algebra.symbols import Dim, maximum, total
from costmodel.graph import Node
from costmodel.ops import Input, Output
from costmodel.timing import accelerator, cpu, cpu_threads, gpu
from costmodel.timing.bound import least_seconds
from costmodel.timing.machine import Machine
from costmodel.timing.multipliers import multiplied
from costmodel.timing.surface import Surface, exp, matching, missed
from costmodel.timing.terms import NAMES, Terms, Theta
from costmodel.timing.workload import Workload

_FORMULAS: Mapping[str, ModuleType] = {
    "cpu": cpu,
    "gpu": gpu,
    "accelerator": accelerator,
}


def kernel_terms(
    w: Workload, machine: Machine, theta: Theta, surfaces: Sequence[Surface] = ()
) -> Terms:
    """Return the terms of one kernel, or of many of one kind as arrays, with their bound."""
    result: Terms = _FORMULAS[machine.kind].terms(w, machine, theta)
    result = replace(multiplied(result, w.kind, theta), bound=least_seconds(w, machine))
    if matching(w, surfaces):
        residual = result.model * (exp(missed(w, surfaces)) - 1)
        result = replace(result, residual=residual, model=result.model + residual)
    made = w.writes.bytes
    if isinstance(made, np.ndarray) and not made.all():
        # A kernel with empty outputs does not run.
        return Terms(*(np.where(made > 0, getattr(result, name), 0.0) for name in NAMES))
    return result


def network_seconds(
    machine: Machine,
    host: Dim,
    device: Dim,
    transferred: Dim,
    theta: Theta,
    distance: Dim,
    kernels: Dim,
) -> Dim:
    r"""Return the time of one inference [s].

    .. math:: t = \text{fixed} + \text{transfer} + \max(\text{host}, \text{device})

    Parameters
    ----------
    machine : Machine
        The machine; the host counts only if it dispatches ahead of the device.
    host, device : Dim
        Sums over the kernels. [s]
    transferred : Dim
        Bytes of inputs and outputs. [byte]
    theta : mapping
        Parameters.
    distance : Dim
        Bytes touched from one inference to the next. [byte]
    kernels : Dim
        Number of kernels. [1]
    """
    busy = maximum(host, device) if machine.asynchronous else device
    fixed = fixed_seconds(machine, theta, distance, kernels, device)
    return fixed + transfer_seconds(machine, transferred, theta) + busy


def fixed_seconds(machine: Machine, theta: Theta, distance: Dim, kernels: Dim, device: Dim) -> Dim:
    """Return the cost of an inference in addition to its kernels [s].

    On a CPU, it is larger if caches are cold, and includes the time that a low clock adds to
    kernels (:func:`costmodel.timing.cpu_threads.low_clock`).
    """
    if machine.kind != "cpu":
        return theta["fixed"]
    cold = theta["fixed"] * cpu.cold(machine, theta, distance, distance)
    return cold + cpu_threads.low_clock(machine, kernels, device, theta)


def transfer_seconds(machine: Machine, transferred: Dim, theta: Theta) -> Dim:
    """Return the time of moving inputs and outputs; zero if host and device share memory [s]."""
    return transferred / (machine.link * theta["copy"]) if machine.link else 0


def transferred_bytes(nodes: Iterable[Node]) -> Dim:
    """Return the bytes of all inputs and outputs of a network [byte]."""
    moved = []
    for node in nodes:
        if isinstance(node.op, Input):
            moved.append(node.outputs[0].bytes)
        elif isinstance(node.op, Output):
            moved.append(node.inputs[0].bytes)
    return total(moved)
