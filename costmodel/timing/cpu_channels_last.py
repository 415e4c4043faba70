"""Images that the caller gives to a CPU library with the channels last (eager PyTorch).

The same library as for plain images runs a convolution, but no image is copied: products have their
vectors along the outputs, and oneDNN blocks the weights alone. Pools and resizing accumulate whole
vectors of channels, tap by tap. A copy from another layout moves single elements.

Source: PyTorch 2.13, ``aten/src/ATen/native/Convolution.cpp`` (``select_conv_backend`` does not ask
for the layout), ``cpu/MaxPoolKernel.cpp``, ``cpu/AvgPoolKernel.cpp``, ``cpu/UpSampleKernel.cpp``;
kernels and blocks as oneDNN's verbose output shows them, with AVX2 and with AVX-512.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.algebra.symbols import Dim, at_most, ceil_div
from costmodel.kernels import Product
from costmodel.ops.tensor import DTYPE_BYTES, HALVES
from costmodel.timing.cpu_eager import group_block, has_half_kernels, one_by_one, plain, stays
from costmodel.timing.cpu_ways import Way, either
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Workload

_TAPS = {"pool": 3, "max_pool": 5}
"""Elements that move for each tap of a window: the input is read, a sum read and written; a maximum
has the position of its tap beside it."""
_CALLS = 1 / 2
"""Primitives that a call of oneDNN starts, relative to one with plain images: the weights are
copied and convolved, the images are not copied in and out."""
_SMALL_GROUP = 16
"""Most outputs of a group that oneDNN does not run as a batch of products with AVX-512
(``cpu/x64/jit_brgemm_conv_utils.cpp``)."""


def channels_last(w: Workload, machine: Machine, q: Theta) -> Way | None:
    """Return the execution of ``w`` on images with the channels last.

    Returns None for a kind whose execution does not depend on it.

    Parameters
    ----------
    w : Workload
        The kernel.
    machine : Machine
        The cores.
    q : mapping
        Parameters.
    """
    half = w.dtype in HALVES
    match w.kind:
        case "pointwise" | "grouped" | "convolution" | "depthwise" if half:
            slow = not has_half_kernels(w, machine)
            return one_by_one(w, machine, q) if slow else _inside(w, machine, q)
        case "pointwise" | "grouped" | "convolution":
            product = plain(w, machine, q, by_outputs=True)
            return either(product, _inside(w, machine, q), stays(w, machine, q))
        case "depthwise":
            return _inside(w, machine, q)
        case "pool" | "max_pool":
            return Way(1, copied=_TAPS[w.kind] * w.elementwise * DTYPE_BYTES[w.dtype])
        case "resample":
            return Way(1, copied=w.elementwise * DTYPE_BYTES[w.dtype] + w.writes.bytes)
    return None


def _inside(w: Workload, machine: Machine, q: Theta) -> Way:
    """Return a convolution by oneDNN, which copies the weights into blocks at every call."""
    p = w.product
    copied = q["reorder"] * w.weights.bytes
    if w.kind == "depthwise":
        filled = ceil_div(p.batch, machine.lanes) * machine.lanes / p.batch
        spent = filled * w.multiply_adds / (machine.multiply_adds * q["window"])
        return Way(_CALLS * q["window_call"], spent, copied)
    grouped = w.kind == "grouped"
    block = _block(p, machine) if grouped else machine.lanes
    shared = ceil_div(ceil_div(p.m, block), machine.units) * machine.units
    rate = machine.multiply_adds * q["blocked"] * (q["grouped"] if grouped else 1)
    spent = p.batch * shared * machine.lanes * p.n * p.k / rate
    return Way(_CALLS * q["window_call"], spent, copied)


def _block(p: Product, machine: Machine) -> Dim:
    """Return the outputs in a block of a grouped convolution, which takes a whole vector [1].

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> avx512 = machine_for(load_platform("xeon-gold-6240/torch-eager"), "float32")
    >>> [_block(Product(4, c, 196, 9 * c, taps=9), avx512) for c in (4, 6, 12, 16, 20)]
    [4, 16, 4, 16, 16]
    """
    fits = group_block(p, machine)
    small = at_most(p.m, _SMALL_GROUP) * (1 - at_most(fits, 1))
    return small * fits + (1 - small) * machine.lanes


def turned(found: Way, w: Workload, machine: Machine, q: Theta) -> Way:
    """Return ``found`` with the copies of images and tensors into the layout that it reads."""
    return replace(found, compute=found.compute + w.turned * q["unroll"] / machine.units)
