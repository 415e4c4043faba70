r"""Time of a kernel on a GPU.

.. math::

    t = \text{launch} + \text{overlap}(\text{compute}, \text{memory}) + \text{passes}

A matrix product is cut into output tiles, one for each streaming multiprocessor at a time: tiles
that stick out over the edge and a last wave that is not full cost as much as whole ones. The
library picks the fastest algorithm and tile, and splits the reduction of a linear layer where tiles
are few. A board may not draw more than its power limit, whatever its peak.
"""

from __future__ import annotations

from collections.abc import Mapping

from costmodel.algebra.symbols import Dim, ceil_div, fastest, maximum, minimum
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Terms, overlap
from costmodel.timing.tiles import CONVOLUTION_TILES, WINOGRAD_TILES, Tile
from costmodel.timing.workload import Moved, Workload

Theta = Mapping[str, Dim]

SPLITS = (1, 2, 4, 8, 16, 32)
"""Into how many parts a linear layer may split its reduction."""
_WORD = 4
"""Bytes of a partial result, float32 whatever the operands are. [byte]"""
_CALLS = {
    "pointwise": "product_call",
    "convolution": "product_call",
    "grouped": "product_call",
    "depthwise": "product_call",
    "linear": "linear_call",
    "matmul": "matmul_call",
    "attention": "matmul_call",
    "recurrent": "linear_call",
    "batch_norm": "norm_call",
    "norm": "norm_call",
    "softmax": "norm_call",
    "pool": "norm_call",
    "max_pool": "norm_call",
}
_CONVOLUTIONS = ("pointwise", "convolution", "grouped")
_PRODUCTS = (*_CONVOLUTIONS, "linear", "matmul", "attention", "recurrent")


def terms(w: Workload, machine: Machine, q: Theta) -> Terms:
    """Return the terms of a kernel."""
    call = q[_CALLS[w.kind]] if w.kind in _CALLS else 1
    launch = q["launch"] * call
    if w.kind == "grouped" and machine.grouped_serially:
        launch = launch + (w.batch - 1) * q["group_launch"]
    compute, memory, busy = _busy(w, machine, q)
    stream = machine.bandwidth * q["dram"]
    passes = w.passes * (q["pass_launch"] + 2 * w.writes.missed(machine.cache) / stream)
    return Terms(q["host"] * call, launch, compute, memory, passes, launch + busy + passes)


def _busy(w: Workload, machine: Machine, q: Theta) -> tuple[Dim, Dim, Dim]:
    """Return the time of arithmetic, of traffic, and of both together."""
    memory = _memory(w.moved, machine, q, q["tile_dram"] if w.kind in _PRODUCTS else 1)
    if w.kind in ("norm", "softmax"):
        memory = memory * q["norm_traffic"]
    compute = _product(w, machine, q) if w.kind in _PRODUCTS else _plain(w, machine, q)
    together = overlap(compute, memory, q["serial"])
    if w.winograd and "winograd" in machine.algorithms:
        product, moved = _winograd_through_memory(w, machine, q)
        apart = product + moved
        return minimum(compute, product), minimum(memory, moved), minimum(together, apart)
    return compute, memory, together


def _memory(tensors: tuple[Moved, ...], machine: Machine, q: Theta, share: Dim) -> Dim:
    """Return the time of the traffic: from memory what missed, from the cache the rest."""
    size: Dim = sum(t.bytes for t in tensors)
    missed: Dim = sum(t.missed(machine.cache * q["reach"]) for t in tensors)
    return missed / (machine.bandwidth * q["dram"] * share) + (size - missed) / (
        machine.cache_bandwidth * q["cache"]
    )


def _plain(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of arithmetic without tiles: windows, and one operation a lane."""
    window = machine.vector * q["window"]
    if w.kind == "depthwise":
        return w.multiply_adds / window
    if w.kind in ("pool", "max_pool"):
        return w.elementwise / window
    return w.elementwise / (2 * machine.vector)


def _product(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of the multiply-adds with the fastest algorithm, tile and split."""
    splits: tuple[int, ...] = (1,)
    if w.kind == "linear":
        tiles, splits = machine.generation.product, SPLITS
    elif w.kind in _CONVOLUTIONS:
        tiles = CONVOLUTION_TILES
    else:
        tiles = machine.generation.batched
    serial = w.kind == "grouped" and machine.grouped_serially
    batch, repeats = (1, w.batch) if serial else (w.batch, 1)
    speed = q["direct"] if w.kind in _CONVOLUTIONS else 1
    direct = repeats * _tiled((batch, w.m, w.n, w.k), machine, q, speed, tiles, splits)
    if not (w.winograd and "winograd" in machine.algorithms):
        return direct
    # F(2x2, 3x3) in one kernel: 16 products of channels for each block of 4 outputs, instead of 36.
    blocks = w.blocks(2)
    fused = _tiled(
        (1, 4 * w.m, 4 * blocks, w.k / 9), machine, q, q["winograd"], WINOGRAD_TILES, (1,)
    )
    return minimum(direct, fused)


def _winograd_through_memory(w: Workload, machine: Machine, q: Theta) -> tuple[Dim, Dim]:
    """Return the time of F(4x4, 3x3): 36 products a block of 16 outputs, transforms in memory."""
    blocks = w.blocks(4)
    channels = w.k / 9
    size = (36, w.m, blocks, channels)
    product = _tiled(size, machine, q, q["winograd_batched"], machine.generation.batched, (1,))
    transformed = 36 * 4 * (blocks * (channels + w.m) + channels * w.m)
    return product, _memory((*w.moved, Moved(transformed, transformed)), machine, q, 1)


def _tiled(
    size: tuple[Dim, Dim, Dim, Dim],
    machine: Machine,
    q: Theta,
    speed: Dim,
    tiles: tuple[Tile, ...],
    splits: tuple[int, ...],
) -> Dim:
    """Return the time of matrix products with the fastest tile and split."""
    batch, m, n, k = size
    feed = q["half_tile"] * machine.generation.feed
    cores = machine.multiply_adds / machine.units

    def time(rows: Dim, columns: Dim, split: Dim) -> Dim:
        area = rows * columns
        # A tile of little intensity waits for shared memory.
        intensity = area / (rows + columns)
        efficiency = q["gemm"] * intensity / (intensity + feed)
        steps = area * (k / (split * speed) + q["fill"]) / efficiency
        blocks = batch * ceil_div(m, rows) * ceil_div(n, columns) * split
        waves = ceil_div(blocks, machine.units) + q["ramp"] / area
        busy = maximum(waves * steps / cores, blocks * steps / (machine.sustained * q["power"]))
        # Partial results of a split go through the cache once more.
        partial = 2 * _WORD * batch * m * n * split * minimum(1, split - 1)
        return busy + partial / (machine.cache_bandwidth * q["cache"])

    return fastest(time, [(*tile, split) for tile in tiles for split in splits])
