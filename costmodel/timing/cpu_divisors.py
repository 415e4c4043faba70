"""Convolutions of an engine whose packs divide the channels of an image (ncnn).

A depthwise convolution fills as much of its vectors as the pack allows; the elements that other
convolutions read and write are scattered pack by pack. Every group is a layer of its own.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.algebra.symbols import Dim, at_most, ceil_div, minimum, total
from costmodel.runtimes import Packs
from costmodel.timing import cpu_blocks, cpu_winograd
from costmodel.timing.cpu_products import channelwise, convolution, grouped, products
from costmodel.timing.cpu_ways import Way, fits, near_bandwidth, shared_bandwidth
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Moved, Workload

_SIZES = (4, 8, 16)
"""Packs narrower than a vector that engines support, in addition to single channels (ncnn:
``elempack`` in ``src/layer/x86/convolution_x86.cpp``)."""
_PLACED = {"winograd": 2, "product": 1 / 4}
"""Moves per result. Winograd's algorithm stores a vector into a buffer and takes single elements
out of it (ncnn, ``src/layer/x86/convolution_3x3_winograd.h``, the output transforms where
``out_elempack == 1``); a product transposes tiles and stores four results at once
(``convolution_im2col_gemm.h``)."""
_DIRECT_CHANNELS = 8
"""Most inputs and outputs of a 3x3 convolution that ncnn multiplies directly on x86
(``src/layer/x86/convolution_x86.cpp``, ``prefer_winograd``)."""
_ALONE = 3
"""Cost of a group that runs as a separate layer, in calls of an element-wise kernel (fit to the
rows of ncnn in ``docs/data/engine_packs.csv``: 4.0e-6 s for each of 2 to 509 groups beyond the
first, where a call is 1.3e-6 s)."""


def pack_of(channels: Dim, lanes: int) -> Dim:
    """Return the largest pack of up to ``lanes`` channels that divides ``channels``.

    Examples
    --------
    >>> [pack_of(c, 16) for c in (192, 188, 189, 24)], pack_of(192, 4)
    ([16, 4, 1, 8], 4)
    """
    found: Dim = 1
    before = 1
    for size in _SIZES:
        if size <= lanes:
            found = found + (size - before) * fits(channels, size)
            before = size
    return found


def convolved(w: Workload, call: Dim, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return a convolution of images in packs that divide their channels."""
    p, c, lanes = w.product, w.channels, machine.lanes
    border = _bordered(w, machine, q) if packs.padded_copy else 0
    if w.kind == "depthwise":
        pack = pack_of(c.groups, lanes)
        single = at_most(pack, 1)
        own = _one_of(p.taps, packs.windows)
        if lanes in packs.single_windows:
            own = single * _one_of(p.taps, packs.single_windows[lanes]) + (1 - single) * own
        # Without a dedicated kernel, a window in packs is one chain of additions; channels that are
        # held singly are separate layers.
        alone = (1 - own) * single
        slower = 1 + (1 - own) * (1 - alone) * (1 / q["other_window"] - 1)
        spent = slower * channelwise(w, c.groups / pack, lanes, machine, q)
        return Way(call, spent + border, repeats=alone * _ALONE * (c.groups - 1))
    # Winograd's algorithm reads whole packs and places single results; unrolling a window selects
    # single elements, and the results of the product are transposed in whole tiles.
    winograd = _takes_winograd(w, machine)
    unrolled = (1 - winograd) * (1 - at_most(p.taps, 1)) * p.batch * p.n * p.k
    made = (
        p.batch * p.m * p.n * (winograd * _PLACED["winograd"] + (1 - winograd) * _PLACED["product"])
    )
    scattered = unrolled * _narrow(c.inputs, lanes) + made * _narrow(c.outputs, lanes)
    rule = cpu_blocks.rule_of(machine)
    far: Dim = 0
    shared: Dim = 0
    if rule is None:
        spent = _spent(w, winograd, machine, q)
    else:
        spent = cpu_blocks.spent(w, rule, winograd, machine, q)
        far, shared = cpu_blocks.streamed(w, rule, winograd, machine)
    spent = spent + q["scatter"] * scattered / (machine.vector / lanes)
    return Way(call, spent + border, 0, far, _ALONE * (c.groups - 1), shared)


