"""Convolutions of an engine that holds images in blocks of channels (ONNX Runtime's NCHWc).

A convolution whose channels do not fit runs on the plain layout: windows are unrolled (im2col), and
groups and the channels of a depthwise convolution are products one after the other. Between blocks
and the plain layout, images are copied.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.algebra.symbols import Dim, at_most, ceil_div, maximum, minimum, total
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.runtimes import Packs
from costmodel.timing.cpu_products import channelwise, plain_product, product_time
from costmodel.timing.cpu_ways import Way, either, fits, last_cache, partly_filled
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Channels, Moved, Workload

_TILE_BLOCKS, _TILE_PIXELS = 4, {8: 3, 16: 6}
"""Blocks of outputs, and pixels by the elements of a vector, of a kernel's tile in ONNX Runtime
(mlas/lib/x86_64: SconvKernelFma3.S, SconvKernelAvx512F.S, ``ProcessOutputCountN``)."""
_UNDER_WAY = 8
"""Multiply-adds that are under way at once: 4 cycles on two pipes (Agner Fog's tables, AVX2 on)."""
_SKIPPED = 1.9
"""Elements read per element used from which on a convolution must have a stride: borders read less
than that, a stride of 2 at least twice as many."""


def in_blocks(c: Channels, packs: Packs, lanes: int) -> tuple[Dim, Dim]:
    """Return 1 or 0 for whether a convolution reads, and whether it writes, images in blocks.

    Fewer input channels than a block holds are read from the plain layout.

    Examples
    --------
    >>> from costmodel.runtimes import load_runtime
    >>> rule = load_runtime("onnxruntime").packs
    >>> in_blocks(Channels(1, 3, 30), rule, 16), in_blocks(Channels(1, 31, 189), rule, 16)
    ((0, 1), (0, 0))
    """
    there = minimum(1, c.groups)
    dense, single = at_most(c.groups, 1), at_most(c.inputs * c.outputs, 1)
    few = at_most(c.inputs, lanes - 1)
    read = (1 - few) * fits(c.inputs, packs.multiple)
    by_channel = fits(c.groups, packs.multiple)
    grouped = fits(c.inputs, lanes) * fits(c.outputs, lanes)
    apart = single * by_channel + (1 - single) * grouped
    return (
        there * (dense * read + (1 - dense) * apart),
        there * (dense * (few + read) + (1 - dense) * apart),
    )


def convolved(w: Workload, call: Dim, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return a convolution on images in blocks, or on the plain layout."""
    plain = _unrolled(w, call, packs, machine, q)
    if not packs.apply(w.dtype, machine.lanes):
        return plain
    reads, writes = in_blocks(w.channels, packs, machine.lanes)
    return either(_blocked(w, call, reads, machine, q), plain, writes)


def changed(found: Way, w: Workload, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return ``found`` with the changes of layout before it and after the last kernel.

    Images are converted if the convolution that made them wrote a layout other than the one that
    the kernel reads, and at the end of a network. Element-wise kernels and pools accept both.
    """
    reads, writes = in_blocks(w.channels, packs, machine.lanes)
    changes: list[tuple[Dim, Dim]] = []
    for maker, tensor in zip(w.makers, w.reads, strict=True):
        made = in_blocks(maker, packs, machine.lanes)[1]
        differ = made * (1 - reads) + reads * (1 - made)
        channels = made * maker.groups * maker.outputs
        channels = channels + (1 - made) * w.channels.groups * w.channels.inputs
        changes.append((differ * tensor.bytes, channels))
    changes.append((writes * w.last * w.writes.bytes, w.channels.groups * w.channels.outputs))
    moved, spilled = [], []
    for size, channels in changes:
        slower = partly_filled(channels, machine.lanes, q)
        moved.append(q["reorder"] * size * slower)
        spilled.append(Moved(size, 2 * size).missed(last_cache(machine, q)))
    return replace(
        found, copied=found.copied + total(moved), spilled=found.spilled + total(spilled)
    )


def _blocked(w: Workload, call: Dim, reads: Dim, machine: Machine, q: Theta) -> Way:
    """Return a convolution in blocks: channels are padded, input channels only if in blocks."""
    p, lanes = w.product, machine.lanes
    if w.kind == "depthwise":
        return Way(call, channelwise(w, ceil_div(p.batch, lanes), lanes, machine, q))
    channels = p.k / p.taps
    filled = ceil_div(channels, lanes) * lanes
    deep = replace(p, k=p.taps * (reads * filled + (1 - reads) * channels))
    spent = product_time(deep, w, machine, q, lanes)
    return Way(call, spent * _waiting(ceil_div(p.m, lanes), lanes))


def _waiting(filters: Dim, lanes: int) -> Dim:
    """Return the slowdown because few blocks of outputs leave multiply-adds waiting [1].

    A kernel makes the outputs of up to four blocks and some pixels at once. Each is a chain of
    multiply-adds, which wait for each other if there are fewer chains than multiply-adds under way.

    Examples
    --------
    >>> [round(_waiting(blocks, 16), 2) for blocks in (1, 2, 4, 5)], _waiting(1, 8)
    ([1.33, 1.0, 1.0, 1.07], 2.6666666666666665)
    """
    pixels = _TILE_PIXELS.get(lanes)
    if pixels is None:
        return 1
    rest = filters - _TILE_BLOCKS * (ceil_div(filters + 1, _TILE_BLOCKS) - 1)
    some = minimum(1, rest)
    return 1 + some * (maximum(rest, _UNDER_WAY / pixels) - rest) / filters


def _unrolled(w: Workload, call: Dim, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return a convolution on the plain layout: im2col and a product, group by group."""
    p = w.product
    # A stride skips pixels, so elements are copied one by one, also those of 1x1 windows.
    read = w.read_bytes / DTYPE_BYTES[w.dtype]
    strided = 1 - at_most(read, _SKIPPED * p.batch * p.n * p.k / p.taps)
    elements = maximum(1 - at_most(p.taps, 1), strided) * p.batch * p.n * p.k
    rate = machine.multiply_adds * q["gemm"]
    spent = plain_product(w, machine, q) * _filled_rows(p.m, packs, machine.lanes) / rate
    copying = elements * (q["row"] / p.width + strided * q["unroll"]) / machine.units
    return Way(call, spent + copying, 2 * elements * DTYPE_BYTES[w.dtype])


def _filled_rows(m: Dim, packs: Packs, lanes: int) -> Dim:
    """Return the factor by which padding to whole tiles slows down a product of ``m`` rows [1].

    Fewer rows than a tile have dedicated kernels.
    """
    tile = packs.rows.get(lanes, 1)
    few = at_most(m, tile)
    return few + (1 - few) * ceil_div(m, tile) * tile / m
