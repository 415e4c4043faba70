"""Execution by a CPU library that gets images in the caller's layout (eager PyTorch).

``plain`` and ``blocked`` are among the algorithms of such a runtime. 1x1 convolutions and small
images become products on the plain layout, with vectors along the pixels and both operands packed
at every call. Other windows are convolved in a layout blocked by channels: images and weights are
copied into it, and results out of it, at every call.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.algebra.symbols import Dim, at_most, ceil_div, maximum, minimum
from costmodel.kernels import Product
from costmodel.ops.tensor import DTYPE_BYTES, HALVES
from costmodel.timing.cpu_products import plain_product
from costmodel.timing.cpu_ways import Way, either, fits, last_cache, partly_filled
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Moved, Workload

_GROUP_BLOCKS = {8: (8,), 16: (16, 8, 4)}
"""Channels of a block of oneDNN's grouped convolutions, by the elements of a vector. They divide
the channels of a group (``cpu/x64/jit_avx512_common_conv_kernel.cpp``, ``init_conf``; confirmed by
its verbose output). A block takes a whole vector, however wide."""
_SMALL_WINDOW, _FEW_IMAGES, _PLAIN_CHANNELS = {2: 9, 3: 27}, 15, 4
"""PyTorch's choice of a library (2.13, ``aten/src/ATen/native/Convolution.cpp``, ``use_mkldnn``):
windows of up to 3 x 3 on the last two axes, which always includes 1-d windows; batches of up to 15.
oneDNN reads images of up to 4 channels in the caller's layout."""
_UNROLLED_OUTPUTS = {4: 3, 8: 4, 16: 6}
"""By the elements of a vector: output pixels that oneDNN's depthwise kernel keeps in registers.
Windows with a wider border run as im2col and a product (``cpu/x64/jit_uni_dw_conv_kernel_f32.cpp``
and ``jit_uni_dw_convolution.hpp``: ``l_pad <= ur_w``)."""
_CALLED = ("pointwise", "grouped", "convolution", "depthwise", "linear", "matmul")
"""Kinds of kernel that call a library."""
CODE = 4
"""Bytes that a core's own caches hold, relative to the bytes touched until the code of a kernel has
left them. A call of eager PyTorch runs the code of its dispatcher and of a library in addition to
the kernel's, and networks that touch less than these caches hold still call it cold (measured: a
MobileNet of 0.25 width, depthwise convolutions 47 us in the network and 37 us alone). [1]"""
_AVX512 = 64
"""Bytes of its vectors. [byte]"""
_CONVERTED = 0.5
"""Multiply-adds per cycle if each operand is converted to float32 separately (PyTorch 2.13,
``aten/src/ATen/native/cpu/BlasKernel.cpp``; measured, float16: 0.2 to 0.4 on a Zen 4 core, 0.8 on
a Zen 5 core, depthwise, grouped and dense)."""
_RUN, _LONG = 1 / 4, 32
"""Cost of a short run of all channels of a pixel, relative to a row of an unrolled window, and
channels of a run that costs as much as a row (PyTorch 2.13, ``Unfold2d.cpp``, one ``memcpy`` a run;
measured on a Zen 5 core: 2.0 to 2.8 ns for 1 to 8 channels, 3.6 for 16, 6 to 10 for 32). [1]"""
_DOTS = 3.0
"""The same in linear layers, whose rows and columns are both contiguous, so that whole vectors are
converted (measured on a Zen 5 core, float16: 3.2, for one row and for 64)."""
_CONVERTING = ("elementwise", "batch_norm", "norm", "softmax")
"""Kinds of kernel that convert each element to float32 and back."""
_WIDENED = {"bfloat16": 3.0, "float16": 2.0}
"""Operations of converting an element to float32 or back, in kernels without a library. Rounding to
bfloat16 takes several (``aten/src/ATen/cpu/vec``, measured on a Zen 5 core: 200704 activations take
27 us in bfloat16, 19 in float16, 17 in float32). [operation]"""
_OVERLAPPING = 0.33
"""Share of the time of maxima of windows that is saved if they overlap almost entirely (measured on
a Zen 5 core: 3x3 with strides 1 and 3 17 and 23 ns a window, 2x2 with 1 and 2 12 and 15 ns)."""
_PAGE, _KEPT = 4096, 2**25
"""Bytes of a page; glibc returns blocks from this size on to the system when they are freed
(``DEFAULT_MMAP_THRESHOLD_MAX``), so each new block causes page faults. [byte]"""


def takes_plain_layout(machine: Machine) -> bool:
    """Return whether the library of the runtime gets images in the caller's layout."""
    return "plain" in machine.algorithms


def caller_layout(w: Workload, machine: Machine, q: Theta) -> Way | None:
    """Return the execution of ``w`` by a library that gets images in the caller's layout.

    Returns None for a kind that calls no library. Half-precision operands without oneDNN kernels on
    the core are unrolled and multiplied one by one, for every kind.
    """
    half = w.dtype in HALVES
    if half and w.kind in _CALLED and not has_half_kernels(w, machine):
        return one_by_one(w, machine, q)
    match w.kind:
        case "pointwise" | "grouped" | "convolution" if half:
            return _blocked(w, machine, q)
        case "pointwise" | "grouped" | "convolution":
            return either(plain(w, machine, q), _blocked(w, machine, q), stays(w, machine, q))
        case "depthwise":
            return _blocked(w, machine, q)
        case "linear" | "matmul":
            return plain(w, machine, q)
    return None