def linear(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the multiply-adds of a linear layer [s].

    On several rows it is a product like those of two activations (ncnn: ``Gemm``, also within
    ``MultiHeadAttention``), which packs the rows at every call. One row has a kernel of its own.
    """
    several = 1 - at_most(w.product.n, 1)
    return products(w, machine, q) * (several / q["matmul"] + 1 - several)


def packed_at_the_ends(found: Way, w: Workload, machine: Machine, q: Theta) -> Way:
    """Return ``found`` with the packing of plain inputs and the unpacking of a network's output.

    Inside a network, images stay in packs.
    """
    c, lanes = w.channels, machine.lanes
    plain = [1 - minimum(1, maker.groups) for maker in w.makers]
    given = total(p * tensor.bytes for p, tensor in zip(plain, w.reads, strict=True))
    given = given * (1 - at_most(pack_of(c.groups * c.inputs, lanes), 1))
    result = w.last * w.writes.bytes * (1 - at_most(pack_of(c.groups * c.outputs, lanes), 1))
    return replace(found, copied=found.copied + q["reorder"] * (given + result))


def _takes_winograd(w: Workload, machine: Machine) -> Dim:
    """Return 1 for a 3x3 convolution of stride 1, in groups or not, of more than a few channels."""
    if not cpu_winograd.applies(w, machine):
        return 0
    c = w.channels
    few = cpu_blocks.few_channels(machine) if cpu_blocks.rule_of(machine) else _DIRECT_CHANNELS
    return 1 - at_most(c.inputs, few) * at_most(c.outputs, few)


def _spent(w: Workload, winograd: Dim, machine: Machine, q: Theta) -> Dim:
    """Return the time of the multiply-adds, with each group as a separate layer [s]."""
    if w.kind == "pointwise":
        return products(w, machine, q)
    p, weights = w.product, w.weights
    filled = machine.lanes * _vectors(p.m, machine.lanes)
    if w.kind == "convolution":
        return convolution(replace(w, products=(replace(p, m=filled),)), machine, q)
    one = replace(
        w,
        kind="convolution",
        products=(replace(p, batch=1, m=filled),),
        weights=weights._replace(bytes=weights.bytes / p.batch),
    )
    transformed = p.batch * convolution(one, machine, q)
    return winograd * transformed + (1 - winograd) * grouped(w, machine, q, machine.lanes)


def _vectors(outputs: Dim, lanes: int) -> Dim:
    """Return the vectors that the outputs of a convolution take [1].

    Outputs that fill no vector are made in pieces of half as many, a quarter and so on (the loops
    of ncnn's products over tiles of 16, 8, 4, 2 and 1 rows), each of which takes half as long as a
    whole vector.

    Examples
    --------
    >>> [_vectors(m, 16) for m in (32, 33, 40, 63)]
    [2.0, 2.5, 2.5, 5.0]
    """
    narrower = [2**i for i in range(1, lanes.bit_length() - 1)]
    return (outputs - total(ceil_div(outputs + 1, n) - 1 for n in narrower)) / 2


def _bordered(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of a copy of the image with a border, which windows read [s]."""
    size = w.read_bytes * (1 - at_most(w.product.taps, 1))
    near = 2 * size / near_bandwidth(machine, q)
    if not machine.private_cache:
        return near
    # One read; a write that misses reads its line first.
    away = 3 * Moved(size, 2 * size).missed(machine.private_cache)
    return near + away / shared_bandwidth(machine, q)


def _narrow(channels: Dim, lanes: int) -> Dim:
    """Return the moves per element in addition to those of a whole vector [1]."""
    return 1 / pack_of(channels, lanes) - 1 / lanes


def _one_of(taps: Dim, windows: tuple[int, ...]) -> Dim:
    """Return 1 if a window has as many taps as one of ``windows``, else 0; 1 without a list."""
    if not windows:
        return 1
    return total(at_most(taps, n) * (1 - at_most(taps, n - 1)) for n in windows)
