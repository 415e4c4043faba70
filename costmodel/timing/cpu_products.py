"""Time of the multiply-adds of convolutions and matrix products by CPU libraries.

Vectors hold channels where weights are packed in advance (ncnn, TFLite, ONNX Runtime, TVM). On the
plain layout they hold pixels, and both operands are packed at every call.
"""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, at_most, ceil_div, minimum, total
from costmodel.kernels import Product
from costmodel.timing import cpu_winograd
from costmodel.timing.cpu_threads import uneven
from costmodel.timing.cpu_ways import peak
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Workload

_GROUP_LANES = 4
"""Fewest channels of one group in a vector."""
_TILE = 3
"""Vectors along a micro-kernel's tile on the plain layout."""
_COLUMNS = 8
"""Pixels of a micro-kernel's tile; a linear layer on few rows has dedicated kernels."""
_ATTENTION_BLOCK = 512
"""Keys that a fused attention processes at once; a causal mask skips whole blocks only (PyTorch:
``kvSplitSize`` of its flash attention on CPUs)."""


def no_product(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return zero: the kernel has no multiply-adds [s]."""
    return 0


def depthwise(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of multiply-adds over windows, each channel alone [s]."""
    packs = ceil_div(w.product.batch * w.product.m, machine.lanes)
    return w.multiply_adds * uneven(packs, machine) / (peak(w, machine, q) * q["window"])


def channelwise(w: Workload, pieces: Dim, lanes: int, machine: Machine, q: Theta) -> Dim:
    """Return the time of a depthwise convolution whose channels fill ``pieces`` vectors [s]."""
    p = w.product
    spent = pieces * lanes * p.m * p.n * p.k * uneven(pieces, machine)
    return spent / (peak(w, machine, q) * q["window"])


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
    if not cpu_winograd.applies(w, machine):
        return direct
    return minimum(direct, cpu_winograd.seconds(w, machine, q))


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


def plain_product(w: Workload, machine: Machine, q: Theta, by_outputs: bool = False) -> Dim:
    """Return the multiply-adds, vectors along the pixels (or outputs of a matrix by a vector).

    Vectors are always along the outputs for a linear layer, and where ``by_outputs`` says so.
    """
    p = w.product
    along_outputs = _packed_product(p, p.m, p.n, machine, q)
    if by_outputs or w.kind == "linear":
        return along_outputs
    single = at_most(p.n, 1)
    return single * along_outputs + (1 - single) * _packed_product(p, p.n, p.m, machine, q)


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
