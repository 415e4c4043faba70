r"""Time of a kernel on a CPU.

.. math::

    t = \text{call} + \text{overlap}(\text{compute}, \text{memory}) + \text{passes}

Products of matrices run in vector micro-kernels: vectors are padded, each result costs ``fill``
steps in addition to its reduction, and every loaded or packed element of an operand costs as much
as ``pack`` multiply-adds (:mod:`costmodel.timing.cpu_products`). Engines that hold channels in
packs (:mod:`costmodel.timing.cpu_packs`) and libraries that get images in the caller's layout
(:mod:`costmodel.timing.cpu_eager`) execute convolutions in their own ways. Cores process whole
vectors, slow each other down and wait for the last one (:mod:`costmodel.timing.cpu_threads`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, maximum, total
from costmodel.kinds import complete
from costmodel.ops.tensor import DTYPE_BYTES, INTEGERS
from costmodel.timing import cpu_channels_last, cpu_eager, cpu_packs, cpu_products
from costmodel.timing.cpu_threads import (
    barrier,
    cores_for,
    crowding,
    in_own_arithmetic,
)
from costmodel.timing.cpu_ways import (
    Way,
    far_bandwidth,
    last_cache,
    shared_bandwidth,
    through_caches,
)
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Terms, Theta, overlap
from costmodel.timing.workload import Moved, Workload


def terms(w: Workload, machine: Machine, q: Theta) -> Terms:
    """Return the terms of a kernel."""
    form = FORMS[w.kind]
    machine = cores_for(w, in_own_arithmetic(w, machine))
    call = q[form.call] if form.call else 1
    found = cpu_packs.carried_out(w, call, machine, q)
    other = form.other
    if found is None and w.channels_last:
        found = cpu_channels_last.channels_last(w, machine, q)
        # Vectors along the channels do one operation per lane in windows, too.
        other = other if found is None else _lanes
    if found is None and cpu_eager.takes_plain_layout(machine):
        found = cpu_eager.caller_layout(w, machine, q)
    if found is None:
        found = _own_layout(w, call, form, machine, q)
    found = cpu_packs.with_changes(cpu_channels_last.turned(found, w, machine, q), w, machine, q)
    calls = found.calls * cold(machine, q, w.weights.distance, w.since) + found.repeats
    launch = q["call"] * calls + barrier(machine, q)
    compute = (found.compute + other(w, machine, q)) * crowding(machine, q)
    memory = _memory(w, machine, q, found)
    moved = w.passes * q["pass_traffic"] * w.writes.bytes + found.copied
    passes = through_caches(moved, machine, q)
    seconds = launch + overlap(compute, memory, q["serial"]) + passes
    return Terms(0, launch, compute, memory, passes, seconds)


@dataclass(frozen=True, slots=True)
class _Form:
    """Execution of a kind of kernel by a library that keeps images in the layout of its kernels.

    Parameters
    ----------
    call : str
        The parameter that scales its call, ``""`` for that of an element-wise kernel.
    other : callable
        The time of its other operations.
    multiply_adds : callable
        The time of its multiply-adds.
    """

    call: str
    other: Callable[[Workload, Machine, Theta], Dim]
    multiply_adds: Callable[[Workload, Machine, Theta], Dim] = cpu_products.no_product


def _own_layout(w: Workload, call: Dim, form: _Form, machine: Machine, q: Theta) -> Way:
    """Return the execution of ``w`` by a library that keeps its own layout."""
    # The steps of a recurrent layer depend on each other, so each is a separate call.
    repeats = call * (total(p.times for p in w.products) - 1) if w.kind == "recurrent" else 0
    return Way(call, form.multiply_adds(w, machine, q), *_read_again(w, machine, q), repeats)


def _read_again(w: Workload, machine: Machine, q: Theta) -> tuple[Dim, Dim]:
    """Return the bytes of weights that later steps of a recurrent layer read again.

    Returns all of them, and those that the last-level cache does not hold between two steps.
    """
    if w.kind != "recurrent":
        return 0, 0
    size = DTYPE_BYTES[w.dtype]
    matrices = [(p.batch * p.m * p.k * size, p.times - 1) for p in w.products]
    spilled = [n * Moved(m, m).missed(last_cache(machine, q)) for m, n in matrices]
    return total(n * m for m, n in matrices), total(spilled)


def cold(machine: Machine, q: Theta, distance: Dim, since: Dim) -> Dim:
    """Return the cost of a call inside a network, relative to an immediately repeated one [1].

    Half of the difference is due to its own small data, which leave the last-level cache as weights
    do, ``distance`` bytes after its last run. The other half is due to its code, which leaves a
    core's own caches ``since`` bytes after the last run of a kernel of its kind, and sooner if each
    call runs much code (:data:`costmodel.timing.cpu_eager.CODE`).
    """
    own = Moved(1, distance).missed(last_cache(machine, q))
    held = machine.private_cache or machine.cache
    if cpu_eager.takes_plain_layout(machine):
        held = held / cpu_eager.CODE
    code = Moved(1, since).missed(held)
    return 1 + (q["cold_call"] - 1) * (own + code) / 2


def _lanes(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of other operations, one per lane, and of moving from piece to piece.

    8-bit results are scaled, rounded and clipped where the engine computes in 8 bits.
    """
    operations = w.elementwise + w.special * q["special"] + cpu_eager.conversions(w, machine)
    rate = machine.vector * machine.narrow * q["vector"]
    if w.kind in machine.scaled and w.dtype in INTEGERS:
        operations = operations + q["requantize"] * w.writes.bytes
        if w.kind in machine.one_by_one:
            rate = machine.units * machine.clock * q["vector"]
    return operations / rate + w.pieces * q["row"] / machine.units


