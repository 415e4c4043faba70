r"""Time of a kernel on a GPU.

.. math::

    t = \text{launch} + \text{overlap}(\text{compute}, \text{memory}) + \text{passes}

If the host dispatches kernels ahead of the device, the device waits until the first has been
dispatched: the share ``lead`` of the host's time for a kernel, counted once for a network as the
mean over its kernels.

Matrix products run in tiles (:mod:`costmodel.timing.gpu_products`), fused attention in tiles of
queries (:mod:`costmodel.timing.gpu_attention`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from costmodel.algebra.symbols import Dim, maximum, minimum, total
from costmodel.kernels import Product
from costmodel.kinds import complete
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.gpu_attention import attention
from costmodel.timing.gpu_layout import changes, in_steps
from costmodel.timing.gpu_pages import kernels_beside, pages
from costmodel.timing.gpu_products import SPLITS, WORD, alignment, streaming, tiled
from costmodel.timing.gpu_rows import exponentials, merging, read_twice, sweeps
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Terms, Theta, overlap
from costmodel.timing.tiles import Tile
from costmodel.timing.workload import Moved, Workload, blocks


def terms(w: Workload, machine: Machine, q: Theta) -> Terms:
    """Return the terms of a kernel."""
    form = FORMS[w.kind]
    call = q[form.call] if form.call else 1
    if w.kind == "norm":
        call = call * q["norm_outputs"]
    # The steps of a recurrent layer depend on each other, so each is a separate launch.
    steps = maximum(1, total(p.times for p in w.products)) if w.kind == "recurrent" else 1
    host = q["host"] * call * steps
    launch = q["launch"] * call * steps
    if machine.asynchronous:
        launch = launch + q["lead"] * host / w.among
    q = {**q, "burst": q["burst"] / w.among}
    if w.kind == "grouped" and machine.grouped_serially:
        launch = launch + (w.product.batch - 1) * q["group_launch"]
    kernels, turned = changes(w, machine, q)
    launch = launch + q["launch"] * kernels
    compute, memory, busy = _busy(w, form, machine, q)
    memory, busy = memory + turned, busy + turned
    if w.kind == "attention":
        launch = launch + q["launch"] * kernels_beside(w, machine)
        moved, least = pages(w, machine, q)
        copied = maximum(_memory((moved,), machine, q, 1), least)
        memory, busy = memory + copied, busy + copied
    if w.kind == "norm" and not machine.generated:
        # A block waits for its own row; this time does not overlap with the traffic of others.
        rows = merging(w, machine, q)
        compute, busy = compute + rows, busy + rows
    passes = _passes(w, machine, q)
    return Terms(host, launch, compute, memory, passes, launch + busy + passes)


def _passes(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the operators behind a product; elsewhere their values are in registers.

    A pass reads and writes the output that the kernel, or the previous pass, has just written. A
    kernel of its own gets all of it from the cache or memory.
    """
    if not w.products:
        return 0
    both_ways = Moved(2 * w.writes.bytes, w.writes.bytes)
    if machine.bias_apart:
        return w.passes * (q["pass_launch"] + _memory((both_ways,), machine, q, 1))
    again = both_ways.missed(machine.cache * q["reach"])
    return w.passes * (q["pass_launch"] + again / streaming(machine, q))


@dataclass(frozen=True, slots=True)
class _Form:
    """Execution of a kind of kernel.

    Parameters
    ----------
    call : str
        The parameter that scales its launch, ``""`` for that of an element-wise kernel.
    compute : callable
        The time of its arithmetic.
    share : str
        The parameter that scales the bandwidth of its operands, ``""`` for streaming kernels.
    """

    call: str
    compute: Callable[[Workload, Machine, Theta], Dim]
    share: str = ""


