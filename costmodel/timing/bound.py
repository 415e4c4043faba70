r"""The least time that a kernel can take on its hardware, whatever the fitted parameters say.

.. math::

    t \ge \max\left(\frac{B_{\min}}{P},\;
    \max_i \frac{\sum_j \max(0, b_j - S_i)}{W_i}\right)

:math:`B_{\min}` are the multiply-adds of the cheapest algorithm that the runtime has (Winograd and
Fourier transforms included), :math:`P` is the dense peak of the dtype at the highest clock
[multiply-add/s]. :math:`b_j` are the bytes of a tensor that the loops touch, without the pixels
that a stride skips. Of these, :math:`S_i` may be in memories closer than interface :math:`i`; the
rest must cross it, at :math:`W_i` [B/s]. Loads of all tensors cross the interface of a cache; main
memory takes loads and stores.

Valid for kernels that run alone and move each tensor once. Source: the roofline model (Williams et
al. 2009) with a ceiling for each level of memory.
"""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, maximum, minimum, total
from costmodel.kernels import Product
from costmodel.timing.machine import Machine
from costmodel.timing.workload import Workload, blocks


def least_seconds(w: Workload, machine: Machine) -> Dim:
    """Return the least time of a kernel on ``machine`` [s].

    Parameters
    ----------
    w : Workload
        The kernel, or many of one kind as arrays.
    machine : Machine
        The hardware for its dtype.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.platforms import load_platform
    >>> from costmodel.platforms.machine import machine_for
    >>> from costmodel.timing.reuse import workloads
    >>> gpu = load_platform("gtx-1080-ti/paper")
    >>> (w,) = workloads(lower(zoo.pointwise(56, 56, 1024, 1024), gpu.runtime))
    >>> round(1e6 * least_seconds(w, machine_for(gpu, "float32")))
    480
    """
    compute = total(least_multiply_adds(p, machine) for p in w.products) / machine.ceiling
    times = [compute]
    loads = [*w.reads, w.weights]
    for inner, bandwidth in machine.interfaces:
        crossing = [*loads, w.writes] if bandwidth == machine.bandwidth else loads
        must = (t.required for t in crossing)
        rest = total(n - minimum(n, inner) if inner else n for n in must)
        times.append(rest / bandwidth)
    return maximum(*times)


def least_multiply_adds(p: Product, machine: Machine) -> Dim:
    """Return the multiply-adds of the cheapest algorithm of ``machine`` for a product.

    Winograd's F(4x4, 3x3) takes 36 products of channels for a block of 16 outputs, F(2x2, 3x3)
    takes 16 for a block of 4 (Lavin and Gray 2016); libraries for CPUs also have F(6x6, 3x3), 64
    for 36 (ncnn: ``convolution_3x3_winograd.h``). By Fourier transforms (cuDNN: ``ALGO_FFT`` and
    ``FFT_TILING``, dense windows of stride 1) half of the frequencies of an image are complex
    products of channels, of 4 multiply-adds each: 2 for each output, whatever the window.
    """
    channels = p.batch * p.m * p.k / p.taps
    choices = [p.multiply_adds]
    if p.winograd and machine.winograd:
        sizes = (2, 4, 6) if machine.kind == "cpu" else (2, 4)
        choices += [(size + 2) ** 2 * blocks(p, size) * channels for size in sizes]
    if p.fourier and "fft" in machine.algorithms:
        choices.append(2 * p.n * channels)
    return minimum(*choices)
