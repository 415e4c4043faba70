r"""Execution of convolutions and matrix products by CPU libraries.

There are two kinds of library. One keeps images in the layout of its kernels from layer to layer
and packs weights in advance (ncnn, TFLite, ONNX Runtime, TVM). The other gets images in the
caller's layout (``plain`` and ``blocked`` among the algorithms of the runtime; eager PyTorch): 1x1
convolutions and small images become products on the plain layout, with vectors along the pixels and
both operands packed at every call; other windows are convolved in a layout blocked by channels,
into which images and weights, and out of which results, are copied at every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from costmodel.algebra.symbols import Dim, at_most, ceil_div, maximum, minimum, total
from costmodel.kernels import Product
from costmodel.ops.tensor import DTYPE_BYTES, HALVES, INTEGERS
from costmodel.timing.cpu_threads import uneven
from costmodel.timing.machine import Machine
from costmodel.timing.workload import Moved, Workload, blocks

Theta = Mapping[str, Dim]

_GROUP_LANES = 4
"""Fewest channels of one group in a vector."""
_GROUP_BLOCKS = {8: (8,), 16: (16, 8, 4)}
"""Channels of a block of oneDNN's grouped convolutions, by the elements of a vector. They divide
the channels of a group (``cpu/x64/jit_avx512_common_conv_kernel.cpp``, ``init_conf``; confirmed by
its verbose output). A block takes a whole vector, however wide."""
_TILE = 3
"""Vectors along a micro-kernel's tile on the plain layout."""
_COLUMNS = 8
"""Pixels of a micro-kernel's tile; a linear layer on few rows has dedicated kernels."""
_INTEGER_WINOGRAD = 2
"""Transformed int8 inputs need 16 bits: half as many products per instruction."""
_WIDENED = 4 / 3
"""The same without instructions for 8-bit products: 16 take three instructions (SMULL, SMLAL and
SADALP; ncnn, ``src/layer/arm/convolution_im2col_gemm_int8.h``), 4 of 16 bits take one (SMLAL)."""
_INTEGER_WORDS = 2, 4
"""Bytes of a transformed int8 input and output. [byte]"""
_ATTENTION_BLOCK = 512
"""Keys that a fused attention processes at once; a causal mask skips whole blocks only (PyTorch:
``kvSplitSize`` of its flash attention on CPUs)."""
_SMALL_WINDOW, _FEW_IMAGES, _FEW_CHANNELS = {2: 9, 3: 27}, 15, 4
"""PyTorch's choice of a library (2.13, ``aten/src/ATen/native/Convolution.cpp``, ``use_mkldnn``):
windows of up to 3 x 3 on the last two axes, which always includes 1-d windows; batches of up to 15.
oneDNN reads images of up to 4 channels in the caller's layout."""
_UNROLLED_OUTPUTS = {4: 3, 8: 4, 16: 6}
"""By the elements of a vector: output pixels that oneDNN's depthwise kernel keeps in registers.
Windows with a wider border run as im2col and a product (``cpu/x64/jit_uni_dw_conv_kernel_f32.cpp``
and ``jit_uni_dw_convolution.hpp``: ``l_pad <= ur_w``)."""
_CALLED = ("pointwise", "grouped", "convolution", "depthwise", "linear", "matmul")
"""Kinds of kernel that call a library."""
_AVX512 = 64
"""Bytes of its vectors. [byte]"""
_CONVERTED = 0.5
"""Multiply-adds per cycle if each operand is converted to float32 separately (PyTorch 2.13,
``aten/src/ATen/native/cpu/BlasKernel.cpp``; measured, float16: 0.2 to 0.4 on a Zen 4 core, 0.8 on
a Zen 5 core, depthwise, grouped and dense)."""
_PAGE, _KEPT = 4096, 2**25
"""Bytes of a page; glibc returns blocks from this size on to the system when they are freed
(``DEFAULT_MMAP_THRESHOLD_MAX``), so each new block causes page faults. [byte]"""


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


