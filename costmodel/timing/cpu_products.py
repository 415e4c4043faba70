r"""Ways in which a CPU library carries out convolutions and matrix products.

Two kinds of library. One keeps images in the layout of its kernels from layer to layer and packs
weights beforehand (ncnn, TFLite, ONNX Runtime, TVM). The other takes images as they lie (``plain``
and ``blocked`` among the algorithms of the runtime; eager PyTorch): 1x1 convolutions and small
images become products on the plain layout, vectors along the pixels, both operands packed at every
call; other windows are convolved in a layout blocked by channels, which images and weights are
copied into at every call, and results out of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, at_most, ceil_div, maximum, minimum
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.machine import Machine
from costmodel.timing.workload import Moved, Workload

Theta = Mapping[str, Dim]

_BLOCK = 4
"""Outputs along each side of a Winograd F(4x4, 3x3) block (Lavin and Gray 2016)."""
_TRANSFORMED = 36
"""Products of such a block: (4 + 3 - 1)**2, instead of 9 for each of 16 outputs."""
_TRANSFORM_TRAFFIC = 4.5
"""Times that transforms move inputs and outputs: 36 elements for 16, written and read."""
_GROUP_LANES = 4
"""Channels of one group that a vector holds at least."""
_BLOCKED_GROUP_LANES = 8
"""The same in blocked layouts (oneDNN's narrowest block of AVX2 and AVX-512)."""
_TILE = 3
"""Vectors along a micro-kernel's tile on the plain layout."""
_COLUMNS = 8
"""Pixels of a micro-kernel's tile; a linear layer on few rows has kernels of its own."""
_WORD = 4
"""Bytes of a transformed element. [byte]"""
_INTEGERS = ("int8", "uint8")
"""Dtypes whose products have instructions of their own."""
_INTEGER_WINOGRAD = 2
"""Transformed int8 inputs need 16 bits: half as many products an instruction."""
_ATTENTION_BLOCK = 512
"""Keys that a fused attention takes at once; a causal mask spares whole blocks only (PyTorch:
``kvSplitSize`` of its flash attention on CPUs)."""
_SMALL_WINDOW, _FEW_IMAGES, _FEW_CHANNELS = 9, 15, 4
"""PyTorch's choice of a library (2.13, ``aten/src/ATen/native/Convolution.cpp``, ``use_mkldnn``):
windows of up to 3 x 3, batches of up to 15. oneDNN reads images of up to 4 channels as they lie."""
_CALLS = {
    "pointwise": "product_call",
    "convolution": "window_call",
    "grouped": "window_call",
    "depthwise": "window_call",
    "linear": "product_call",
    "matmul": "product_call",
    "attention": "product_call",
    "recurrent": "product_call",
    "batch_norm": "norm_call",
    "norm": "norm_call",
    "copy": "copy_call",
}


@dataclass(frozen=True, slots=True)
class Way:
    """What a kernel takes when it is carried out in one way.

    Parameters
    ----------
    calls : Dim
        Cost of calling it, relative to the call of an element-wise kernel. [1]
    compute : Dim
        Time of its multiply-adds. [s]
    copied : Dim
        Bytes moved between layouts. [byte]
    spilled : Dim
        Bytes of them that the last-level cache does not hold in between. [byte]
    repeats : Dim
        Cost of calls that follow at once, their code still near, relative to the same. [1]
    """

    calls: Dim
    compute: Dim = 0
    copied: Dim = 0
    spilled: Dim = 0
    repeats: Dim = 0


def way(w: Workload, machine: Machine, q: Theta) -> Way:
    """Return how the library of the runtime carries ``w`` out."""
    if "plain" in machine.algorithms:
        match w.kind:
            case "pointwise" | "grouped" | "convolution":
                return _either(
                    _plain(w, machine, q), _blocked(w, machine, q), _stays(w, machine, q)
                )
            case "depthwise":
                return _blocked(w, machine, q)
            case "linear" | "matmul":
                return _plain(w, machine, q)
    calls = q[_CALLS[w.kind]] if w.kind in _CALLS else 1
    return Way(calls, _resident(w, machine, q))


def _either(a: Way, b: Way, first: Dim) -> Way:
    """Return ``a`` where ``first`` is 1 and ``b`` where it is 0."""
    second = 1 - first
    return Way(
        first * a.calls + second * b.calls,
        first * a.compute + second * b.compute,
        first * a.copied + second * b.copied,
        first * a.spilled + second * b.spilled,
        first * a.repeats + second * b.repeats,
    )


def _stays(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return 1 for a convolution on the plain layout, 0 for one in a blocked layout.

    Plain are 1x1 windows that leave no pixel out, on one thread, in small batches; and small
    windows on one small image without groups.
    """
    images = w.n / (w.height * w.width)
    elements = w.read_bytes / DTYPE_BYTES[w.dtype]
    # A stride leaves pixels out: more is read than the product takes.
    dense = at_most(elements, w.batch * w.n * w.k) * at_most(w.taps, 1)
    product = dense * at_most(images, _FEW_IMAGES) * at_most(machine.units, 1)
    one = at_most(images, 1) * at_most(w.batch, 1)
    small = one * at_most(w.taps, _SMALL_WINDOW) * at_most(elements, q["unrolled"])
    return maximum(product, small)


def _plain(w: Workload, machine: Machine, q: Theta) -> Way:
    """Return a product for each group: windows unrolled first (im2col), groups joined last."""
    unrolled = (1 - at_most(w.taps, 1)) * w.batch * w.n * w.k
    joined = (1 - at_most(w.batch, 1)) * (w.read_bytes + w.writes.bytes)
    calls = q["product_call"]
    repeats = calls * (w.batch - 1)
    rate = machine.multiply_adds * q["gemm"]
    if w.kind == "matmul":
        # A batch is one call, and no more than that of an element-wise kernel.
        calls, repeats, rate, joined = 1, 0, rate * q["matmul"], 0
    single = at_most(w.n, 1)
    rows = single * w.m + unrolled / w.width
    compute = _plain_product(w, machine, q) / rate + rows * q["row"]
    copied = 2 * unrolled * DTYPE_BYTES[w.dtype] + joined
    return Way(calls, compute, copied, repeats=repeats)


def _plain_product(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the multiply-adds, vectors along the pixels (or outputs of a matrix by a vector)."""
    by_outputs = _packed_product(w, w.m, w.n, machine, q)
    if w.kind == "linear":
        return by_outputs
    single = at_most(w.n, 1)
    return single * by_outputs + (1 - single) * _packed_product(w, w.n, w.m, machine, q)


def _packed_product(w: Workload, across: Dim, along: Dim, machine: Machine, q: Theta) -> Dim:
    """Return the multiply-adds with vectors ``across``; what is used once is not packed."""
    vectors = ceil_div(across, machine.lanes)
    # Tiles are three vectors wide. A second vector that is not full is computed as a whole tile
    # (MKL with AVX-512, measured: 25 columns take as long as 48, and 32 a third less).
    ragged = 1 - at_most(vectors * machine.lanes - across, 0)
    second = at_most(ceil_div(vectors + 1, _TILE) * _TILE - (vectors + 1), 0)
    vectors = vectors + ragged * second
    shared = ceil_div(vectors, machine.units) * machine.units * machine.lanes
    packed = minimum(q["pack"], along - 1) * across + minimum(q["pack"], across - 1) * along
    return w.batch * (shared * along * (w.k + q["fill"]) + packed * w.k)


def _blocked(w: Workload, machine: Machine, q: Theta) -> Way:
    """Return a convolution in a layout blocked by channels, copies into and out of it included."""
    if w.kind == "depthwise":
        compute = w.multiply_adds / (machine.multiply_adds * q["window"])
        return Way(q["window_call"], compute, *_reordered(w, w.batch, w.batch, machine, q))
    grouped = w.kind == "grouped"
    lanes = minimum(machine.lanes, _BLOCKED_GROUP_LANES) if grouped else machine.lanes
    shared = ceil_div(ceil_div(w.m, lanes), machine.units) * machine.units
    rate = machine.multiply_adds * q["gemm"] * q["direct"] * (q["grouped"] if grouped else 1)
    compute = w.batch * shared * lanes * w.n * w.k / rate
    channels = w.batch * w.k / w.taps, w.batch * w.m
    return Way(q["window_call"], compute, *_reordered(w, *channels, machine, q))


def _reordered(
    w: Workload, inputs: Dim, outputs: Dim, machine: Machine, q: Theta
) -> tuple[Dim, Dim]:
    """Return the bytes moved into and out of blocks, and those that leave the cache in between.

    Channels that fill no block take longer. A copy in blocks is read after the image that it was
    made of and itself have gone through the cache.
    """
    moved, spilled = w.weights.bytes, 0
    for channels, size in ((inputs, w.read_bytes), (outputs, w.writes.bytes)):
        left_over = ceil_div(channels, machine.lanes) * machine.lanes - channels
        slower = 1 + q["tail"] * (1 - at_most(left_over, 0))
        copied = size * (1 - at_most(channels, _FEW_CHANNELS))
        moved = moved + copied * slower
        spilled = spilled + Moved(copied, 2 * copied).missed(last_cache(machine, q))
    return q["reorder"] * moved, spilled


def last_cache(machine: Machine, q: Theta) -> Dim:
    """Return the part of the last-level cache that others leave to this process [byte]."""
    return machine.cache * q["cache_share"]


def _resident(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the multiply-adds where images and weights lie as kernels want them."""
    peak = machine.multiply_adds * (q["integer"] if w.dtype in _INTEGERS else 1)
    rate = peak * q["gemm"]
    match w.kind:
        case "depthwise":
            return w.multiply_adds / (peak * q["window"])
        case "pointwise" | "linear":
            return _product(w, machine, q) / rate
        case "grouped":
            return _product(w, machine, q) / (rate * q["grouped"])
        case "convolution":
            return _convolution(w, machine, q, rate)
        case "matmul":
            return w.multiply_adds / (rate * q["matmul"])
        case "attention":
            return _attention(w, q) / (rate * q["matmul"])
    return w.multiply_adds / rate


def _product(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the multiply-adds of the products, padding, packing and idle cores included."""
    # Wide vectors hold channels of several groups: only four have to be of one.
    lanes = minimum(machine.lanes, _GROUP_LANES) if w.kind == "grouped" else machine.lanes
    vectors = ceil_div(w.m, lanes)
    shared = ceil_div(vectors, machine.units) * machine.units
    columns = w.n if w.kind == "linear" else ceil_div(w.n, _COLUMNS) * _COLUMNS
    return w.batch * (shared * lanes + q["pack"]) * columns * (w.k + q["fill"])


def _convolution(w: Workload, machine: Machine, q: Theta, rate: Dim) -> Dim:
    direct = _product(w, machine, q) / (rate * q["direct"])
    if not (w.winograd and "winograd" in machine.algorithms):
        return direct
    channels = w.k / w.taps
    blocks = w.blocks(_BLOCK)
    products = _TRANSFORMED * blocks * w.m * (channels + q["fill"])
    if w.dtype in _INTEGERS:
        products = products * _INTEGER_WINOGRAD
    moved = _TRANSFORM_TRAFFIC * _WORD * w.n * (channels + w.m)
    transforms = moved / (machine.vector * q["near_bandwidth"])
    return minimum(direct, products / (rate * q["winograd"]) + transforms)


def _attention(w: Workload, q: Theta) -> Dim:
    """Return the multiply-adds of scores and mix; of a causal one, the blocks not left out."""
    dense = 2 * w.batch * w.m * w.n * w.k
    causal = w.multiply_adds + w.batch * w.m * w.k * _ATTENTION_BLOCK
    return minimum(dense, causal) + w.batch * w.m * (w.n + w.k) * q["fill"]
