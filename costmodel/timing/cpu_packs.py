r"""Times of kernels in engines that hold channels in packs.

Three layouts (:class:`~costmodel.runtimes.Packs`), each with vectors along the channels:

- *Blocks* of whole vectors, the last one padded (ONNX Runtime's NCHWc). A convolution whose
  channels do not fit runs on the plain layout: windows are unrolled (im2col), and groups and the
  channels of a depthwise convolution are products one after the other. Between blocks and the plain
  layout, images are copied.
- The largest *divisors* of the channels (ncnn). A depthwise convolution fills as much of its
  vectors as the pack allows; the elements that other convolutions read and write are scattered pack
  by pack.
- *Tiles* of the weights only (XNNPACK): outputs are padded to whole tiles, images are plain.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.algebra.symbols import Dim, at_most, ceil_div, maximum, minimum, total
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.runtimes import Packs
from costmodel.timing import cpu_blocks
from costmodel.timing import cpu_products as ways
from costmodel.timing.cpu_products import Theta, Way
from costmodel.timing.cpu_threads import uneven
from costmodel.timing.machine import Machine
from costmodel.timing.workload import PASSING, Channels, Moved, Workload

_SIZES = (4, 8, 16)
"""Packs narrower than a vector that engines support, in addition to single channels."""
_PLACED = {"winograd": 2, "product": 1 / 4}
"""Moves per result: through a buffer and out of it, or transposed with others."""
_FEW_CHANNELS = 8
"""Most inputs and outputs of a 3x3 convolution that ncnn multiplies directly on x86."""
_TILE_BLOCKS, _TILE_PIXELS = 4, {8: 3, 16: 6}
"""Blocks of outputs, and pixels by the elements of a vector, of a kernel's tile in ONNX Runtime
(mlas/lib/x86_64: SconvKernelFma3.S, SconvKernelAvx512F.S, ``ProcessOutputCountN``)."""
_UNDER_WAY = 8
"""Multiply-adds that are under way at once: 4 cycles on two pipes (Agner Fog's tables, AVX2 on)."""
_SKIPPED = 1.9
"""Elements read per element used from which on a convolution must have a stride: borders read less
than that, a stride of 2 at least twice as many."""
_ALONE = 3
"""Cost of a group that runs as a separate layer, in calls of an element-wise kernel."""


def carried_out(w: Workload, machine: Machine, q: Theta) -> Way | None:
    """Return the execution of ``w`` by an engine that packs channels.

    Returns None for an engine without packs, and for a kernel that does not depend on them.
    """
    packs = machine.packs
    if packs is None or w.kind not in _CALLS:
        return None
    if packs.layout == "blocks":
        return _in_blocks(w, packs, machine, q)
    if not packs.apply(w.dtype, machine.lanes):
        return None
    form = _in_divisors if packs.layout == "divisors" else _in_tiles
    return form(w, packs, machine, q)


_CALLS = {
    "pointwise": "product_call",
    "convolution": "window_call",
    "grouped": "window_call",
    "depthwise": "window_call",
}
"""The convolutions, and the parameter that scales the call of each."""


def fits(channels: Dim, multiple: int) -> Dim:
    """Return 1 if ``channels`` are a multiple of ``multiple``, else 0.

    Examples
    --------
    >>> fits(36, 4), fits(189, 4)
    (1, 0)
    """
    return at_most(ceil_div(channels, multiple) * multiple, channels)


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
    channelwise = fits(c.groups, packs.multiple)
    grouped = fits(c.inputs, lanes) * fits(c.outputs, lanes)
    apart = single * channelwise + (1 - single) * grouped
    return (
        there * (dense * read + (1 - dense) * apart),
        there * (dense * (few + read) + (1 - dense) * apart),
    )


def _in_blocks(w: Workload, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return a convolution on images in blocks, or on the plain layout."""
    plain = _unrolled(w, packs, machine, q)
    if not packs.apply(w.dtype, machine.lanes):
        return plain
    reads, writes = in_blocks(w.channels, packs, machine.lanes)
    return ways.either(_blocked(w, reads, machine, q), plain, writes)


def with_changes(found: Way, w: Workload, machine: Machine, q: Theta) -> Way:
    """Return ``found`` with the changes of layout before it and after the last kernel.

    Images are converted if the convolution that made them wrote a layout other than the one that
    the kernel reads, and at the end of a network. Element-wise kernels and pools accept both.
    """
    packs = machine.packs
    if packs is None or packs.layout == "tiles" or not packs.apply(w.dtype, machine.lanes):
        return found
    if w.kind in PASSING or not w.makers:
        return found
    if packs.layout == "divisors":
        return _packed_at_the_ends(found, w, machine, q)
    reads, writes = in_blocks(w.channels, packs, machine.lanes)
    changed: list[tuple[Dim, Dim]] = []
    for maker, tensor in zip(w.makers, w.reads, strict=True):
        made = in_blocks(maker, packs, machine.lanes)[1]
        differ = made * (1 - reads) + reads * (1 - made)
        channels = made * maker.groups * maker.outputs
        channels = channels + (1 - made) * w.channels.groups * w.channels.inputs
        changed.append((differ * tensor.bytes, channels))
    changed.append((writes * w.last * w.writes.bytes, w.channels.groups * w.channels.outputs))
    moved, spilled = [], []
    for size, channels in changed:
        left_over = ceil_div(channels, machine.lanes) * machine.lanes - channels
        slower = 1 + q["tail"] * (1 - at_most(left_over, 0))
        moved.append(q["reorder"] * size * slower)
        spilled.append(Moved(size, 2 * size).missed(ways.last_cache(machine, q)))
    return replace(
        found, copied=found.copied + total(moved), spilled=found.spilled + total(spilled)
    )


def _packed_at_the_ends(found: Way, w: Workload, machine: Machine, q: Theta) -> Way:
    """Return ``found`` with the packing of plain inputs and the unpacking of a network's output.

    Inside a network, images stay in packs.
    """
    if w.kind not in _CALLS:
        return found
    c, lanes = w.channels, machine.lanes
    plain = [1 - minimum(1, maker.groups) for maker in w.makers]
    given = total(p * tensor.bytes for p, tensor in zip(plain, w.reads, strict=True))
    given = given * (1 - at_most(pack_of(c.groups * c.inputs, lanes), 1))
    result = w.last * w.writes.bytes * (1 - at_most(pack_of(c.groups * c.outputs, lanes), 1))
    return replace(found, copied=found.copied + q["reorder"] * (given + result))


def _blocked(w: Workload, reads: Dim, machine: Machine, q: Theta) -> Way:
    """Return a convolution in blocks: channels are padded, input channels only if in blocks."""
    p, lanes = w.product, machine.lanes
    call = q[_CALLS[w.kind]]
    if w.kind == "depthwise":
        return Way(call, _channelwise(w, ceil_div(p.batch, lanes), lanes, machine, q))
    channels = p.k / p.taps
    filled = ceil_div(channels, lanes) * lanes
    deep = replace(p, k=p.taps * (reads * filled + (1 - reads) * channels))
    spent = ways.product_time(deep, w, machine, q, lanes)
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


def _unrolled(w: Workload, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return a convolution on the plain layout: im2col and a product, group by group."""
    p = w.product
    # A stride skips pixels, so elements are copied one by one, those of 1x1 windows, too.
    read = w.read_bytes / DTYPE_BYTES[w.dtype]
    strided = 1 - at_most(read, _SKIPPED * p.batch * p.n * p.k / p.taps)
    elements = maximum(1 - at_most(p.taps, 1), strided) * p.batch * p.n * p.k
    rate = machine.multiply_adds * q["gemm"]
    spent = ways.plain_product(w, machine, q) * _filled_rows(p.m, packs, machine.lanes) / rate
    copying = elements * (q["row"] / p.width + strided * q["unroll"]) / machine.units
    return Way(q[_CALLS[w.kind]], spent + copying, 2 * elements * DTYPE_BYTES[w.dtype])


def _filled_rows(m: Dim, packs: Packs, lanes: int) -> Dim:
    """Return the factor by which padding to whole tiles slows down a product of ``m`` rows [1].

    Fewer rows than a tile have dedicated kernels.
    """
    tile = packs.rows.get(lanes, 1)
    few = at_most(m, tile)
    return few + (1 - few) * ceil_div(m, tile) * tile / m


def _in_divisors(w: Workload, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return a convolution of images in packs that divide their channels."""
    p, c, lanes = w.product, w.channels, machine.lanes
    call = q[_CALLS[w.kind]]
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
        spent = slower * _channelwise(w, c.groups / pack, lanes, machine, q)
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


def _takes_winograd(w: Workload, machine: Machine) -> Dim:
    """Return 1 for a 3x3 convolution of stride 1, in groups or not, of more than a few channels."""
    p, c = w.product, w.channels
    if not (p.winograd and machine.winograd):
        return 0
    few = 2 * machine.lanes - 1 if cpu_blocks.rule_of(machine) else _FEW_CHANNELS
    return 1 - at_most(c.inputs, few) * at_most(c.outputs, few)


def _spent(w: Workload, winograd: Dim, machine: Machine, q: Theta) -> Dim:
    """Return the time of the multiply-adds, with each group as a separate layer [s]."""
    if w.kind == "pointwise":
        return ways.products(w, machine, q)
    p, weights = w.product, w.weights
    filled = machine.lanes * _vectors(p.m, machine.lanes)
    if w.kind == "convolution":
        return ways.convolution(replace(w, products=(replace(p, m=filled),)), machine, q)
    one = replace(
        w,
        kind="convolution",
        products=(replace(p, batch=1, m=filled),),
        weights=weights._replace(bytes=weights.bytes / p.batch),
    )
    transformed = p.batch * ways.convolution(one, machine, q)
    return winograd * transformed + (1 - winograd) * ways.grouped(w, machine, q, machine.lanes)


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
    near = 2 * size / (machine.vector * q["near_bandwidth"])
    if not machine.private_cache:
        return near
    # One read; a write that misses reads its line first.
    away = 3 * Moved(size, 2 * size).missed(machine.private_cache)
    return near + away / ways.shared_bandwidth(machine, q)


def _narrow(channels: Dim, lanes: int) -> Dim:
    """Return the moves per element in addition to those of a whole vector [1]."""
    return 1 / pack_of(channels, lanes) - 1 / lanes


def _one_of(taps: Dim, windows: tuple[int, ...]) -> Dim:
    """Return 1 if a window has as many taps as one of ``windows``, else 0; 1 without a list."""
    if not windows:
        return 1
    return total(at_most(taps, n) * (1 - at_most(taps, n - 1)) for n in windows)


def _channelwise(w: Workload, pieces: Dim, lanes: int, machine: Machine, q: Theta) -> Dim:
    """Return the time of a depthwise convolution whose channels fill ``pieces`` vectors [s]."""
    p = w.product
    spent = pieces * lanes * p.m * p.n * p.k * uneven(pieces, machine)
    return spent / (ways.peak(w, machine, q) * q["window"])


def _in_tiles(w: Workload, packs: Packs, machine: Machine, q: Theta) -> Way:
    """Return a convolution whose outputs are padded to whole tiles of several vectors."""
    p = w.product
    call = q[_CALLS[w.kind]]
    if w.kind == "depthwise":
        pieces = ceil_div(p.batch, machine.lanes)
        return Way(call, _channelwise(w, pieces, machine.lanes, machine, q))
    if w.kind == "grouped":
        return Way(call, ways.grouped(w, machine, q))
    lanes = machine.lanes * packs.vectors
    if w.kind == "convolution":
        return Way(call, ways.convolution(w, machine, q, lanes))
    return Way(call, ways.product_time(p, w, machine, q, lanes))
