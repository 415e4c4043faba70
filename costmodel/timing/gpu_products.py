r"""Matrix products on a GPU: tiles, waves, splits, alignment, power.

A product is cut into output tiles; each streaming multiprocessor computes one at a time. Tiles that
extend over the edge and a partial last wave cost as much as full ones. The library uses the fastest
tile, and splits the reduction of a linear layer if tiles are few; adding up the parts costs a pass
over them and one more kernel. A board cannot exceed its power limit, whatever its peak.

.. math::

    t = \max\left(\frac{(w + r / A) \, s}{p},\; \frac{T s}{P}\right)
    \qquad s = \frac{A \, (k / c + f)}{\eta_A}

On the lanes the second term is :math:`T A (k / c + f) \, e_A / P - b \, (p U / P - 1)`. A tile of
low intensity moves more data and needs more energy :math:`e_A`, 1 for the largest tile. A board may
exceed its limit for the time :math:`b` before its governor lowers the clock of its :math:`U`
multiprocessors.

:math:`A` are the outputs of a tile, :math:`T` its tiles in :math:`w` waves, :math:`k` the reduction
in :math:`c` parts, :math:`f` start-up and epilogue, :math:`r` the loss from filling and draining,
:math:`p` the multiply-adds of one multiprocessor and :math:`P` those that the board's power
sustains [multiply-add/s]. A tile of low intensity waits for its operands (:math:`\eta_A`), and so
do tensor cores for operands whose rows do not begin at 16 bytes.
"""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, ceil_div, fastest, maximum, minimum
from costmodel.kernels import Product
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.tiles import Tile
from costmodel.timing.workload import Moved

SPLITS = (1, 2, 4, 8, 16, 32)
"""Numbers of parts into which a linear layer may split its reduction."""
WORD = 4
"""Bytes of a partial result, which is always float32. [byte]"""
_WORD_ROW = 4
"""Alignment of rows without loads of single elements. [byte]"""
_EPILOGUE = 0.3
"""Share of a tile's start and end on Ampere that does not depend on the tensor rate. [1]"""
_SECTOR = 32
"""Bytes that a cache fetches at a time: rows that begin elsewhere need one more. [byte]"""
_ROW = 16
"""Alignment of rows of operands that tensor cores load at full speed. [byte]"""


def tiled(
    p: Product,
    machine: Machine,
    q: Theta,
    speed: Dim,
    tiles: tuple[Tile, ...],
    splits: tuple[int, ...],
    feed: Dim = 1,
) -> Dim:
    """Return the time of one run of the products with the fastest tile and split [s].

    Parameters
    ----------
    p : Product
        The products.
    machine : Machine
        The hardware for their dtype.
    q : mapping
        Parameters.
    speed : Dim
        Speed of the reduction relative to a matrix product. [1]
    tiles : tuple of Tile
        The tiles of the library.
    splits : tuple of int
        Numbers of parts into which it may split the reduction.
    feed : Dim
        Multiply-adds on the lanes that share the path from shared memory, relative to the
        generation. [1]
    """
    generation = machine.generation
    if machine.tensor:
        half = q["tensor_half_tile"] * generation.tensor_feed * machine.operands
        ramp = q["tensor_ramp"]
        fill = q["tensor_fill"] * (1 - _EPILOGUE + _EPILOGUE * machine.operands)
    else:
        half = q["half_tile"] * generation.feed * feed
        fill, ramp = q["fill"], q["ramp"]
    cores = machine.multiply_adds / machine.units
    limit = machine.sustained * q["power"]
    largest = max(rows * columns / (rows + columns) for rows, columns in tiles)
    ahead = q["burst"] * maximum(0, machine.multiply_adds / limit - 1)

    def time(rows: Dim, columns: Dim, split: Dim) -> Dim:
        area = rows * columns
        intensity = area / (rows + columns)
        efficiency = q["gemm"] * intensity / (intensity + half)
        tile = area * (p.k / (split * speed) + fill)
        steps = tile / efficiency
        cut = p.batch * ceil_div(p.m, rows) * ceil_div(p.n, columns) * split
        waves = ceil_div(cut, machine.units) + ramp / area
        busy = waves * steps / cores
        if machine.tensor:
            busy = maximum(busy, cut * steps / limit)
        else:
            # A window is read once for all its taps, so that it moves fewer operands.
            fetched = 1 / (1 / columns + 1 / (rows * p.taps))
            busy = maximum(busy, cut * tile * _moving(fetched, largest, q) / limit - ahead)
        if splits == (1,):
            return busy
        busy = maximum(busy, _fetched_again(p, machine, q, rows + columns, cut / split))
        more = minimum(1, split - 1)
        partial = 2 * WORD * p.batch * p.m * p.n * split * more
        return busy + more * q["split_call"] + partial / (machine.cache_bandwidth * q["cache"])

    return fastest(time, [(*tile, split) for tile in tiles for split in splits])


