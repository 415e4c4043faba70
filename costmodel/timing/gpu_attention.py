r"""Fused attention on a GPU: tiles of queries against all their keys, the scores staying on chip.

A multiprocessor processes a tile of up to 128 queries of one head and loops over the keys that any
of them sees, 128 at a time: products on tensor cores, with heads padded to a depth that the library
supports, and exponentials in parallel.

.. math::

    t = w \left(\max\left(\max(a, b) + s \min(a, b),\; c\right) + t_0\right)
    \qquad a = \frac{q \, n \, (d_k + d_v)}{\eta \, p}
    \qquad b = \frac{q \, n}{e f}
    \qquad c = \frac{n \, (d_k + d_v) \, z}{g f}

:math:`q` queries of a tile, :math:`n` keys that it visits, :math:`d` padded depths, :math:`p` the
multiply-adds of a multiprocessor [multiply-add/s], :math:`e` its exponentials a cycle, :math:`f`
its clock, :math:`g` the bytes per cycle at which it loads keys and values of :math:`z` bytes per
element, :math:`t_0` the start-up and end of a tile, :math:`w` the waves. Under a causal mask a tile
visits the keys up to its last query, and tiles of different lengths balance out. Query heads that
share a head of keys (grouped queries) are packed into a tile: a single query in any library, longer
ones where the generation's library does so. If tiles are few, the keys are split among idle
multiprocessors, at the cost of adding up the parts.

Sources: Dao 2023, FlashAttention-2; Shah et al. 2024, FlashAttention-3 (exponentials as fast as
16 a cycle are a bottleneck beside tensor cores; heads of 64, 96, 128, 192 and 256).
"""

from __future__ import annotations

from collections.abc import Mapping

from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.machine import Machine
from costmodel.timing.terms import overlap
from costmodel.timing.workload import Workload

Theta = Mapping[str, Dim]

QUERIES = 128
"""Queries of a tile with long heads and enough queries. [1]"""
SHORT = 96
"""The longest head for which a library may have taller tiles. [element]"""
FEW = 64
"""Rows that a tile with fewer queries is padded to. [1]"""
KEYS = 128
"""Keys that a tile visits at a time. [1]"""


def padded(depth: Dim) -> Dim:
    """Return the depth of a head that the library computes with [element].

    64, 96, 128, 192 or 256, beyond them multiples of 128.

    Examples
    --------
    >>> [padded(d) for d in (1, 64, 65, 128, 129, 200, 256, 300)]
    [64, 64, 96, 128, 192, 256, 256, 384]
    """
    more = 0
    for above, step in ((64, 32), (96, 32), (128, 64), (192, 64)):
        more = more + step * minimum(1, maximum(0, depth - above))
    return 64 + more + 128 * ceil_div(maximum(0, depth - 256), 128)


def attention(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of a fused attention without its launch and its memory traffic [s].

    Parameters
    ----------
    w : Workload
        A kernel of two products, scores and mix.
    machine : Machine
        The hardware for its dtype.
    q : mapping
        Parameters.
    """
    scores, mix = w.products
    depths = padded(scores.k) + padded(mix.n)
    single = minimum(1, maximum(0, 2 - scores.m))
    packs = 1 if machine.generation.packs_queries else single
    packed = 1 + packs * (scores.shared - 1)
    rows = scores.m * packed
    taller = machine.generation.short_head_queries - QUERIES
    most = QUERIES + taller * minimum(1, maximum(0, SHORT + 1 - scores.k))
    tiles = scores.batch / packed * ceil_div(rows, most)
    height = minimum(most, FEW * ceil_div(rows, FEW))
    full = KEYS * ceil_div(scores.n, KEYS)
    causal = scores.needed is not None
    seen = full
    if causal:
        # The mean of all queries, rounded up to a tile on both sides of the diagonal.
        seen = minimum(full, scores.n * scores.share + (KEYS + height / packed) / 2)

    def run(keys: Dim) -> Dim:
        cycles = machine.clock * machine.units
        product = height * keys * depths * machine.units / (machine.multiply_adds * q["attention"])
        special = height * keys * machine.units / (machine.generation.exponentials * cycles)
        size = DTYPE_BYTES[w.dtype]
        drawn = keys * depths * size / (q["attention_feed"] * machine.clock)
        busy = overlap(product, special, q["attention_serial"])
        return maximum(busy, drawn) + q["attention_tile"]

    share = tiles / machine.units
    if causal:
        waves = maximum(1, share) + minimum(0.5, maximum(0, share - 1))
    else:
        waves = ceil_div(tiles, machine.units)
    whole = waves * run(seen)
    split = waves * run(maximum(KEYS, seen * minimum(1, share))) + q["split_call"]
    if machine.generation.packs_queries:
        return minimum(whole, split)
    swapped = single * minimum(1, scores.shared - 1)
    return swapped * split + (1 - swapped) * whole
