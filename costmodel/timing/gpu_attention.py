r"""Fused attention on a GPU: tiles of queries against all their keys, the scores staying on chip.

A multiprocessor processes a tile of queries of one head and loops over blocks of the keys that any
of them sees: products on tensor cores, with heads padded to a depth that the library supports,
exponentials, and loads of keys and values from shared memory, which overlap in part.

.. math::

    t = w \left(n \left(\max(a, b, c) + s \, (a + b + c - \max(a, b, c))\right) + t_0\right)

.. math::

    a = \frac{q \, k \, (d_k + d_v)}{\eta \, p} \qquad
    b = \frac{q \, k}{e f} + \frac{4 \, q \, k}{v} \qquad
    c = \frac{r \, k \, (d_k + d_v) \, z}{g f}

:math:`q` queries of a tile, :math:`n` blocks of :math:`k` keys that it visits, :math:`d` padded
depths, :math:`p` the multiply-adds of a multiprocessor [multiply-add/s], :math:`e` its exponentials
a cycle, :math:`f` its clock, :math:`v` the operations of its lanes [operation/s], :math:`g` the
bytes a cycle of its shared memory, :math:`r` the groups of threads that each read a whole block of
keys and values of :math:`z` bytes an element, :math:`s` the share that does not overlap,
:math:`t_0` the start-up and end of a tile, :math:`w` the waves.

**Two libraries.** FlashAttention-2 has tiles of 128 queries, in four warps that each read all keys.
Its kernel for keys in pages and for single queries has tiles of 64. FlashAttention-3 has tiles of
up to 192, of which each 64 belong to a group of warps that reads the keys once; :math:`c` overlaps
with :math:`a` completely, because its products read shared memory themselves.

**Masks.** Under a causal mask a tile visits the keys up to its last query. Where tiles run in the
order of their queries, the last ones are the longest, and most multiprocessors wait for them;
FlashAttention-3 begins with the longest.

**Few tiles.** The keys are split into parts so that all multiprocessors are busy. A second kernel
adds up the parts of every output one after the other. FlashAttention-2 splits for two tiles on each
multiprocessor, and on paged keys only where single queries share their keys; it then copies the
packed queries and their result, if a sequence has several heads of keys.

Sources: Dao 2023, FlashAttention-2; Shah et al. 2024, FlashAttention-3 (exponentials as fast as
16 a cycle are a bottleneck beside tensor cores). Code of both
(github.com/vllm-project/flash-attention): ``flash_fwd_launch_template.h``
(``run_mha_fwd_splitkv_dispatch``: ``kBlockM``, ``kBlockN``), ``flash_api.cpp``
(``num_splits_heuristic``, ``seqlenq_ngroups_swapped``), ``hopper/tile_size.h``,
``hopper/heuristics.h``, ``hopper/flash_prepare_scheduler.cu``.
"""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.gpu_pages import above, cached, single_query
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta, overlap
from costmodel.timing.workload import Workload

QUERIES = 128
"""Queries of a tile with long heads and enough queries. [1]"""
SHORT = 96
"""The longest head for which a library may have taller tiles. [element]"""
FEW = 64
"""Queries of a tile on paged keys, or of a tile with few queries. [1]"""
WARPS = 4
"""Warps of a tile of FlashAttention-2, each of which reads all keys. [1]"""
SHARED = 128
"""Bytes that a multiprocessor reads from shared memory in a cycle, on every generation. [byte]"""
PARTS = 128
"""Maximum number of parts of the keys. [1]"""
LANES = 0.7
"""Speed of the products on lanes, in float32, relative to tensor cores: measured on an H200,
PyTorch 2.11 (docs/data/h200_torch.csv), heads of 64 to 256, 0.62 to 0.78. [1]"""
OTHERS = 4
"""Operations of a lane for each score, beside its exponential: the maximum, a multiply-add for its
scale, the sum, and the conversion. [operation]"""
STAGES = 4
"""Parts that FlashAttention-3 loads at once to add them up. [1]"""
FILLED = 0.85
"""Share of the multiprocessors that a split has to fill. [1]"""
IN_ORDER, LONGEST_FIRST = 0.7, 0.2
"""Wait for the longest tile at the end, in its time: fits to causal prefill on A100 and RTX PRO
6000 (0.67 to 0.72), H100 and H200 (0.14 to 0.24), kernels replayed from CUDA graphs
(github.com/ai-dynamo/aiconfigurator). [1]"""