def _busy(w: Workload, form: _Form, machine: Machine, q: Theta) -> tuple[Dim, Dim, Dim]:
    """Return the time of arithmetic, of traffic, and of both together."""
    share = q[form.share] * machine.generation.tile_stream if form.share else 1
    memory = _memory((*w.moved, *_read_again(w)), machine, q, share)
    if w.kind == "norm":
        again = read_twice(w, machine).missed(machine.cache * q["reach"])
        memory = memory + again / (streaming(machine, q))
    if w.kind == "softmax":
        memory = memory * sweeps(w, machine, q)
    compute = form.compute(w, machine, q)
    together = overlap(compute, memory, q["serial"])
    if w.kind == "convolution" and _has_winograd(w.product, machine):
        product, moved = _winograd_through_memory(w, machine, q)
        apart = product + moved
        return minimum(compute, product), minimum(memory, moved), minimum(together, apart)
    return compute, memory, together


def _memory(tensors: tuple[Moved, ...], machine: Machine, q: Theta, share: Dim) -> Dim:
    """Return the time of the traffic: misses from memory, the rest from the cache."""
    size: Dim = sum(t.bytes for t in tensors)
    missed: Dim = sum(t.missed(machine.cache * q["reach"]) for t in tensors)
    stream = streaming(machine, q) * share
    # A cache is never slower than the memory behind it.
    near = maximum(stream, machine.cache_bandwidth * q["cache"])
    return missed / stream + (size - missed) / near


def _read_again(w: Workload) -> list[Moved]:
    """Return the learned operands that later steps of a recurrent layer read again."""
    if w.kind != "recurrent":
        return []
    size = DTYPE_BYTES[w.dtype]
    matrices = [(p.batch * p.m * p.k * size, p.times - 1) for p in w.products]
    return [Moved(matrix * times, matrix) for matrix, times in matrices]


# --- arithmetic, one function a way of running ------------------------------------------------


def _lane_rate(machine: Machine) -> float:
    """Return the multiply-adds of all lanes, fewer for a wider dtype [1/s]."""
    return min(machine.vector, machine.multiply_adds)