def takes_plain_layout(machine: Machine) -> bool:
    """Return whether the library of the runtime gets images in the caller's layout."""
    return "plain" in machine.algorithms


def caller_layout(w: Workload, machine: Machine, q: Theta) -> Way | None:
    """Return the execution of ``w`` by a library that gets images in the caller's layout.

    Returns None for a kind that calls no library. Half-precision operands without oneDNN kernels on
    the core are unrolled and multiplied one by one, for every kind.
    """
    half = w.dtype in HALVES
    if half and w.kind in _CALLED and not _has_half_kernels(w, machine):
        return _one_by_one(w, machine, q)
    match w.kind:
        case "pointwise" | "grouped" | "convolution" if half:
            return _blocked(w, machine, q)
        case "pointwise" | "grouped" | "convolution":
            return either(_plain(w, machine, q), _blocked(w, machine, q), _stays(w, machine, q))
        case "depthwise":
            return _blocked(w, machine, q)
        case "linear" | "matmul":
            return _plain(w, machine, q)
    return None


def _has_half_kernels(w: Workload, machine: Machine) -> bool:
    """Return whether oneDNN runs half precision: natively, and bfloat16 also with AVX-512.

    PyTorch 2.13: ``mkldnn_bf16_device_check``, ``mkldnn_fp16_device_check``, which precede the
    other conditions of ``use_mkldnn``; confirmed by a trace on a core with AVX-512.
    """
    wide = machine.lanes * machine.element >= _AVX512
    return machine.element == DTYPE_BYTES[w.dtype] or (w.dtype == "bfloat16" and wide)


def _one_by_one(w: Workload, machine: Machine, q: Theta) -> Way:
    """Return half-precision products without instructions for them, group by group."""
    rate = machine.units * machine.clock * _CONVERTED
    return replace(_plain(w, machine, q), compute=w.multiply_adds / rate)


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


