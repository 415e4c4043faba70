"""Execution of kernels by CPU engines that hold channels in packs.

Three layouts (:class:`~costmodel.runtimes.Packs`), each with vectors along the channels:

- *Blocks* of whole vectors, the last one padded (:mod:`costmodel.timing.cpu_nchwc`).
- The largest *divisors* of the channels (:mod:`costmodel.timing.cpu_divisors`).
- *Tiles* of the weights only (XNNPACK): outputs are padded to whole tiles, images are plain.
"""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, ceil_div
from costmodel.kinds import KINDS
from costmodel.runtimes import Packs
from costmodel.timing import cpu_divisors, cpu_nchwc
from costmodel.timing.cpu_products import channelwise, convolution, grouped, product_time
from costmodel.timing.cpu_ways import Way
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import PASSING, Workload


def carried_out(w: Workload, call: Dim, machine: Machine, q: Theta) -> Way | None:
    """Return the execution of ``w`` by an engine that packs channels.

    Returns None for an engine without packs, and for a kernel that does not depend on them.

    Parameters
    ----------
    w : Workload
        The kernel.
    call : Dim
        Cost of calling it, relative to the call of an element-wise kernel. [1]
    machine : Machine
        The cores.
    q : mapping
        Parameters.
    """
    packs = machine.packs
    if packs is not None and packs.layout == "divisors" and w.kind == "linear":
        return Way(call, cpu_divisors.linear(w, machine, q))
    if packs is None or not _is_convolution(w):
        return None
    if packs.layout == "blocks":
        return cpu_nchwc.convolved(w, call, packs, machine, q)
    if not packs.apply(w.dtype, machine.lanes):
        return None
    form = cpu_divisors.convolved if packs.layout == "divisors" else _in_tiles
    return form(w, call, packs, machine, q)


def with_changes(found: Way, w: Workload, machine: Machine, q: Theta) -> Way:
    """Return ``found`` with the copies that change the layout of images before or after it.

    Element-wise kernels and pools accept images in any layout.
    """
    packs = machine.packs
    if packs is None or packs.layout == "tiles" or not packs.apply(w.dtype, machine.lanes):
        return found
    if w.kind in PASSING or not w.makers:
        return found
    if packs.layout == "divisors":
        ends = cpu_divisors.packed_at_the_ends
        return ends(found, w, machine, q) if _is_convolution(w) else found
    return cpu_nchwc.changed(found, w, packs, machine, q)


def _in_tiles(w: Workload, call: Dim, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return a convolution whose outputs are padded to whole tiles of several vectors."""
    p = w.product
    if w.kind == "depthwise":
        pieces = ceil_div(p.batch, machine.lanes)
        return Way(call, channelwise(w, pieces, machine.lanes, machine, q))
    if w.kind == "grouped":
        return Way(call, grouped(w, machine, q))
    lanes = machine.lanes * packs.vectors
    if w.kind == "convolution":
        return Way(call, convolution(w, machine, q, lanes))
    return Way(call, product_time(p, w, machine, q, lanes))


def _is_convolution(w: Workload) -> bool:
    return KINDS[w.kind].group == "convolution"