def _moving(intensity: Dim, largest: float, q: Theta) -> Dim:
    """Return the energy of a multiply-add on the lanes, relative to the ``largest`` tile [1].

    A part of the energy is inversely proportional to the multiply-adds for each element loaded.
    """
    return (1 + q["power_tile"] / intensity) / (1 + q["power_tile"] / largest)


def _fetched_again(p: Product, machine: Machine, q: Theta, rows: Dim, tiles: Dim) -> Dim:
    """Return the time of the memory traffic if tiles do not share data in the cache [s].

    Tiles that run concurrently read the same rows of the operands, some ahead of others. On long
    rows the distance between them exceeds the cache: if the ``rows`` of one tile exceed 2.4 times
    its size, every tile fetches all of its rows.
    """
    panel = WORD * rows * p.k
    share = Moved(1, panel).missed(2.4 * machine.cache * q["reach"])
    fetched = share * tiles * panel * machine.generation.refetch
    return fetched / streaming(machine, q)


def streaming(machine: Machine, q: Theta) -> Dim:
    """Return the bandwidth of memory that element-wise kernels reach [B/s]."""
    return machine.bandwidth * minimum(1, q["dram"] * machine.stream)


def alignment(dtype: str, machine: Machine, q: Theta, lengths: tuple[Dim, ...]) -> Dim:
    r"""Return the speed of products on rows of these lengths, relative to aligned ones [1].

    .. math:: a^{h_{16}} u^{h_4} \qquad \frac{1}{1 + L \cdot \text{odd_rows} \cdot h_{32}}

    The first holds on tensor cores: :math:`h_{16}` is 1 if some row does not begin at a multiple of
    16 bytes, :math:`h_4` if it does not begin at one of 4, else 0; :math:`a` is a fact of the
    generation. The second holds on lanes: :math:`h_{32}` is 1 if rows of the first length do not
    begin at multiples of 32 bytes, and :math:`L` is the feed of the generation.

    Parameters
    ----------
    dtype : str
        Of the operands.
    machine : Machine
        The hardware.
    q : mapping
        Parameters.
    lengths : tuple of Dim
        Elements of a row of each operand and of the result. [element]

    Notes
    -----
    Source: NVIDIA, Matrix Multiplication Background User's Guide, Tensor Core Requirements:
    dimensions that are multiples of 16 bytes are the most efficient, and from cuBLAS 11 on others
    use tensor cores, too.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> h100 = machine_for(load_platform("h100-sxm/torch-eager"), "bfloat16")
    >>> [alignment("bfloat16", h100, {"unaligned": 0.5}, (k,)) for k in (8, 4, 2, 1)]
    [1.0, 0.33, 0.33, 0.165]
    """
    size = DTYPE_BYTES[dtype]
    if not machine.tensor:
        more = q["odd_rows"] * machine.generation.feed
        return 1 / (1 + more * _off(lengths[0], max(1, _SECTOR // size)))
    off, odd = (
        minimum(1, sum(_off(length, n) for length in lengths))
        for n in (_ROW // size, max(1, _WORD_ROW // size))
    )
    return machine.generation.misaligned**off * q["unaligned"] ** odd


def _off(length: Dim, full: int) -> Dim:
    """Return 0 if a row of ``length`` elements is a multiple of ``full``, else 1."""
    return minimum(1, full * ceil_div(length, full) - length)