def _stays(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return 1 for a convolution on the plain layout, 0 for one in a blocked layout.

    The plain layout is used for 1x1 windows of stride 1 on one thread in small batches, and for
    small windows on one small image without groups.
    """
    p = w.product
    images = p.n / (p.height * p.width)
    elements = w.read_bytes / DTYPE_BYTES[w.dtype]
    # A stride skips pixels: more elements are read than the product uses.
    dense = at_most(elements, p.batch * p.n * p.k) * at_most(p.taps, 1)
    product = dense * at_most(images, _FEW_IMAGES) * at_most(machine.units, 1)
    one = at_most(images, 1) * at_most(p.batch, 1)
    window = at_most(p.taps, _SMALL_WINDOW[p.axes]) if p.axes in _SMALL_WINDOW else 1
    # Images, channels and the first two axes are counted: all of 2-d images, one row of 3-d ones.
    counted = elements / p.width if p.axes == 3 else elements
    small = one * window * at_most(counted, q["unrolled"])
    return maximum(product, small)


def _plain(w: Workload, machine: Machine, q: Theta) -> Way:
    """Return one product per group: windows are unrolled first (im2col), groups joined last."""
    p = w.product
    unrolled = (1 - at_most(p.taps, 1)) * p.batch * p.n * p.k
    joined = (1 - at_most(p.batch, 1)) * (w.read_bytes + w.writes.bytes)
    calls = q["product_call"]
    repeats = calls * (p.batch - 1)
    rate = machine.multiply_adds * q["gemm"]
    if w.kind == "matmul":
        # A batch is one call, which costs the same as that of an element-wise kernel.
        calls, repeats, rate, joined = 1, 0, rate * q["matmul"], 0
    single = at_most(p.n, 1)
    rows = single * p.m + unrolled / p.width
    spent = plain_product(w, machine, q) / rate + rows * q["row"]
    columns = unrolled * DTYPE_BYTES[w.dtype]
    copied = 2 * columns + joined
    spilled = 0
    if p.axes != 2:
        # For long rows and volumes, elements and not rows take the time, and columns leave the
        # caches.
        spent = spent + unrolled * q["unroll"] + _faults(columns) * q["fault"]
        spilled = 2 * Moved(columns, 2 * columns).missed(last_cache(machine, q))
    return Way(calls, spent, copied, spilled, repeats)


def _faults(size: Dim) -> Dim:
    """Return the page faults of a block of ``size`` bytes at every call [1]."""
    return (1 - at_most(size, _KEPT)) * size / _PAGE


def plain_product(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the multiply-adds, vectors along the pixels (or outputs of a matrix by a vector)."""
    p = w.product
    by_outputs = _packed_product(p, p.m, p.n, machine, q)
    if w.kind == "linear":
        return by_outputs
    single = at_most(p.n, 1)
    return single * by_outputs + (1 - single) * _packed_product(p, p.n, p.m, machine, q)


def _packed_product(p: Product, across: Dim, along: Dim, machine: Machine, q: Theta) -> Dim:
    """Return the multiply-adds with vectors ``across``; an operand used once is not packed."""
    vectors = ceil_div(across, machine.lanes)
    # Tiles are three vectors wide. A partial second vector is computed as a whole tile (MKL with
    # AVX-512, measured: 25 columns take as long as 48, and 32 a third less).
    ragged = 1 - at_most(vectors * machine.lanes - across, 0)
    second = at_most(ceil_div(vectors + 1, _TILE) * _TILE - (vectors + 1), 0)
    vectors = vectors + ragged * second
    shared = ceil_div(vectors, machine.units) * machine.units * machine.lanes
    packed = minimum(q["pack"], along - 1) * across + minimum(q["pack"], across - 1) * along
    return p.batch * (shared * along * (p.k + q["fill"]) + packed * p.k)


def _blocked(w: Workload, machine: Machine, q: Theta) -> Way:
    """Return a convolution in a layout blocked by channels, copies into and out of it included."""
    p = w.product
    if w.kind == "depthwise":
        spent = w.multiply_adds / (machine.multiply_adds * q["window"])
        inside = Way(q["window_call"], spent, *_reordered(w, p.batch, p.batch, machine, q))
        border = _UNROLLED_OUTPUTS.get(machine.lanes)
        if border is None:
            return inside
        elements = p.batch * p.n * p.k
        rate = machine.multiply_adds * q["gemm"]
        columns = Way(q["window_call"], elements * q["unroll"] / machine.units + elements / rate)
        return either(inside, columns, at_most(p.taps, (2 * border + 1) ** p.axes))
    grouped = w.kind == "grouped"
    block = _group_block(p, machine) if grouped else machine.lanes
    shared = ceil_div(ceil_div(p.m, block), machine.units) * machine.units
    rate = machine.multiply_adds * q["blocked"] * (q["grouped"] if grouped else 1)
    spent = p.batch * shared * machine.lanes * p.n * p.k / rate
    channels = p.batch * p.k / p.taps, p.batch * p.m
    inside = Way(q["window_call"], spent, *_reordered(w, *channels, machine, q, block))
    if not grouped or machine.lanes not in _GROUP_BLOCKS:
        return inside
    # Channels that no block divides stay on the plain layout: one call for all groups.
    plain = replace(_plain(w, machine, q), calls=q["window_call"], repeats=0)
    return either(plain, inside, at_most(block, 1))


def _group_block(p: Product, machine: Machine) -> Dim:
    """Return the channels of a block of a grouped convolution, 1 if there is none.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> avx512 = machine_for(load_platform("xeon-gold-6240/torch-eager"), "float32")
    >>> groups = ((32, 16), (32, 8), (24, 12), (48, 6))  # inputs and outputs of a group
    >>> [_group_block(Product(4, m, 196, 9 * k, taps=9), avx512) for k, m in groups]
    [16, 8, 4, 1]
    """
    found: Dim = 1
    for size in reversed(_GROUP_BLOCKS.get(machine.lanes, ())):
        divides = _divides(size, p.k / p.taps) * _divides(size, p.m)
        found = found + divides * (size - found)
    return found if machine.lanes in _GROUP_BLOCKS else machine.lanes


def _divides(size: int, channels: Dim) -> Dim:
    return at_most(ceil_div(channels, size) * size, channels)


def _reordered(
    w: Workload, inputs: Dim, outputs: Dim, machine: Machine, q: Theta, block: Dim | None = None
) -> tuple[Dim, Dim]:
    """Return the bytes moved into and out of blocks, and those that leave the cache meanwhile.

    Channels that do not fill a block take longer. A copy in blocks is read after both the original
    image and the copy have passed through the cache.
    """
    moved, spilled = w.weights.bytes, 0
    lanes = machine.lanes if block is None else block
    for channels, size in ((inputs, w.read_bytes), (outputs, w.writes.bytes)):
        left_over = ceil_div(channels, lanes) * lanes - channels
        slower = 1 + q["tail"] * (1 - at_most(left_over, 0))
        copied = size * (1 - at_most(channels, _FEW_CHANNELS))
        moved = moved + copied * slower
        spilled = spilled + Moved(copied, 2 * copied).missed(last_cache(machine, q))
    return q["reorder"] * moved, spilled


def last_cache(machine: Machine, q: Theta) -> Dim:
    """Return the part of the last-level cache that is available to this process [byte]."""
    return machine.cache * q["cache_share"]


def shared_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return the bandwidth of the cores from the cache that they share [B/s].

    Cores and the caches between them run at about the same clock, so a core of twice the clock gets
    twice the bytes.
    """
    return machine.units * machine.clock * q["shared_bandwidth"]


def far_bandwidth(machine: Machine, q: Theta) -> Dim:
    """Return the memory bandwidth of the cores, limited by the interface of the chip [B/s]."""
    return minimum(machine.units * q["far_bandwidth"], q["dram"] * machine.bandwidth)


# --- libraries that keep images in their own layout: the time of the multiply-adds ------------


def no_product(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return zero: the kernel has no multiply-adds [s]."""
    return 0


def depthwise(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of multiply-adds over windows, each channel alone [s]."""
    packs = ceil_div(w.product.batch * w.product.m, machine.lanes)
    return w.multiply_adds * uneven(packs, machine) / (peak(w, machine, q) * q["window"])


def products(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of products with packed weights, one after the other [s]."""
    by_rows = w.kind in ("linear", "recurrent")
    spent = total(p.times * _product(p, machine, q, machine.lanes, by_rows) for p in w.products)
    return spent / (peak(w, machine, q) * q["gemm"])


def grouped(w: Workload, machine: Machine, q: Theta, lanes: Dim | None = None) -> Dim:
    """Return the time of a grouped convolution, outputs of a group in whole ``lanes`` [s]."""
    if lanes is None:
        # Wide vectors hold channels of several groups: only four must belong to one group.
        lanes = minimum(machine.lanes, _GROUP_LANES)
    rate = peak(w, machine, q) * q["gemm"] * q["grouped"]
    return _product(w.product, machine, q, lanes) / rate


def convolution(w: Workload, machine: Machine, q: Theta, lanes: Dim | None = None) -> Dim:
    """Return the time of a dense convolution with windows, outputs in whole ``lanes`` [s]."""
    direct = product_time(w.product, w, machine, q, machine.lanes if lanes is None else lanes)
    if not (w.product.winograd and machine.winograd):
        return direct
    return minimum(direct, winograd(w, machine, q))


def winograd(
    w: Workload, machine: Machine, q: Theta, side: int = 4, rows: Dim | None = None
) -> Dim:
    """Return the time of a 3x3 convolution by Winograd's algorithm [s].

    Parameters
    ----------
    w : Workload
        The convolution.
    machine : Machine
        The cores.
    q : mapping
        Parameters.
    side : int
        Outputs along each side of a block: F(side x side, 3x3).
    rows : Dim, optional
        Outputs that are computed, with those of idle cores; else those of the convolution.
    """
    p = w.product
    rate = peak(w, machine, q) * q["gemm"] * q["winograd"]
    taken = (side + 2) ** 2
    channels = p.k / p.taps
    elements = p.batch * taken * blocks(p, side)
    products = elements * (p.m if rows is None else rows) * (channels + q["fill"])
    if w.dtype in INTEGERS:
        products = products * (_WIDENED if machine.widens else _INTEGER_WINOGRAD)
    read, written = _words(w, machine)
    moved = 2 * elements * (read * channels + written * p.m)
    # Weights are transformed in advance, into several times as many.
    more = taken / p.taps - 1
    missed = more * w.weights.missed(last_cache(machine, q))
    if "whole_winograd" in machine.algorithms:
        missed = missed + _transformed_missed(w, elements, machine, q)
    moved = moved + more * w.weights.bytes
    transforms = moved / (machine.vector * q["near_bandwidth"])
    transforms = transforms + missed / far_bandwidth(machine, q)
    return products / rate + transforms


def _words(w: Workload, machine: Machine) -> tuple[int, int]:
    """Return the bytes of an element of a transformed input and output [byte]."""
    return _INTEGER_WORDS if w.dtype in INTEGERS else (machine.element, machine.element)


def _transformed_missed(w: Workload, elements: Dim, machine: Machine, q: Theta) -> Dim:
    """Return the bytes of transformed images that go through memory [byte].

    Each is read after all of it has been written; a write that misses reads its line first.
    """
    p = w.product
    channels = (p.k / p.taps, p.m)
    sizes = (elements * c * word for c, word in zip(channels, _words(w, machine), strict=True))
    return total(3 * Moved(size, 2 * size).missed(last_cache(machine, q)) for size in sizes)


def matmul(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of batched products of two activations [s]."""
    return w.multiply_adds / (peak(w, machine, q) * q["gemm"] * q["matmul"])


def attention(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of scores and mix, without blocks of keys that a causal mask skips [s]."""
    scores, mix = w.products
    dense = scores.dense + mix.dense
    whole = scores.batch * scores.m * (scores.k + mix.n) * _ATTENTION_BLOCK / 2
    needed = minimum(dense, w.multiply_adds + whole)
    results = scores.batch * scores.m * (scores.n + mix.n)
    return (needed + results * q["fill"]) / (peak(w, machine, q) * q["gemm"] * q["matmul"])


def product_time(
    p: Product, w: Workload, machine: Machine, q: Theta, lanes: Dim, rows: Dim | None = None
) -> Dim:
    """Return the time of a convolution as a product with rows in whole ``lanes``, or ``rows`` [s].

    ``rows`` includes those of idle cores.
    """
    rate = peak(w, machine, q) * q["gemm"]
    if w.kind == "grouped":
        rate = rate * q["grouped"]
    if w.kind == "convolution":
        rate = rate * q["direct"]
    return _product(p, machine, q, lanes, rows=rows) / rate


def peak(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the peak of the dtype; that of 8-bit products is scaled [multiply-add/s]."""
    if w.dtype not in INTEGERS:
        return machine.multiply_adds
    share = q["widened"] if machine.widens else q["integer"]
    scaled = q["per_channel"] if w.dtype in machine.per_channel else 1
    return machine.multiply_adds * share * scaled


def _product(
    p: Product,
    machine: Machine,
    q: Theta,
    lanes: Dim,
    by_rows: bool = False,
    rows: Dim | None = None,
) -> Dim:
    """Return the multiply-adds of a product, including padding, packing and idle cores."""
    if rows is None:
        rows = ceil_div(ceil_div(p.m, lanes), machine.units) * machine.units * lanes
    columns = p.n if by_rows else ceil_div(p.n, _COLUMNS) * _COLUMNS
    return p.batch * (rows + q["pack"]) * columns * (p.k + q["fill"])