def _lanes(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of operations, one per lane."""
    return w.elementwise / (2 * _lane_rate(machine))


def _windows(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of operations over windows."""
    return w.elementwise / (_lane_rate(machine) * q["window"])


def _depthwise(w: Workload, machine: Machine, q: Theta) -> Dim:
    r"""Return the time of multiply-adds over windows, each channel alone.

    .. math:: t = \frac{y \, (\text{window_fill} + k)}{\text{depthwise} \cdot p}

    in the kernel of a framework, in which each thread computes one of :math:`y` outputs. Finding
    its position in the image costs as much as ``window_fill`` taps; each of these and of the
    :math:`k` taps of the window takes ``1/depthwise`` operations of a lane in every dtype, with
    :math:`p` operations per second. Source: PyTorch, aten/src/ATen/native/cuda/DepthwiseConv2d.cu
    (``conv_depthwise2d_forward_kernel``). A library's kernel costs its taps alone, at ``window`` of
    the rate.
    """
    rate, taps = _lane_rate(machine), w.multiply_adds
    if machine.own_depthwise:
        spent = taps * (1 + q["window_fill"] / w.product.taps) / (rate * q["depthwise"])
    else:
        spent = taps / (rate * q["window"])
    return spent + _lanes(w, machine, q)


def _softmax(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the exponentials, which other operations overlap with."""
    return maximum(exponentials(w, machine, q), _lanes(w, machine, q))


def _convolution(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the fastest algorithm whose intermediates stay on the chip."""
    p = in_steps(w, machine)
    serial = w.kind == "grouped" and machine.grouped_serially
    one, repeats = (replace(p, batch=1), p.batch) if serial else (p, 1)
    generation = machine.generation
    tiles = generation.tensor_convolution if machine.tensor else generation.convolution
    direct = repeats * tiled(one, machine, q, q["direct"], tiles, (1,))
    if w.kind == "convolution" and _has_winograd(p, machine):
        # F(2x2, 3x3) in one kernel: 16 products of channels for each block of 4 outputs, not 36.
        # Blocks share their inputs: of the 16 that each needs, 4 are new.
        small = Product(1, 4 * p.m, 4 * blocks(p, 2), p.k / p.taps, taps=4)
        fused = tiled(small, machine, q, q["winograd"], generation.winograd, (1,))
        direct = minimum(direct, fused)
    return direct + _lanes(w, machine, q)


def _linear(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of single products, whose reduction may be split."""
    generation = machine.generation
    if machine.cublas_lt:
        return _products(w, machine, q, generation.linear, SPLITS, generation.linear_feed)
    return _products(w, machine, q, generation.product, SPLITS)


def _steps(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the steps of a recurrence, whose kernels add up their own parts."""
    return _products(w, machine, {**q, "split_call": 0}, machine.generation.product, SPLITS)


def _batched(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of batched products."""
    return _products(w, machine, q, machine.generation.batched, (1,))


def _products(
    w: Workload,
    machine: Machine,
    q: Theta,
    tiles: tuple[Tile, ...],
    splits: tuple[int, ...],
    feed: Dim = 1,
) -> Dim:
    """Return the time of all products, one after the other, and of the other operations."""
    tiles = machine.generation.tensor if machine.tensor else tiles
    speeds = [alignment(w.dtype, machine, q, _rows(w.kind, p)) for p in w.products]
    spent = [
        p.times * tiled(p, machine, q, speed, tiles, splits, feed)
        for p, speed in zip(w.products, speeds, strict=True)
    ]
    # A causal mask skips tiles that it hides completely.
    kept = [p.share for p in w.products]
    return total(t * k for t, k in zip(spent, kept, strict=True)) + _lanes(w, machine, q)


def _rows(kind: str, p: Product) -> tuple[Dim, Dim]:
    """Return the row lengths of the operands and of the result in memory [element]."""
    return p.k, p.m if kind in ("linear", "recurrent") else p.n


def _has_winograd(p: Product, machine: Machine) -> bool:
    """Whether a product may use Winograd: on the lanes, if the generation has kernels."""
    lanes = machine.generation.float32_winograd and not machine.tensor
    return p.winograd and "winograd" in machine.algorithms and lanes


def _winograd_through_memory(w: Workload, machine: Machine, q: Theta) -> tuple[Dim, Dim]:
    """Return the time of F(4x4, 3x3): 36 products per block of 16 outputs, transforms in memory."""
    p = w.product
    outputs, channels = blocks(p, 4), p.k / p.taps
    transformed = Product(36, p.m, outputs, channels)
    tiles = machine.generation.batched
    product = tiled(transformed, machine, q, q["winograd_batched"], tiles, (1,))
    size = 36 * WORD * (outputs * (channels + p.m) + channels * p.m)
    return product, _memory((*w.moved, Moved(size, size)), machine, q, 1)


FORMS: Mapping[str, _Form] = complete(
    {
        "pointwise": _Form("product_call", _convolution, "tile_dram"),
        "convolution": _Form("product_call", _convolution, "tile_dram"),
        "grouped": _Form("product_call", _convolution, "tile_dram"),
        "depthwise": _Form("product_call", _depthwise),
        "linear": _Form("linear_call", _linear, "tile_dram"),
        "matmul": _Form("matmul_call", _batched, "tile_dram"),
        "attention": _Form("matmul_call", attention),
        "recurrent": _Form("linear_call", _steps, "tile_dram"),
        "elementwise": _Form("", _lanes),
        "batch_norm": _Form("norm_call", _lanes),
        "norm": _Form("norm_call", _lanes),
        "softmax": _Form("norm_call", _softmax),
        "pool": _Form("norm_call", _windows),
        "max_pool": _Form("norm_call", _windows),
        "resample": _Form("norm_call", _windows),
        "gather": _Form("", _lanes),
        "copy": _Form("", _lanes),
    },
    "GPU formulas",
)
"""Execution of each kind of kernel on a GPU."""
