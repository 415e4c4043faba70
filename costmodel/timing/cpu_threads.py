r"""What keeps several cores from being as many times as fast as one.

.. math::

    \frac{t_1}{t_n} = \frac{n}{1 + c\,(\min(n, 4) - 1)}

Cores of a cluster draw from one cache: each further one slows the others down by the share
:math:`c` of the time that one alone takes, :math:`c` being larger where the shared cache is right
behind the first. At the end of every kernel, all cores wait for the last one. Kernels that an
engine does not split run on one core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from costmodel.algebra.symbols import Dim, ceil_div, minimum
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.machine import Machine
from costmodel.timing.workload import Workload

CLUSTER = 4
"""Cores that share a cache: the clusters of Arm's Cortex-A and DynamIQ hold up to four big ones."""

REFERENCE = 8e9
"""Peak of a Cortex-A57 at 2 GHz, for which the barrier is given. [multiply-add/s]"""


def cores_for(w: Workload, machine: Machine) -> Machine:
    """Return the cores that run a kernel: one, where the engine does not split its kind."""
    if w.kind not in machine.one_core or machine.units == 1:
        return machine
    n = machine.units
    return replace(
        machine,
        units=1,
        multiply_adds=machine.multiply_adds / n,
        vector=machine.vector / n,
        private_cache=machine.private_cache / n,
    )


def in_own_arithmetic(w: Workload, machine: Machine) -> Machine:
    """Return the machine as a kernel computes on it: in float32, where its kind has no halves."""
    if w.kind not in machine.in_float32:
        return machine
    multiply_adds, lanes = machine.float32
    return replace(machine, multiply_adds=multiply_adds, lanes=lanes, element=4, narrow=1.0)


def crowding(machine: Machine, q: Mapping[str, Dim], dtype: str = "float32") -> Dim:
    """Return how much longer each core takes because others draw from the same cache [1].

    Elements of half the size draw half as much.
    """
    share = q["contention_own"] if machine.private_cache else q["contention"]
    size = DTYPE_BYTES[dtype] / DTYPE_BYTES["float32"]
    return 1 + share * size * (minimum(machine.units, CLUSTER) - 1)


def barrier(machine: Machine, q: Mapping[str, Dim]) -> Dim:
    """Return the time until the last core has heard that a kernel is done, and the next begins [s].

    Where threads spin, a number of instructions: cores whose peak is twice as high go through them
    twice as fast. Where they sleep, the system takes its time to wake them on any core.
    """
    speed = 1 if machine.sleeps else machine.vector / machine.units / REFERENCE
    return q["barrier"] / speed * minimum(1, machine.units - 1)


def uneven(pieces: Dim, machine: Machine) -> Dim:
    """Return how much longer work in equal pieces takes because cores take whole ones [1].

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> machine = machine_for(load_platform("raspberry-pi-4/ncnn?threads=4"), "float32")
    >>> uneven(6, machine), uneven(8, machine)
    (1.3333333333333333, 1.0)
    """
    return ceil_div(pieces, machine.units) * machine.units / pieces
