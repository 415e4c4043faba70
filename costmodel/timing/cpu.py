r"""Time of a kernel on a CPU.

.. math::

    t = \text{call} + \text{overlap}(\text{compute}, \text{memory}) + \text{passes}

Products of matrices run in vector micro-kernels: output channels fill whole vectors, and every
element of the other operand that is loaded or packed costs as much as ``pack`` multiply-adds.
"""

from __future__ import annotations

from collections.abc import Mapping

from costmodel.symbols import Dim, ceil_div, maximum, minimum
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Terms, overlap
from costmodel.timing.workload import Workload

Theta = Mapping[str, Dim]

_WINOGRAD = 2.25
"""Multiply-adds that F(2x2, 3x3) saves: 36 instead of 16 for four outputs (Lavin and Gray 2016)."""
_CALLS = {
    "pointwise": "product_call",
    "convolution": "product_call",
    "grouped": "product_call",
    "depthwise": "product_call",
    "linear": "product_call",
    "matmul": "product_call",
    "attention": "product_call",
    "recurrent": "product_call",
    "batch_norm": "norm_call",
    "norm": "norm_call",
    "pool": "norm_call",
}


def terms(w: Workload, machine: Machine, q: Theta) -> Terms:
    """Return the terms of a kernel."""
    launch = q["call"] * (q[_CALLS[w.kind]] if w.kind in _CALLS else 1)
    compute = _compute(w, machine, q)
    memory = _memory(w, machine, q)
    passes = w.passes * q["pass_traffic"] * w.writes.bytes / _near_bandwidth(machine, q)
    seconds = launch + overlap(compute, memory, q["serial"]) + passes
    return Terms(0, launch, compute, memory, passes, seconds)


def _compute(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the arithmetic: multiply-adds, and other operations one a lane."""
    rate = machine.multiply_adds * q["gemm"]
    operations = w.elementwise / (machine.multiply_adds * q["vector"])
    if w.kind == "depthwise":
        return operations + w.multiply_adds / (machine.multiply_adds * q["window"])
    if w.kind == "pool":
        return w.elementwise / (machine.multiply_adds * q["window"])
    if w.kind in ("pointwise", "linear", "matmul", "grouped"):
        return operations + _product(w, machine, q) / rate
    if w.kind == "convolution":
        return operations + _convolution(w, machine, q) / rate
    if w.kind in ("attention", "recurrent"):
        return operations + w.multiply_adds / rate
    return operations


def _product(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the multiply-adds of the products, padding and packing included."""
    rows = ceil_div(w.m, machine.lanes) * machine.lanes
    return w.batch * (rows + q["pack"]) * w.n * w.k


def _convolution(w: Workload, machine: Machine, q: Theta) -> Dim:
    direct = _product(w, machine, q) / q["direct"]
    if not (w.winograd and "winograd" in machine.algorithms):
        return direct
    return minimum(direct, _product(w, machine, q) / _WINOGRAD / q["winograd"])


def _memory(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the traffic: everything through the caches, what missed from memory."""
    return w.bytes / _near_bandwidth(machine, q) + w.missed(machine.cache) / _far_bandwidth(
        machine, q
    )


def _near_bandwidth(machine: Machine, q: Theta) -> Dim:
    return machine.units * q["near_bandwidth"]


def _far_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return what the cores draw from memory, the interface of the chip being the limit. [B/s]"""
    return minimum(machine.units * q["far_bandwidth"], q["dram"] * machine.bandwidth)
