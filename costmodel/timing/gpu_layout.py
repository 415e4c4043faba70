r"""Layouts of images around convolutions on a GPU's tensor cores.

Tensor cores multiply rows of channels, so their convolutions need images in NHWC layout. If the
framework keeps images in NCHW, the library transposes the images and the weights before the
convolution, and the result after it:

.. math::

    t = 3 \, \text{launch} + \frac{2 X + 2 W + 2 Y}{\min(\beta, U f \cdot \text{transpose})}

:math:`X`, :math:`W` and :math:`Y` are the bytes of images, weights and result, each read once and
written once, channels that do not fill 16 bytes padded on the NHWC side; :math:`\beta` is the
bandwidth of element-wise kernels, :math:`U` the multiprocessors at the clock :math:`f`. Before
Hopper, kernels write the result in either layout: without :math:`Y`, and with a launch less. A 1x1
convolution of stride 1 is a product of matrices in their present layout and needs no transposition;
on Hopper this holds only if its rows, the pixels of an image, begin at multiples of 16 bytes.

Source: NVIDIA, Convolutional Layers User's Guide and Tensor Layouts In Memory (NHWC and NCHW);
kernels ``nchwToNhwcKernel`` and ``nhwcToNchwKernel``, and names of kernels that end in
``nhwc2nchw``, in profiles of cuDNN.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum, total
from costmodel.kernels import Product
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.timing.gpu_products import streaming
from costmodel.timing.machine import Machine
from costmodel.timing.terms import Theta
from costmodel.timing.workload import Workload

_ROW = 16
"""Alignment of rows that are loaded without a copy; channels are padded to it. [byte]"""


def changes(w: Workload, machine: Machine, q: Theta) -> tuple[Dim, Dim]:
    """Return the number of layout kernels around ``w`` [1], and the time of their traffic [s].

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> from costmodel.timing.reuse import workloads
    >>> h200 = load_platform("h200/torch-eager")
    >>> q = {"dram": 1.0, "transpose": 8.0}
    >>> for size in (56, 7):
    ...     (w,) = workloads(lower(zoo.pointwise(size, size, 64, 64), h200.runtime))
    ...     print(changes(w, machine_for(h200, "tf32"), q)[0])
    0
    3
    """
    if not machine.tensor or w.kind not in ("pointwise", "convolution", "grouped"):
        return 0, 0
    turned = 1 if machine.transposes else w.nchw
    if isinstance(turned, int) and not turned:
        return 0, 0
    p, size = w.product, DTYPE_BYTES[w.dtype]
    both = machine.generation.writes_either_layout
    moved = w.read_bytes * (1 + _padding(w, p.k / p.taps)) + 2 * w.weights.bytes
    if not both:
        moved = moved + w.writes.bytes * (1 + _padding(w, p.m))
    needed = turned
    if w.kind == "pointwise":
        needed = turned * minimum(1, _skipped(w) + (0 if both else _unaligned(p, size)))
    turning = machine.units * machine.clock * q["transpose"]
    rate = minimum(streaming(machine, q), turning)
    return (2 if both else 3) * needed, needed * moved / rate


def in_steps(w: Workload, machine: Machine) -> Product:
    """Return the product of a convolution with its reduction in blocks of channels.

    On Hopper one step of the reduction is one position of the window and 64 bytes of channels, so
    that a window over 3 channels takes as long as one over 32 of them in 16 bits. Before it,
    channels and positions are one index (``channel_bytes`` of the generation is one element).

    Notes
    -----
    Source: CUTLASS, Implicit GEMM Convolution (media/docs/implicit_gemm_convolution.md): iterators
    advance by a block of channels, then by a position of the window.
    """
    p = w.product
    if not machine.tensor or w.kind != "convolution":
        return p
    block = max(1, int(machine.generation.channel_bytes) // DTYPE_BYTES[w.dtype])
    return replace(p, k=p.taps * block * ceil_div(p.k / p.taps, block))


def _padding(w: Workload, channels: Dim) -> Dim:
    """Return the ratio of channels padded to 16 bytes to channels [1].

    Groups are not padded separately.
    """
    if w.kind == "grouped":
        return 1
    full = _ROW // DTYPE_BYTES[w.dtype]
    return full * ceil_div(channels, full) / maximum(1, channels)


def _unaligned(p: Product, size: int) -> Dim:
    """Return 0 if the pixels of an image fill multiples of 16 bytes, else 1."""
    pixels, full = p.height * p.width, _ROW // size
    return minimum(1, full * ceil_div(pixels, full) - pixels)


def _skipped(w: Workload) -> Dim:
    """Return 0 if all read pixels are used, else (a stride skips some) at least 1."""
    return minimum(1, total(read.bytes - read.required for read in w.reads))