def conversions(w: Workload, machine: Machine) -> Dim:
    """Return the operations that convert half-precision elements to float32 and back [operation].

    Products convert in their library; copies and gathers do not convert.
    """
    if not takes_plain_layout(machine) or w.kind not in _CONVERTING:
        return 0
    return _WIDENED.get(w.dtype, 0) * (w.read_bytes + w.writes.bytes) / DTYPE_BYTES[w.dtype]


def has_half_kernels(w: Workload, machine: Machine) -> bool:
    """Return whether oneDNN runs half precision: natively, and bfloat16 also with AVX-512.

    PyTorch 2.13: ``mkldnn_bf16_device_check``, ``mkldnn_fp16_device_check``, which precede the
    other conditions of ``use_mkldnn``; confirmed by a trace on a core with AVX-512.
    """
    wide = machine.lanes * machine.element >= _AVX512
    return machine.element == DTYPE_BYTES[w.dtype] or (w.dtype == "bfloat16" and wide)


def repeated_maxima(w: Workload) -> Dim:
    """Return the time of maxima of windows relative to windows that do not overlap [1].

    PyTorch takes them one by one, with a branch for each tap (2.13, ``aten/src/ATen/native/cpu/
    MaxPoolKernel.cpp``). Most of the time is spent on branches predicted wrongly, and the maximum
    of a window tells that of its neighbour if both have most taps in common.
    """
    new = minimum(1, w.read_bytes / DTYPE_BYTES[w.dtype] / maximum(1, w.elementwise))
    return 1 - _OVERLAPPING * (1 - new) * (1 - new)


def one_by_one(w: Workload, machine: Machine, q: Theta) -> Way:
    """Return half-precision products without instructions for them, group by group."""
    rate = machine.units * machine.clock * (_DOTS if w.kind == "linear" else _CONVERTED)
    return replace(plain(w, machine, q), compute=w.multiply_adds / rate)


def stays(w: Workload, machine: Machine, q: Theta) -> Dim:
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


def plain(w: Workload, machine: Machine, q: Theta, by_outputs: bool = False) -> Way:
    """Return one product per group: windows are unrolled first (im2col), groups joined last.

    Vectors are along the pixels, or ``by_outputs`` where the channels are last: a pixel of a window
    is then one run of all channels.
    """
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
    rows = single * p.m + unrolled * (_runs(p.k / p.taps) if by_outputs else 1 / p.width)
    spent = plain_product(w, machine, q, by_outputs) / rate + rows * q["row"]
    columns = unrolled * DTYPE_BYTES[w.dtype]
    copied = 2 * columns + joined
    spilled = 0
    if p.axes != 2:
        # For long rows and volumes, elements and not rows take the time, and columns leave the
        # caches.
        spent = spent + unrolled * q["unroll"] + _faults(columns) * q["fault"]
        spilled = 2 * Moved(columns, 2 * columns).missed(last_cache(machine, q))
    return Way(calls, spent, copied, spilled, repeats)


def _runs(channels: Dim) -> Dim:
    """Return the cost of the runs of an unrolled element, relative to that of a row [1].

    Examples
    --------
    >>> _runs(1), _runs(16), _runs(64)
    (0.25, 0.03125, 0.015625)
    """
    return minimum(1, maximum(_RUN, channels / _LONG)) / channels


def _faults(size: Dim) -> Dim:
    """Return the page faults of a block of ``size`` bytes at every call [1]."""
    return (1 - at_most(size, _KEPT)) * size / _PAGE


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
    block = group_block(p, machine) if grouped else machine.lanes
    shared = ceil_div(ceil_div(p.m, block), machine.units) * machine.units
    rate = machine.multiply_adds * q["blocked"] * (q["grouped"] if grouped else 1)
    spent = p.batch * shared * machine.lanes * p.n * p.k / rate
    channels = p.batch * p.k / p.taps, p.batch * p.m
    inside = Way(q["window_call"], spent, *_reordered(w, *channels, machine, q, block))
    if not grouped or machine.lanes not in _GROUP_BLOCKS:
        return inside
    # Channels that no block divides stay on the plain layout: one call for all groups, and windows
    # are unrolled element by element, as oneDNN's own unrolling does.
    apart = replace(plain(w, machine, q), calls=q["window_call"], repeats=0)
    if p.axes == 2:
        elements = (1 - at_most(p.taps, 1)) * p.batch * p.n * p.k
        apart = replace(apart, compute=apart.compute + elements * q["unroll"] / machine.units)
    return either(apart, inside, at_most(block, 1))


def group_block(p: Product, machine: Machine) -> Dim:
    """Return the channels of a block of a grouped convolution, 1 if there is none.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> avx512 = machine_for(load_platform("xeon-gold-6240/torch-eager"), "float32")
    >>> groups = ((32, 16), (32, 8), (24, 12), (48, 6))  # inputs and outputs of a group
    >>> [group_block(Product(4, m, 196, 9 * k, taps=9), avx512) for k, m in groups]
    [16, 8, 4, 1]
    """
    found: Dim = 1
    for size in reversed(_GROUP_BLOCKS.get(machine.lanes, ())):
        divides = fits(p.k / p.taps, size) * fits(p.m, size)
        found = found + divides * (size - found)
    return found if machine.lanes in _GROUP_BLOCKS else machine.lanes


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
        copied = size * (1 - at_most(channels, _PLAIN_CHANNELS))
        moved = moved + copied * partly_filled(channels, lanes, q)
        spilled = spilled + Moved(copied, 2 * copied).missed(last_cache(machine, q))
    return q["reorder"] * moved, spilled
