r"""Normalizations and softmax on a GPU: kernels in which each block of threads has one row.

A block of 128 threads normalizes a row: it passes over it twice, a few bytes at a time, and in
between merges the means and variances of its threads step by step (Welford's algorithm; RMSNorm has
no mean and does not). A multiprocessor holds as many blocks as its threads allow:

.. math::

    t = \max\left(1, \frac{R}{U B}\right) \frac{\text{norm_row} + z / \text{norm_feed}}{f}
    \qquad B = \frac{\text{threads}}{128}

for :math:`R` rows of :math:`z` bytes on :math:`U` multiprocessors at the clock :math:`f`. Where the
rows in flight are too many for the last-level cache, the second time comes from memory.

A softmax of at most 1024 elements keeps its row in registers. A longer one evaluates its
exponentials twice, once for the sum and once for the result, and moves its tensors
``softmax_traffic`` times; before Ampere short rows are seen to take as much traffic, too:

.. math:: t = \frac{E \, \text{exponential}}{e \, U f}

with :math:`E` exponentials, :math:`e` of which a multiprocessor evaluates in a cycle.

Valid for PyTorch's kernels, which have no other for rows that are not contiguous. Source:
``aten/src/ATen/native/cuda/layer_norm_kernel.cu`` (``vectorized_layer_norm_kernel``,
``cuWelfordCombine``) and ``SoftMax.cu`` (``dispatch_softmax_forward``, ``cunn_SoftMaxForward``).
"""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, maximum, minimum
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Moved, Workload

_BLOCK = 128
"""Threads that normalize one row together. [1]"""
_IN_REGISTERS = 1024
"""Elements of the longest row of a softmax that stays in registers. [element]"""


def merging(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the rows of a normalization without their traffic [s].

    Without a mean (RMSNorm) nothing is merged; without rows (local response) the time is zero.
    """
    rows = maximum(1, w.pieces)
    cycles = q["norm_row"] * w.merged / rows + _row(w) / q["norm_feed"]
    return maximum(1.0, rows / _at_once(machine)) * cycles / machine.clock


def read_twice(w: Workload, machine: Machine) -> Moved:
    """Return the traffic of the second pass of a normalization over its rows.

    All rows in flight are touched in between, so with a small cache it comes from memory.
    """
    row = _row(w) * (_longer(w, _IN_REGISTERS) if machine.generated else 1)
    return Moved(row * w.pieces, row * minimum(w.pieces, _at_once(machine)))


def _row(w: Workload) -> Dim:
    """Return the bytes of a row, 0 without rows [byte]."""
    return minimum(1, w.pieces) * w.writes.bytes / maximum(1, w.pieces)


def _at_once(machine: Machine) -> float:
    """Return the rows that the device normalizes at once [1]."""
    return machine.units * machine.generation.threads / _BLOCK


def exponentials(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the exponentials of a softmax [s]."""
    rate = machine.generation.exponentials * machine.units * machine.clock
    return w.special * (1 + _longer(w, _IN_REGISTERS)) * q["exponential"] / rate


def sweeps(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the number of times that a softmax moves its tensors [1]."""
    once = _IN_REGISTERS if machine.generated else machine.generation.softmax_once
    return 1 + (q["softmax_traffic"] - 1) * _longer(w, once)


def _longer(w: Workload, limit: float) -> Dim:
    """Return 1 if rows have more than ``limit`` elements, else 0."""
    length = w.writes.bytes / (DTYPE_BYTES[w.dtype] * maximum(1, w.pieces))
    return minimum(1, maximum(0, length - limit))
