r"""Losses of several cores relative to a proportional speed-up.

.. math::

    \frac{t_1}{t_n} = \frac{n}{1 + c\,(\min(n, 4) - 1)}

Cores of a cluster share a cache: each further core slows the others down by the share :math:`c` of
the time on one core; :math:`c` is larger if the shared cache comes directly after the first level.
At the end of every kernel, all cores wait for the last one. Kernels that an engine does not split
run on one core. Threads that sleep between kernels may keep the system from giving them fast cores
and a high clock.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Workload

CLUSTER = 4
"""Cores that share a cache: the clusters of Arm's Cortex-A and DynamIQ hold up to four big ones."""

REFERENCE = 8e9
"""Peak of a Cortex-A57 at 2 GHz, to which the barrier refers. [multiply-add/s]"""


def cores_for(w: Workload, machine: Machine) -> Machine:
    """Return the cores that run a kernel: one of them if the engine does not split its kind."""
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
    """Return the machine of a kernel: in float32 if its kind has no half-precision kernels."""
    if w.kind not in machine.in_float32:
        return machine
    multiply_adds, lanes = machine.float32
    return replace(machine, multiply_adds=multiply_adds, lanes=lanes, element=4, narrow=1.0)


def crowding(machine: Machine, q: Theta) -> Dim:
    """Return the factor by which sharing a cache slows down each core, in any dtype [1].

    Under ncnn, 8-bit networks are as much faster on four cores of a Cortex-A57 as those in float32
    (1.6 to 2.2 times against 1.6 to 2.0), and as those in float16 on a Cortex-A76.
    """
    share = q["contention_own"] if machine.private_cache else q["contention"]
    return 1 + share * (minimum(machine.units, CLUSTER) - 1)


def barrier(machine: Machine, q: Theta) -> Dim:
    """Return the time from the end of a kernel until all cores begin the next one [s].

    Spinning threads execute a number of instructions, which cores of twice the peak finish in half
    of the time. Sleeping threads are woken by the system, which takes the same time on any core.
    """
    speed = 1 if machine.sleeps else machine.vector / machine.units / REFERENCE
    return q["barrier"] / speed * minimum(1, machine.units - 1)


def low_clock(machine: Machine, kernels: Dim, seconds: Dim, q: Theta) -> Dim:
    r"""Return the time added to a network because its threads sleep for too much of it [s].

    Threads that sleep between kernels and between inferences leave their cores idle. At a load of
    up to 80 % the system keeps them on small cores or at a low clock; from 86 % on, it does not:

    .. math::

        \text{low clock} \cdot t \cdot \min(1, \max(0, 3 - t / (2 t_\text{idle}))), \qquad
        t_\text{idle} = \text{fixed} + n \cdot \text{sleep}

    80 % is the limit of Linux (``fits_capacity`` in ``kernel/sched/fair.c``).

    Parameters
    ----------
    machine : Machine
        The machine.
    kernels : Dim
        Number of kernels of the network. [1]
    seconds : Dim
        Their time at the full clock. [s]
    q : mapping
        Parameters.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> machine = machine_for(load_platform("rk3588/armnn?threads=4"), "float32")
    >>> q = {"low_clock": 1.5, "sleep": 1e-4, "fixed": 1e-3}
    >>> [round(low_clock(machine, 40, t / 1e3, q), 4) for t in (20, 25, 30)]
    [0.03, 0.0188, 0.0]
    """
    if not machine.sleeps or machine.units == 1:
        return 0
    idle = q["fixed"] + kernels * q["sleep"]
    return q["low_clock"] * seconds * minimum(1, maximum(0, 3 - seconds / (2 * idle)))


def uneven(pieces: Dim, machine: Machine) -> Dim:
    """Return the slowdown because cores process whole pieces [1].

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> machine = machine_for(load_platform("raspberry-pi-4/ncnn?threads=4"), "float32")
    >>> uneven(6, machine), uneven(8, machine)
    (1.3333333333333333, 1.0)
    """
    return ceil_div(pieces, machine.units) * machine.units / pieces