def padded(depth: Dim) -> Dim:
    """Return the depth of a head that the library computes with [element].

    64, 96, 128, 192 or 256, beyond them multiples of 128.

    Examples
    --------
    >>> [padded(d) for d in (1, 64, 65, 128, 129, 200, 256, 300)]
    [64, 64, 96, 128, 192, 256, 256, 384]
    """
    more = 0
    for limit, step in ((64, 32), (96, 32), (128, 64), (192, 64)):
        more = more + step * above(depth, limit)
    return 64 + more + 128 * ceil_div(maximum(0, depth - 256), 128)


def attention(w: Workload, machine: Machine, q: Theta) -> Dim:
    """Return the time of a fused attention without its launches and its memory traffic [s].

    Parameters
    ----------
    w : Workload
        A kernel of two products, scores and mix.
    machine : Machine
        The hardware for its dtype.
    q : mapping
        Parameters.
    """
    grid = _grid(w, machine)
    block, start = _block(w, grid, machine, q), q["attention_tile"] / machine.clock
    share = grid.tiles / machine.units
    if w.products[0].needed is not None:
        longest_first = machine.generation.packs_queries
        wait = LONGEST_FIRST if longest_first else IN_ORDER
        longest = start + grid.most * block
        last = wait * minimum(1, maximum(0, share - 1)) * longest
        mean = grid.mean * block
        gap = maximum(0, start - grid.hidden * mean)
        whole = maximum(longest, start - gap + share * (gap + mean) + last)
    else:
        each, waves = grid.most * block, ceil_div(grid.tiles, machine.units)
        gap = maximum(0, start - grid.hidden * each)
        whole = start - gap + waves * (gap + each)
    gain = maximum(0, whole - _split(grid, machine, q, start, block))
    few = 1 - minimum(1, maximum(0, grid.tiles - _slots(machine)))
    return whole - grid.splits * few * gain


@dataclass(frozen=True, slots=True)
class _Grid:
    """The tiles of an attention.

    Parameters
    ----------
    tiles : Dim
        Their number. [1]
    rows : Dim
        Queries that each computes, whether needed or not. [1]
    keys : Dim
        Keys of a block. [1]
    most, mean : Dim
        Blocks that the longest tile, and the mean tile, visits. [1]
    readers : Dim
        Groups of threads of a tile that read all keys. [1]
    splits : Dim
        1 if the library splits the keys among idle multiprocessors, else 0. [1]
    hidden : Dim
        1 if two tiles share a multiprocessor, so that one computes while the other starts. [1]
    """

    tiles: Dim
    rows: Dim
    keys: Dim
    most: Dim
    mean: Dim
    readers: Dim
    splits: Dim
    hidden: Dim


