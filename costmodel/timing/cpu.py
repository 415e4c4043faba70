r"""Time of a kernel on a CPU.

.. math::

    t = \text{call} + \text{overlap}(\text{compute}, \text{memory}) + \text{passes}

Products of matrices run in vector micro-kernels: vectors are filled up, each result costs ``fill``
steps beyond its reduction, and every element of an operand that is loaded or packed costs as much
as ``pack`` multiply-adds (:mod:`costmodel.timing.cpu_products`). Cores take whole vectors each.
"""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, maximum, minimum
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.cpu_products import Theta, last_cache, way
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Terms, overlap
from costmodel.timing.workload import Moved, Workload


def terms(w: Workload, machine: Machine, q: Theta) -> Terms:
    """Return the terms of a kernel."""
    found = way(w, machine, q)
    calls = found.calls * cold(machine, q, w.weights.distance, w.since) + found.repeats
    launch = q["call"] * calls
    compute = found.compute + _elementwise(w, machine, q)
    memory = _memory(w, machine, q, found.spilled)
    moved = w.passes * q["pass_traffic"] * w.writes.bytes + found.copied
    passes = moved / _near_bandwidth(machine, q)
    seconds = launch + overlap(compute, memory, q["serial"]) + passes
    return Terms(0, launch, compute, memory, passes, seconds)


def cold(machine: Machine, q: Theta, distance: Dim, since: Dim) -> Dim:
    """Return what a call costs inside a network, relative to one that is repeated at once [1].

    Half of the difference is the little data of its own, which leave the last cache as weights do,
    ``distance`` bytes after its last run; half is its code, which leaves a core's own caches
    ``since`` bytes after that of another kernel of its kind.
    """
    own = Moved(1, distance).missed(last_cache(machine, q))
    code = Moved(1, since).missed(machine.private_cache or machine.cache)
    return 1 + (q["cold_call"] - 1) * (own + code) / 2


def _elementwise(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of other operations, one a lane, and of going on from row to row."""
    if w.kind in ("pool", "max_pool"):
        # Like the results of a product, windows have a start and an end.
        results = w.writes.bytes / DTYPE_BYTES[w.dtype]
        return (w.elementwise + q["fill"] * results) / (machine.vector * q[w.kind])
    operations = w.elementwise + w.special * q["special"]
    return operations / (machine.vector * q["vector"]) + w.rows * q["row"] / machine.units


def _memory(w: Workload, machine: Machine, q: Theta, spilled: Dim) -> Dim:
    """Return the time of the traffic, of ``spilled`` bytes besides the tensors.

    Everything goes through the caches of a core; what these miss comes from the cache that cores
    share, where there is one, at the same time; what that misses comes from memory. A write that
    misses there reads the line first (write-allocate), hence counts twice.
    """
    near = w.bytes / _near_bandwidth(machine, q)
    if machine.private_cache:
        shared = w.missed(machine.private_cache) / (machine.units * q["shared_bandwidth"])
        near = maximum(near, shared)
    cache = last_cache(machine, q)
    far = w.missed(cache) + w.writes.missed(cache) + spilled
    return near + far / _far_bandwidth(machine, q)


def _near_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return what the cores move through their caches; wide vectors have wide paths [B/s]."""
    return machine.vector * q["near_bandwidth"]


def _far_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return what the cores draw from memory, the interface of the chip being the limit [B/s]."""
    return minimum(machine.units * q["far_bandwidth"], q["dram"] * machine.bandwidth)
