"""Convolutions of an engine that splits products into blocks of outputs (ncnn on Arm).

An image is first brought into the order of the product, all of it (im2col, or the inputs of
Winograd's algorithm). Every block of outputs then reads the whole image from wherever it is: an
image that a cache does not hold comes from behind it once for each block of a core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, at_most, ceil_div, minimum, total
from costmodel.runtimes.blocks import Blocks
from costmodel.timing import cpu_winograd
from costmodel.timing.cpu_products import product_time
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Moved, Workload, blocks


@dataclass(frozen=True, slots=True)
class Split:
    """How the outputs of a product are split among cores.

    Parameters
    ----------
    rows : Dim
        Outputs of the core with most of them. [1]
    passes : Dim
        Times that this core reads the image. [1]
    """

    rows: Dim
    passes: Dim


def rule_of(machine: Machine) -> Blocks | None:
    """Return the rule of the engine for vectors of this size, if it has one."""
    return machine.packs.blocks.get(machine.lanes * machine.element) if machine.packs else None


def few_channels(machine: Machine) -> int:
    """Return the most inputs, or outputs, that do not fill two vectors [1]."""
    return 2 * machine.lanes - 1


def split(m: Dim, most: int, kernel: int, units: int) -> Split:
    """Return how ``m`` outputs are split among ``units`` cores, in blocks of up to ``most`` each.

    Source: ncnn, ``src/layer/arm/convolution_im2col_gemm.h``, ``get_optimal_tile_mnk``.

    Parameters
    ----------
    m : Dim
        Outputs. [1]
    most : int
        Most outputs of a block on one core. [1]
    kernel : int
        Outputs of the micro-kernel. [1]
    units : int
        Cores, each of which gets the same number of blocks.

    Examples
    --------
    >>> split(64, 32, 8, 4), split(24, 32, 8, 4)
    (Split(rows=16, passes=1), Split(rows=8, passes=1))
    >>> split(144, 32, 8, 4), split(144, 32, 8, 1)
    (Split(rows=48, passes=2), Split(rows=144, passes=5))
    """
    block = _even(m, most, kernel)
    if units > 1:
        together = minimum(block * units, _even(m, block * units, kernel))
        block = ceil_div(together, kernel * units) * kernel
    passes = ceil_div(ceil_div(m, block), units)
    return Split(minimum(passes * block, ceil_div(m, kernel) * kernel), passes)


def _even(m: Dim, most: Dim, kernel: int) -> Dim:
    """Return the size of blocks of at most ``most`` outputs, as even as possible."""
    return ceil_div(ceil_div(m, ceil_div(m, most)), kernel) * kernel


def spent(w: Workload, rule: Blocks, winograd: Dim, machine: Machine, q: Theta) -> Dim:
    """Return the time of the multiply-adds of a convolution, each group by itself [s].

    Parameters
    ----------
    w : Workload
        The convolution.
    rule : Blocks
        How products are split.
    winograd : Dim
        1 if one of Winograd's algorithms is taken, else 0.
    machine : Machine
        The cores.
    q : mapping
        Parameters.
    """
    p, units = w.product, machine.units
    rows = minimum(_split(w, rule, machine).rows, ceil_div(p.m, machine.lanes) * machine.lanes)
    product = product_time(p, w, machine, q, machine.lanes, rows * units)
    if not cpu_winograd.applies(w, machine):
        return product
    eights = minimum(split(p.m, rule.kernel, rule.kernel, units).rows * units, p.m * units)
    transformed = total(
        taken * cpu_winograd.seconds(w, machine, q, side, eights)
        for side, taken in _sides(w, rule, machine).items()
    )
    return winograd * transformed + (1 - winograd) * product


def streamed(w: Workload, rule: Blocks, winograd: Dim, machine: Machine) -> tuple[Dim, Dim]:
    """Return the bytes of images in a product's order: from memory, and from the shared cache.

    Each is written once, and a write that misses reads its line first. The cores read it at the
    same time, so that it comes from memory once for all of them.

    Parameters
    ----------
    w : Workload
        The convolution.
    rule : Blocks
        How products are split.
    winograd : Dim
        1 if one of Winograd's algorithms is taken, else 0.
    machine : Machine
        The cores.
    """
    p = w.product
    unrolled = p.n * p.k * machine.element
    far, shared = _read_by_blocks(unrolled, _split(w, rule, machine).passes, machine)
    if cpu_winograd.applies(w, machine):
        passes = split(p.m, rule.kernel, rule.kernel, machine.units).passes
        elements = total(
            taken * (side + 2) ** 2 * blocks(p, side)
            for side, taken in _sides(w, rule, machine).items()
        )
        transformed = elements * p.k / p.taps * machine.element
        others = _read_by_blocks(transformed, passes, machine)
        far = winograd * others[0] + (1 - winograd) * far
        shared = winograd * others[1] + (1 - winograd) * shared
    return p.batch * far, p.batch * shared


def _split(w: Workload, rule: Blocks, machine: Machine) -> Split:
    """Return how a product that is not transformed is split."""
    return split(w.product.m, rule.height // machine.element, rule.kernel, machine.units)


def _read_by_blocks(size: Dim, passes: Dim, machine: Machine) -> tuple[Dim, Dim]:
    """Return the bytes of one image from memory, and from the shared cache."""
    image = Moved(size, size)
    far = (2 + passes) * image.missed(machine.cache)
    own = machine.private_cache / machine.units
    return far, (1 + passes * machine.units) * image.missed(own) if own else 0


def _sides(w: Workload, rule: Blocks, machine: Machine) -> Mapping[int, Dim]:
    """Return 1 for the algorithm of Winograd's that is taken, by the outputs along a block."""
    c, few = w.channels, few_channels(machine)
    large = at_most(c.inputs, rule.winograd_most) * at_most(c.outputs, rule.winograd_most)
    full = (1 - at_most(c.inputs, few)) * (1 - at_most(c.outputs, few))
    return {6: large, 4: (1 - large) * full, 2: (1 - large) * (1 - full)}
