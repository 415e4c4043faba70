"""3x3 convolutions by Winograd's algorithm on a CPU."""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, total
from costmodel.ops.tensor import INTEGERS
from costmodel.timing.cpu_ways import far_bandwidth, last_cache, near_bandwidth, peak
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Moved, Workload, blocks

_INTEGER_WINOGRAD = 2
"""Transformed int8 inputs need 16 bits: half as many products per instruction."""
_WIDENED_WINOGRAD = 4 / 3
"""The same without instructions for 8-bit products: 16 take three instructions (SMULL, SMLAL and
SADALP; ncnn, ``src/layer/arm/convolution_im2col_gemm_int8.h``), 4 of 16 bits take one (SMLAL)."""
_INTEGER_WORDS = 2, 4
"""Bytes of a transformed int8 input and output. [byte]"""


def applies(w: Workload, machine: Machine) -> bool:
    """Return whether the runtime has the algorithm, and a convolution has 3x3 taps and stride 1."""
    return w.product.winograd and machine.winograd


def seconds(w: Workload, machine: Machine, q: Theta, side: int = 4, rows: Dim | None = None) -> Dim:
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
        products = products * (_WIDENED_WINOGRAD if machine.widens else _INTEGER_WINOGRAD)
    read, written = _words(w, machine)
    moved = 2 * elements * (read * channels + written * p.m)
    # Weights are transformed in advance, into several times as many.
    more = taken / p.taps - 1
    missed = more * w.weights.missed(last_cache(machine, q))
    if "whole_winograd" in machine.algorithms:
        missed = missed + _transformed_missed(w, elements, machine, q)
    moved = moved + more * w.weights.bytes
    transforms = moved / near_bandwidth(machine, q)
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