def _grid(w: Workload, machine: Machine) -> _Grid:
    """Return the tiles that the library of the generation launches."""
    scores = w.products[0]
    causal, single = scores.needed is not None, single_query(scores.m)
    long = padded(scores.k)
    if machine.generation.packs_queries:
        packed = scores.shared
        # Tiles of one group of warps exist for heads of 64 and 128.
        fits = 1 - above(long, 64) + above(long, 96) - above(long, 128)
        few = fits * (1 - above(scores.m * packed, FEW))
        taller = machine.generation.short_head_queries - QUERIES
        full = QUERIES + taller * (1 - above(long, SHORT))
        rows = few * FEW + (1 - few) * full
        # 192, 144, 160, 96 and 80 keys with increasing depth; at most 128 cached keys.
        keys = 192 - 48 * above(long, 64) + 16 * above(long, 96)
        keys = keys - 64 * above(long, 128) - 16 * above(long, 192)
        keys = keys - cached(scores) * maximum(0, keys - 128)
        readers, splits = rows / FEW, 1
    else:
        packed = 1 + single * (scores.shared - 1)
        paged = cached(scores) if machine.paged_attention else single
        rows = paged * FEW + (1 - paged) * QUERIES
        keys = (128 + 128 * paged) - (64 + 64 * paged) * above(long, 64)
        keys = keys - 64 * paged * above(long, 128)
        readers = WARPS
        splits = single * above(scores.shared, 1) if machine.paged_attention else 1
    if not machine.tensor:
        splits = 0  # PyTorch's kernel on lanes has no parts (docs/data/h200_torch.csv: 1 query)
    most = ceil_div(scores.n, keys)
    mean = most
    if causal:
        # The mean number of keys of a tile's last query, rounded up to blocks.
        height = rows / packed
        seen = (scores.n * scores.share + height / 2) / keys
        mean = minimum(most, seen + (1 - minimum(1, height / keys)) / 2)
        mean = mean + single * (most - mean)
    tiles = scores.batch / packed * ceil_div(scores.m * packed, rows)
    hidden: Dim = 0
    if not machine.generation.packs_queries:
        held = rows * long + keys * (long + padded(w.products[1].n))
        two = 2 * DTYPE_BYTES[w.dtype] * held
        hidden = 1 - minimum(1, maximum(0, two - machine.shared_memory))
    return _Grid(tiles, rows, keys, most, mean, readers, splits, hidden)


def _block(w: Workload, grid: _Grid, machine: Machine, q: Theta) -> Dim:
    """Return the time that a tile takes for one block of keys [s]."""
    scores, mix = w.products
    depths, cycles = padded(scores.k) + padded(mix.n), machine.clock
    pairs = grid.rows * grid.keys
    speed = q["attention"] * (1 if machine.tensor else LANES)
    product = pairs * depths * machine.units / (machine.multiply_adds * speed)
    special = pairs / (machine.generation.exponentials * cycles)
    special = special + pairs * OTHERS * machine.units / machine.vector
    loads = grid.readers * grid.keys * depths * DTYPE_BYTES[w.dtype] / (SHARED * cycles)
    if machine.generation.packs_queries:
        # Its instructions read keys and values from shared memory themselves.
        return overlap(maximum(product, loads), special, q["attention_serial"])
    longest = maximum(product, special, loads)
    return longest + q["attention_serial"] * (product + special + loads - longest)


def _split(grid: _Grid, machine: Machine, q: Theta, start: Dim, block: Dim) -> Dim:
    """Return the time with the keys split among idle multiprocessors [s].

    More tiles need fewer parts, but never less time: below the number of tiles at which the parts
    become fewer, the time is that of as many parts as there can be.
    """
    asynchronous = machine.generation.packs_queries
    resident, at_once = (1, STAGES) if asynchronous else (2, 1)
    slots = _slots(machine)
    most = maximum(1, minimum(PARTS, ceil_div(grid.mean, 1)))
    second = q["split_call"] + (0 if asynchronous else q["launch"])

    def time(tiles: Dim) -> Dim:
        parts = maximum(1, minimum(most, slots / maximum(1, tiles)))
        rounds = maximum(tiles, minimum(resident * machine.units, tiles * parts)) / machine.units
        rounds = maximum(1, rounds)
        blocks = maximum(rounds, grid.mean * tiles / (FILLED * machine.units))
        adding = second + parts * q["attention_part"] / (at_once * machine.clock)
        gap = maximum(0, start - grid.hidden * blocks * block / rounds)
        return start + (rounds - 1) * gap + blocks * block + adding

    return maximum(time(grid.tiles), time(minimum(grid.tiles, slots / most)))


def _slots(machine: Machine) -> float:
    """Return the number of tiles from which on keys are not split [1]."""
    return FILLED * (1 if machine.generation.packs_queries else 2) * machine.units
