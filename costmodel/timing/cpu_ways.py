"""The cost of one way to execute a kernel on a CPU, and the rates of the cores in all of them."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, at_most, ceil_div, minimum
from costmodel.ops.tensor import INTEGERS
from costmodel.timing.cpu_threads import CLUSTER, crowding
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Workload

_SERVED = 1
"""Cores that use up the bandwidth of a second-level cache that a cluster shares. [1]"""


@dataclass(frozen=True, slots=True)
class Way:
    """Cost of a kernel under one way of execution.

    Parameters
    ----------
    calls : Dim
        Cost of calling it, relative to the call of an element-wise kernel. [1]
    compute : Dim
        Time of its multiply-adds. [s]
    copied : Dim
        Bytes moved between layouts. [byte]
    spilled : Dim
        Bytes of these that leave the last-level cache before they are read. [byte]
    repeats : Dim
        Cost of immediately following calls, whose code is still cached, in the same unit. [1]
    shared : Dim
        Bytes that come from the cache that cores share, in addition to the tensors. [byte]
    """

    calls: Dim
    compute: Dim = 0
    copied: Dim = 0
    spilled: Dim = 0
    repeats: Dim = 0
    shared: Dim = 0


def either(a: Way, b: Way, first: Dim) -> Way:
    """Return ``a`` if ``first`` is 1 and ``b`` if it is 0.

    Examples
    --------
    >>> either(Way(1, 2.0), Way(3, 4.0), 0).compute
    4.0
    """
    second = 1 - first
    return Way(
        first * a.calls + second * b.calls,
        first * a.compute + second * b.compute,
        first * a.copied + second * b.copied,
        first * a.spilled + second * b.spilled,
        first * a.repeats + second * b.repeats,
        first * a.shared + second * b.shared,
    )


def fits(channels: Dim, multiple: int) -> Dim:
    """Return 1 if ``channels`` are a multiple of ``multiple``, else 0.

    Examples
    --------
    >>> fits(36, 4), fits(189, 4)
    (1, 0)
    """
    return at_most(ceil_div(channels, multiple) * multiple, channels)


def partly_filled(channels: Dim, block: Dim, q: Theta) -> Dim:
    """Return the slowdown of a copy into or out of blocks that ``channels`` do not fill [1]."""
    left_over = ceil_div(channels, block) * block - channels
    return 1 + q["tail"] * (1 - at_most(left_over, 0))


def peak(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the peak of the dtype, as far as loads and 8-bit arithmetic leave it [multiply-add/s].

    A step of a tile of 8x8 results in float32 loads 64 bytes, 8 cycles of a 64-bit port, beside 16
    cycles of multiply-adds. A core that issues in order hides them only where its kernel was
    written for it.
    """
    rate = machine.multiply_adds * (q["in_order"] if machine.loads_stall else 1)
    if w.dtype not in INTEGERS:
        return rate
    share = q["widened"] if machine.widens else q["integer"]
    scaled = q["per_channel"] if w.dtype in machine.per_channel else 1
    return rate * share * scaled


def last_cache(machine: Machine, q: Theta) -> Dim:
    """Return the part of the last-level cache that is available to this process [byte]."""
    return machine.cache * q["cache_share"]


def near_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return the bandwidth of the cores from their closest caches [B/s].

    Wide vectors have wide paths. Where the cores of a cluster share the cache behind the first
    level, one of them can use its bandwidth up, so that more of them get no more bytes: networks
    under ncnn on four cores of a Cortex-A72 gain less the more bytes they move for a multiply-add.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> def speed(name):
    ...     machine = machine_for(load_platform(name), "float32")
    ...     return near_bandwidth(machine, {"near_bandwidth": 2.0}) / 1e9
    >>> speed("raspberry-pi-4/ncnn?threads=1"), speed("raspberry-pi-4/ncnn?threads=4")
    (12.0, 12.0)
    >>> speed("raspberry-pi-5/ncnn?threads=1"), speed("raspberry-pi-5/ncnn?threads=4")
    (38.4, 153.6)
    """
    clusters = ceil_div(machine.units, CLUSTER)
    cores = machine.units if machine.private_cache else minimum(machine.units, _SERVED * clusters)
    return machine.vector / machine.units * cores * q["near_bandwidth"]


def through_caches(size: Dim, machine: Machine, q: Theta) -> Dim:
    """Return the time of bytes that all cores move through their closest caches [s].

    Cores that share the cache share its bandwidth already; others crowd the one behind theirs.
    """
    slower = crowding(machine, q) if machine.private_cache else 1
    return size * slower / near_bandwidth(machine, q)


def shared_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return the bandwidth of the cores from the cache that they share [B/s].

    Cores and the caches between them run at about the same clock, so a core of twice the clock gets
    twice the bytes.
    """
    return machine.units * machine.clock * q["shared_bandwidth"]


def far_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return the memory bandwidth of the cores, limited by the interface of the chip [B/s]."""
    return minimum(machine.units * q["far_bandwidth"], q["dram"] * machine.bandwidth)
