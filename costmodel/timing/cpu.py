r"""Time of a kernel on a CPU.

.. math::

    t = \text{call} + \text{overlap}(\text{compute}, \text{memory}) + \text{passes}

Products of matrices run in vector micro-kernels: output channels fill whole vectors, each result
costs ``fill`` steps beyond its reduction, and every element of the streamed operand that is loaded
or packed costs as much as ``pack`` multiply-adds. Cores take whole vectors of channels each.
"""

from __future__ import annotations

from collections.abc import Mapping

from costmodel._symbols import Dim, ceil_div, minimum, total
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Terms, overlap
from costmodel.timing.workload import Workload

Theta = Mapping[str, Dim]

_BLOCK = 4
"""Outputs along each side of a Winograd F(4x4, 3x3) block (Lavin and Gray 2016)."""
_TRANSFORMED = 36
"""Products of such a block: (4 + 3 - 1)**2, instead of 9 for each of 16 outputs."""
_TRANSFORM_TRAFFIC = 4.5
"""Times that transforms move inputs and outputs: 36 elements for 16, written and read."""
_GROUP_LANES = 4
"""Channels of one group that a vector holds at least."""
_COLUMNS = 8
"""Pixels of a micro-kernel's tile; a linear layer on few rows has kernels of its own."""
_WORD = 4
"""Bytes of a transformed element. [byte]"""
_INTEGERS = ("int8", "uint8")
"""Dtypes whose products have instructions of their own."""
_INTEGER_WINOGRAD = 2
"""Transformed int8 inputs need 16 bits: half as many products an instruction."""
_CALLS = {
    "pointwise": "product_call",
    "convolution": "window_call",
    "grouped": "window_call",
    "depthwise": "window_call",
    "linear": "product_call",
    "matmul": "product_call",
    "attention": "product_call",
    "recurrent": "product_call",
    "batch_norm": "norm_call",
    "pool": "norm_call",
    "max_pool": "norm_call",
}


def terms(w: Workload, machine: Machine, q: Theta) -> Terms:
    """Return the terms of a kernel."""
    launch = q["call"] * (q[_CALLS[w.kind]] if w.kind in _CALLS else 1)
    if not w.alone:
        launch = launch * q["cold_call"]
    compute = _compute(w, machine, q)
    memory = _memory(w, machine, q)
    passes = w.passes * q["pass_traffic"] * w.writes.bytes / _near_bandwidth(machine, q)
    seconds = launch + overlap(compute, memory, q["serial"]) + passes
    return Terms(0, launch, compute, memory, passes, seconds)


def _compute(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the arithmetic: multiply-adds, and other operations one a lane."""
    peak = machine.multiply_adds * (q["integer"] if w.dtype in _INTEGERS else 1)
    rate = peak * q["gemm"]
    other = (w.elementwise + w.special * q["special"]) / (machine.vector * q["vector"])
    match w.kind:
        case "depthwise":
            return other + w.multiply_adds / (peak * q["window"])
        case "pool" | "max_pool":
            return w.elementwise / (machine.vector * q[w.kind])
        case "pointwise" | "linear":
            return other + _product(w, machine, q) / rate
        case "grouped":
            return other + _product(w, machine, q) / (rate * q["grouped"])
        case "convolution":
            return other + _convolution(w, machine, q, rate)
        case "matmul" | "attention":
            return other + w.multiply_adds / (rate * q["matmul"])
        case "recurrent":
            return other + w.multiply_adds / rate
    return other


def _product(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the multiply-adds of the products, padding, packing and idle cores included."""
    # Wide vectors hold channels of several groups: only four have to be of one.
    lanes = minimum(machine.lanes, _GROUP_LANES) if w.kind == "grouped" else machine.lanes
    vectors = ceil_div(w.m, lanes)
    shared = ceil_div(vectors, machine.units) * machine.units
    columns = w.n if w.kind == "linear" else ceil_div(w.n, _COLUMNS) * _COLUMNS
    return w.batch * (shared * lanes + q["pack"]) * columns * (w.k + q["fill"])


def _convolution(w: Workload, machine: Machine, q: Theta, rate: Dim) -> Dim:
    direct = _product(w, machine, q) / (rate * q["direct"])
    if not (w.winograd and "winograd" in machine.algorithms):
        return direct
    channels = w.k / 9
    blocks = w.blocks(_BLOCK)
    products = _TRANSFORMED * blocks * w.m * (channels + q["fill"])
    if w.dtype in _INTEGERS:
        products = products * _INTEGER_WINOGRAD
    moved = _TRANSFORM_TRAFFIC * _WORD * w.n * (channels + w.m)
    return minimum(direct, products / (rate * q["winograd"]) + moved / _near_bandwidth(machine, q))


def _memory(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the traffic, level by level.

    Activations go through the caches; what a core's own cache misses comes from the cache that
    cores share, where there is one; what that misses comes from memory. A write that misses reads
    the line first (write-allocate), hence counts twice.
    """
    near = total(t.bytes for t in (*w.reads, w.writes))
    far = w.missed(machine.cache) + w.writes.missed(machine.cache)
    seconds = near / _near_bandwidth(machine, q) + far / _far_bandwidth(machine, q)
    if not machine.private_cache:
        return seconds
    shared = w.missed(machine.private_cache) + w.writes.missed(machine.private_cache)
    return seconds + shared / (machine.units * q["shared_bandwidth"])


def _near_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return what the cores move through their caches; wide vectors have wide paths [B/s]."""
    return machine.vector * q["near_bandwidth"]


def _far_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return what the cores draw from memory, the interface of the chip being the limit [B/s]."""
    return minimum(machine.units * q["far_bandwidth"], q["dram"] * machine.bandwidth)