def _windows(w: Workload, machine: Machine, q: Theta, rate: str = "pool") -> Dim:
    """Return the time of operations over windows, which have a start and an end like products."""
    results = w.writes.bytes / DTYPE_BYTES[w.dtype]
    return (w.elementwise + q["fill"] * results) / (machine.vector * machine.narrow * q[rate])


def _largest(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the maxima of windows, whose branches depend on the values."""
    spent = _windows(w, machine, q, "max_pool")
    return spent * cpu_eager.repeated_maxima(w) if cpu_eager.takes_plain_layout(machine) else spent


def _memory(w: Workload, machine: Machine, q: Theta, found: Way) -> Dim:
    """Return the time of the traffic of the tensors and of the bytes that the execution adds.

    All data pass through the caches of a core. Misses come from the shared cache, if there is one,
    at the same time; its misses come from memory. A write that misses there reads the line first
    (write-allocate), so it counts twice.
    """
    near = through_caches(w.bytes, machine, q)
    if machine.private_cache:
        missed = w.missed(machine.private_cache) + found.shared
        shared = missed / shared_bandwidth(machine, q)
        near = maximum(near, shared)
    cache = last_cache(machine, q)
    far = w.missed(cache) + w.writes.missed(cache) + found.spilled
    return near + far / far_bandwidth(machine, q)


FORMS: Mapping[str, _Form] = complete(
    {
        "pointwise": _Form("product_call", _lanes, cpu_products.products),
        "convolution": _Form("window_call", _lanes, cpu_products.convolution),
        "grouped": _Form("window_call", _lanes, cpu_products.grouped),
        "depthwise": _Form("window_call", _lanes, cpu_products.depthwise),
        "linear": _Form("product_call", _lanes, cpu_products.products),
        "matmul": _Form("product_call", _lanes, cpu_products.matmul),
        "attention": _Form("product_call", _lanes, cpu_products.attention),
        "recurrent": _Form("product_call", _lanes, cpu_products.products),
        "elementwise": _Form("", _lanes),
        "batch_norm": _Form("norm_call", _lanes),
        "norm": _Form("norm_call", _lanes),
        "softmax": _Form("", _lanes),
        "pool": _Form("", _windows),
        "max_pool": _Form("", _largest),
        "resample": _Form("", _windows),
        "gather": _Form("", _lanes),
        "copy": _Form("copy_call", _lanes),
    },
    "CPU formulas",
)
"""Execution of each kind of kernel on a CPU."""
